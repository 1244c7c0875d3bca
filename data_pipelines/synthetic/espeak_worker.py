"""The process that owns espeak-ng. Run as a script by `espeak.py`; imports the standard library and nothing of ours.

espeak-ng is GPL, so it is never loaded into a process of thjax: this script loads it, reads requests from standard
input and writes waveforms and events to standard output. It also keeps hidden state from one sentence to the next
and seeds its noise from the clock when it starts. So it is initialised once, and every sentence is spoken by a fork
of that first state, with the noise seeded anew: equal requests give equal bytes, in any order, in any process.

Protocol, little endian. Request: uint32 length, JSON list of {text, voice, rate, pitch, pitch_range}.
Reply, once at the start (the greeting) and once per request of the list: uint32 length of JSON, uint32 length of
PCM, JSON, PCM (int16).
"""

import ctypes
import ctypes.util
import json
import os
import signal
import struct
import sys
import traceback

NOISE_SEED = 1
SYNCHRONOUS = 2
PHONEME_EVENTS = 0x0001
DONT_EXIT = 0x8000
UTF8 = 0x0001
PHONEME_INPUT = 0x0100  # text between [[ and ]] is phonemes: the only way to say the letter A, not the article
PHONEME_SEPARATOR = ord("+") << 8
PAUSE_MARKS = "_:!|^"
EVENT_PHONEME = 7
RATE, PITCH, PITCH_RANGE = 1, 3, 4


class Identifier(ctypes.Union):
    """The `id` of an event."""

    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = [("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
                ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
                ("user_data", ctypes.c_void_p), ("id", Identifier)]


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


def find_libraries(library):
    """Candidates as (library, data directory or None): the one asked for, else pip's, else the system's."""
    if library:
        return [(library, None)]
    candidates = []
    try:
        import espeakng_loader

        candidates.append((espeakng_loader.get_library_path(), espeakng_loader.get_data_path()))
    except ImportError:
        pass
    candidates.append((ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1", None))
    return candidates


class Speaker:
    """One initialised library."""

    def __init__(self, path, data):
        self.library = ctypes.CDLL(path)
        self.library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self.library.espeak_Info.restype = ctypes.c_char_p
        self.library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p]
        self.library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.sample_rate = self.library.espeak_Initialize(
            SYNCHRONOUS, 0, data.encode() if data else None, PHONEME_EVENTS | DONT_EXIT)
        if self.sample_rate <= 0:
            raise OSError(f"{path} finds no espeak-ng-data")
        self.library.espeak_SetVoiceByName(b"en")  # loads the dictionary once instead of in every fork: 3 ms each
        self.version = self.library.espeak_Info(None).decode().split()[0]
        self.pieces, self.phonemes = [], []
        self.callback = Callback(self.receive)  # kept: the library holds a bare pointer to it
        self.library.espeak_SetSynthCallback(self.callback)

    def receive(self, samples, count, events):
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == EVENT_PHONEME:
                self.phonemes.append((event.id.string.decode("utf-8", "replace"), event.sample))
            index += 1
        if count > 0:
            self.pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def seed_noise(self):
        if hasattr(self.library, "espeak_ng_SetRandSeed"):
            self.library.espeak_ng_SetRandSeed(ctypes.c_long(NOISE_SEED))
        else:  # up to 1.51 the library draws from the C library's generator
            ctypes.CDLL(None).srand(ctypes.c_uint(NOISE_SEED))

    def phonemes_per_word(self, text):
        """Phonemes of each word of the text, pauses not counted.

        espeak's own word events come one consonant early where a vowel follows a nasal, and not at all for
        words that its dictionary joins; the written form of the same phonemes keeps the spaces.
        """
        rest, counts = ctypes.c_char_p(text), []
        while rest.value:
            clause = self.library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8 | PHONEME_INPUT, PHONEME_SEPARATOR)
            for word in clause.decode().split():
                counts.append(sum(bool(name.strip(PAUSE_MARKS)) for name in word.split("+")))
        return counts

    def say(self, request):
        """Speaks in this process, which must end afterwards. Returns (JSON reply, PCM bytes)."""
        self.seed_noise()
        if self.library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            return {"error": f"voice {request['voice']!r} is unknown to espeak-ng {self.version}"}, b""
        for parameter, key in ((RATE, "rate"), (PITCH, "pitch"), (PITCH_RANGE, "pitch_range")):
            self.library.espeak_SetParameter(parameter, request[key], 0)
        text = request["text"].encode() + b"\0"
        status = self.library.espeak_Synth(text, len(text), 0, 1, 0, UTF8 | PHONEME_INPUT, None, None)
        self.library.espeak_Synchronize()
        if status != 0:
            return {"error": f"espeak_Synth returned {status}"}, b""
        return {"phonemes": self.phonemes, "word_lengths": self.phonemes_per_word(text)}, b"".join(self.pieces)


def pack(reply, pcm=b""):
    """A reply as bytes."""
    text = json.dumps(reply).encode()
    return struct.pack("<II", len(text), len(pcm)) + text + pcm


def say_in_fork(speaker, request):
    """The packed reply of one request, spoken by a fork that ends with it."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(pack(*speaker.say(request)))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        reply = pipe.read()
    _, status = os.waitpid(process, 0)
    if status != 0:
        return pack({"error": f"espeak-ng ended with status {os.waitstatus_to_exitcode(status)} on {request!r}"})
    return reply


def load(library):
    """The first candidate that loads. Raises OSError with the reasons of all."""
    reasons = []
    for path, data in find_libraries(library):
        try:
            return Speaker(path, data)
        except (OSError, AttributeError) as error:
            reasons.append(f"{path}: {error}")
    raise OSError("; ".join(reasons))


def main(library):
    """Answers requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent closes the pipe when done
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints must not land among the replies
    try:
        speaker = load(library)
    except OSError as error:
        replies.write(pack({"error": str(error)}))
        return 1
    replies.write(pack({"version": speaker.version, "sample_rate": speaker.sample_rate}))
    replies.flush()
    while header := sys.stdin.buffer.read(4):
        requests = json.loads(sys.stdin.buffer.read(struct.unpack("<I", header)[0]))
        for request in requests:
            replies.write(say_in_fork(speaker, request))
        replies.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
