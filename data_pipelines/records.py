"""Record format, version 1: a segment of a clip as one msgpack map. Fields and units: data_pipelines/schema.py.

In memory a record is the same map with numpy arrays for the per-frame fields and for the audio. Video stays compressed
until `decode_frames` is asked for some of its frames: a window of 12 frames decodes 12 frames, not 75.
"""

from collections.abc import Iterator, Sequence

import msgpack
import numpy as np
import simplejpeg

from data_pipelines import schema
from data_pipelines.schema import DataError

SHORTEST_TAIL = schema.MAX_RECORD_FRAMES - schema.RECORD_FRAMES + 1
"""A rest of fewer frames than this joins the segment before it."""
PER_FRAME_SHAPES = {
    "face_ok": (), "landmarks": (schema.LANDMARKS, 2), "au": (len(schema.AU_INTENSITY),),
    "au_presence": (len(schema.AU_PRESENCE),), "pose": (len(schema.POSE),), "blink": (), "coefficients": (-1,),
}
"""Shape of one frame's value; -1: as many as the corpus has."""
PER_CLIP_SHAPES = {"identity": (schema.IDENTITY_SIZE,)}
"""Of labels that every record of a clip repeats."""
_ONE_A_RECORD = PER_CLIP_SHAPES | {"start_pose": (len(schema.POSE),)}
LABELS = (*(name for name in PER_FRAME_SHAPES if name != "face_ok"), *PER_CLIP_SHAPES)
"""Optional arrays."""
_CLIP_WIDE = ("dataset", "split", "speaker", "codec", "height", "width", "sentence", "av_offset", "label_source",
              *PER_CLIP_SHAPES)
_REQUIRED = ("key", "dataset", "split", "speaker", "segment", "segments", "start_frame", "n", "audio")


def jpeg_settings(height: int, width: int) -> tuple[int, str]:
    """Quality and chroma subsampling of a frame of `height` x `width` pixels.

    Small frames keep their chroma: at 64 pixels a halved chroma plane shows as coloured lips.
    """
    return (90, "420") if max(height, width) >= 128 else (95, "444")


def encode_frames(frames: np.ndarray) -> list[bytes]:
    """uint8 `[n, H, W, 3]` RGB -> n JPEG byte strings, the same bytes every time."""
    quality, subsampling = jpeg_settings(*frames.shape[1:3])
    return [
        simplejpeg.encode_jpeg(np.ascontiguousarray(frame), quality=quality, colorspace="RGB",
                               colorsubsampling=subsampling, fastdct=False)
        for frame in frames
    ]


def decode_frames(record: dict, indices: Sequence[int], out: np.ndarray | None = None) -> np.ndarray:
    """Frames `indices` of a record, uint8 `[len(indices), H, W, 3]` RGB.

    Args:
        record: what `decode` gave.
        indices: of its frames.
        out: where they are written, contiguous; None takes new memory.

    Raises:
        DataError: a frame is no JPEG of the record's size.
    """
    shape = (record["height"], record["width"], 3)
    frames = np.empty((len(indices), *shape), np.uint8) if out is None else out
    for row, index in enumerate(indices):
        try:
            decoded = simplejpeg.decode_jpeg(record["video"][index], "RGB", buffer=frames[row])
        except (ValueError, IndexError) as error:
            raise DataError(f"{record['key']}: frame {index} cannot be decoded ({error}); "
                            "write the corpus again") from None
        if decoded.shape != shape:
            raise DataError(f"{record['key']}: frame {index} is {decoded.shape}, the record says {shape}; "
                            "write the corpus again")
    return frames


