"""Speech by espeak-ng, which runs in a process of its own (`espeak_worker.py`) and repeats itself to the bit."""

import dataclasses
import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WORKER = Path(__file__).with_name("espeak_worker.py")
INSTALL = "install it with: pip install 'thjax[speech]', or: apt-get install espeak-ng"


class SpeechError(Exception):
    """espeak-ng cannot be loaded or cannot speak. The message says what to install or change."""


@dataclasses.dataclass(frozen=True)
class Utterance:
    """What to say, and how.

    Attributes:
        text: plain text; phonemes in espeak's own letters may stand between [[ and ]].
        voice: espeak voice and variant, e.g. "en-gb-scotland+f2".
        rate: words per minute, 80 to 450.
        pitch: 0 to 99.
        pitch_range: 0 (monotone) to 99.
    """

    text: str
    voice: str
    rate: int = 150
    pitch: int = 50
    pitch_range: int = 50


@dataclasses.dataclass(frozen=True)
class Spoken:
    """What espeak-ng said.

    Attributes:
        audio: [S] int16 at `sample_rate`.
        sample_rate: samples per second, 22,050 for espeak's own voices.
        phonemes: (name, first sample), in order; stops are marked at their release. Pauses start with "_".
        word_lengths: phonemes of each word, pauses not counted, in order.
    """

    audio: np.ndarray
    sample_rate: int
    phonemes: tuple[tuple[str, int], ...]
    word_lengths: tuple[int, ...]


class Espeak:
    """A running espeak-ng. Equal utterances give equal bytes, in any order, in any process, at any time.

    Use as a context manager, or call `close`. Not for use from several threads at once.

    Args:
        library: path of libespeak-ng; by default the one of pip's espeakng-loader, else the system's.

    Raises:
        SpeechError: no library loads; says what to install.
    """

    def __init__(self, library: str | None = None):
        # By path and with -P: the worker sees the standard library and espeakng-loader, and nothing of thjax.
        command = [sys.executable, "-P", str(WORKER)] + ([library] if library else [])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            greeting, _ = self._read()
        except SpeechError:
            self.close()
            raise SpeechError(f"the espeak-ng process ended before it could speak; {INSTALL}") from None
        if "error" in greeting:
            self.close()
            raise SpeechError(f"espeak-ng could not be loaded ({greeting['error']}); {INSTALL}")
        self.version: str = greeting["version"]
        self.sample_rate: int = greeting["sample_rate"]

    def say(self, utterances: Sequence[Utterance]) -> list[Spoken]:
        """Speaks all utterances, in order, about 2 ms each.

        Raises:
            SpeechError: an unknown voice, or the process died.
        """
        request = json.dumps([dataclasses.asdict(utterance) for utterance in utterances]).encode()
        try:
            self._process.stdin.write(struct.pack("<I", len(request)) + request)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise SpeechError("the espeak-ng process is gone; make a new Espeak") from None
        replies = [self._read() for _ in utterances]  # all of them, so that an error leaves the pipe in step
        for reply, _ in replies:
            if "error" in reply:
                raise SpeechError(reply["error"])
        return [Spoken(audio=np.frombuffer(pcm, "<i2"), sample_rate=self.sample_rate,
                       phonemes=tuple((name, sample) for name, sample in reply["phonemes"]),
                       word_lengths=tuple(reply["word_lengths"])) for reply, pcm in replies]

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def __enter__(self) -> "Espeak":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _read(self) -> tuple[dict, bytes]:
        header = self._process.stdout.read(8)
        if len(header) < 8:
            raise SpeechError("the espeak-ng process is gone; make a new Espeak")
        text, pcm = struct.unpack("<II", header)
        return json.loads(self._process.stdout.read(text)), self._process.stdout.read(pcm)