def encode(record: dict) -> bytes:
    """A record as bytes.

    Args:
        record: fields of `schema.RECORD_FIELDS`, arrays in numpy. Instead of `video`, `height` and `width` it may hold
            `frames`, uint8 `[n, H, W, 3]`, which are compressed here. `v`, `codec` and `face_ok` have defaults. With
            `codec` "none" it holds no frames.

    Raises:
        DataError: a field is missing, unknown, or of the wrong length.
    """
    key = record.get("key", "record without key")
    _check_names(key, record)
    n = record["n"]
    pixels = record.get("codec") != "none"
    longest = schema.MAX_RECORD_FRAMES if pixels else schema.MAX_FEATURE_FRAMES
    if not 1 <= n <= longest:
        raise DataError(f"{key}: {n} frames in a record; use 1 to {longest}")
    out = {"v": schema.VERSION, "codec": "jpeg", "words": [], "phonemes": [], "sentence": "", "av_offset": 0.0,
           "label_source": {}}
    arrays = {"face_ok": np.ones(n, np.uint8)}
    arrays |= {name: record[name] for name in (*PER_FRAME_SHAPES, *_ONE_A_RECORD) if name in record}
    out |= {name: value for name, value in record.items() if name not in arrays and name != "frames"}
    if "frames" in record:
        frames = record["frames"]
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise DataError(f"{key}: frames are {frames.dtype} {frames.shape}; use uint8 [n, H, W, 3]")
        out |= {"height": int(frames.shape[1]), "width": int(frames.shape[2]), "video": encode_frames(frames)}
    if not pixels:
        out |= {"height": 0, "width": 0, "video": []}
    elif len(out["video"]) != n:
        raise DataError(f"{key}: {len(out['video'])} frames of video, n is {n}; they must agree")
    out["audio"] = _audio_bytes(key, record["audio"], n)
    for name, value in arrays.items():
        out[name] = _array_bytes(key, name, value, n)
    # One order of fields, so that equal records are equal bytes.
    return msgpack.packb({name: out[name] for name in schema.RECORD_FIELDS if name in out})


def decode(data: bytes, fields: Sequence[str] | None = None) -> dict:
    """Bytes as a record: arrays and audio as read-only numpy views, video still compressed.

    Args:
        data: what `encode` gave.
        fields: names of the `LABELS` wanted, and "start_pose"; None takes all. Everything else is always there.

    Raises:
        DataError: no record, or a record of another version.
    """
    try:
        record = msgpack.unpackb(data)
        version = record["v"]
    except (ValueError, msgpack.exceptions.UnpackException, KeyError, TypeError):
        raise DataError(f"{len(data)} bytes are no record of version {schema.VERSION}; "
                        "write the corpus again") from None
    if version != schema.VERSION:
        raise DataError(f"{record.get('key')}: record version {version}, this program reads {schema.VERSION}; "
                        "write the corpus again with this program, or read it with the program that wrote it")
    for name in (*PER_FRAME_SHAPES, *_ONE_A_RECORD):
        if name in record:
            if fields is not None and name not in fields and name != "face_ok":
                del record[name]
            else:
                shape = _ONE_A_RECORD.get(name) or (record["n"], *PER_FRAME_SHAPES[name])
                record[name] = np.frombuffer(record[name], schema.DTYPES[name]).reshape(shape)
    record["audio"] = np.frombuffer(record["audio"], np.int16)
    return record


def segment_bounds(frames: int, pixels: bool = True) -> list[tuple[int, int]]:
    """(first, end) of the segments of a clip: 75 frames each, a rest of fewer than 32 joins the one before it.

    Without pixels a clip is one segment up to 60 s, and segments of 60 s beyond that.

    Raises:
        DataError: the clip is empty.
    """
    if frames < 1:
        raise DataError(f"a clip of {frames} frames; use at least 1")
    starts = list(range(0, frames, schema.RECORD_FRAMES if pixels else schema.MAX_FEATURE_FRAMES))
    if pixels and len(starts) > 1 and frames - starts[-1] < SHORTEST_TAIL:
        starts.pop()
    return list(zip(starts, [*starts[1:], frames], strict=True))


def segments(clip: dict) -> Iterator[dict]:
    """The records of a clip, in order, ready for `encode`.

    Args:
        clip: `key` ("corpus/speaker/clip"), `dataset`, `split`, `speaker` ("corpus/speaker"), `frames` uint8
            `[N, H, W, 3]` or, compressed already, `video` (N JPEG byte strings) with `height` and `width`, or `codec`
            "none" and a label at least; `audio` int16 from the first frame on (cut or zero-filled to N * 640 samples),
            and optionally `face_ok`, the labels of `LABELS` (per frame with N rows), `words`, `phonemes` (seconds from
            the clip's start), `sentence`, `av_offset`, `label_source`.

    Words and phonemes that touch a segment are in it, their times not cut at its borders.
    """
    total = clip_frames(clip)
    audio = np.zeros(total * schema.SAMPLES_PER_FRAME + 2 * schema.AUDIO_CONTEXT, np.int16)
    samples = np.asarray(clip["audio"])[: total * schema.SAMPLES_PER_FRAME]
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise DataError(f"{clip['key']}: audio is {samples.dtype} {samples.shape}; use int16 [S], 16 kHz mono")
    audio[schema.AUDIO_CONTEXT : schema.AUDIO_CONTEXT + len(samples)] = samples
    bounds = segment_bounds(total, clip.get("codec") != "none")
    start = {"start_pose": start_pose(clip)} if "pose" in clip and len(bounds) > 1 else {}
    for index, (first, end) in enumerate(bounds):
        record = {name: clip[name] for name in _CLIP_WIDE if name in clip}
        record |= {"key": f"{clip['key']}#{index:03d}", "segment": index, "segments": len(bounds),
                   "start_frame": first, "n": end - first}
        record |= {name: clip[name][first:end] for name in ("frames", "video", *PER_FRAME_SHAPES) if name in clip}
        record["audio"] = audio[first * schema.SAMPLES_PER_FRAME :][: _samples(end - first)]
        record |= {name: _shift(clip[name], first, end) for name in ("words", "phonemes") if name in clip}
        yield record | start


def start_pose(clip: dict) -> np.ndarray:
    """Pose `[6]` of a clip's first frame with a face and a finite place; zeros if it has none.

    Args:
        clip: a whole clip, or one of its records, with `pose` or `start_pose`.

    Raises:
        DataError: it is one of several records and does not say it.
    """
    if "start_pose" in clip:
        return clip["start_pose"]
    if clip.get("segments", 1) > 1:
        raise DataError(f"{clip['key']}: one of several records, and an older program did not write in which pose "
                        "its clip starts; write the corpus again, into another folder")
    usable = np.isfinite(clip["pose"]).all(axis=1) & (clip.get("face_ok", np.uint8(1)) > 0)
    return clip["pose"][np.argmax(usable)] if usable.any() else np.zeros(len(schema.POSE), np.float32)


def clip_frames(clip: dict) -> int:
    """Frames of a clip, see `segments`.

    Raises:
        DataError: it has neither frames nor labels.
    """
    for name in ("frames", "video", *PER_FRAME_SHAPES):
        if name in clip:
            return len(clip[name])
    raise DataError(f"{clip['key']}: no frames and no labels; a clip needs one of them")


def _samples(frames: int) -> int:
    return frames * schema.SAMPLES_PER_FRAME + 2 * schema.AUDIO_CONTEXT


def _shift(spans: Sequence, first: int, end: int) -> list:
    """(text, start, end) spans that touch frames [first, end), in seconds from frame `first`."""
    begin, finish = first / schema.FPS, end / schema.FPS
    return [[text, float(start - begin), float(stop - begin)] for text, start, stop in spans
            if stop > begin and start < finish]


def _check_names(key: str, record: dict) -> None:
    known = {*schema.RECORD_FIELDS, "frames"}
    unknown = sorted(set(record) - known)
    if unknown:
        raise DataError(f"{key}: unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}")
    missing = [name for name in _REQUIRED if name not in record]
    if "frames" not in record and record.get("codec") != "none":
        missing += [name for name in ("video", "height", "width") if name not in record]
    if missing:
        raise DataError(f"{key}: field {missing[0]!r} is missing; a record needs {', '.join(_REQUIRED)} and frames")


def _audio_bytes(key: str, audio: np.ndarray, n: int) -> bytes:
    audio = np.asarray(audio)
    if audio.dtype != np.int16 or audio.shape != (_samples(n),):
        raise DataError(f"{key}: audio is {audio.dtype} {audio.shape}; {n} frames need int16 ({_samples(n)},)")
    return audio.tobytes()


def _array_bytes(key: str, name: str, value: np.ndarray, n: int) -> bytes:
    array = np.asarray(value, schema.DTYPES[name])
    expected = _ONE_A_RECORD.get(name) or (n, *PER_FRAME_SHAPES[name])
    fits = array.ndim == len(expected)
    if not fits or any(want not in (-1, got) for want, got in zip(expected, array.shape, strict=True)):
        shown = tuple("K" if size == -1 else size for size in expected)
        raise DataError(f"{key}: {name} has shape {array.shape}; {n} frames need {shown}")
    return array.tobytes()
