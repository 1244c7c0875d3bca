"""Names, types, shapes and units of what is stored and of what a step receives. The only truth: everybody imports it.

A record is one segment of a clip, nominally 75 frames and at most `MAX_RECORD_FRAMES`, or without pixels the whole clip
up to `MAX_FEATURE_FRAMES`, written as a msgpack map into ArrayRecord shards. A batch is a dict of arrays; its fields
are listed in `BATCH_FIELDS`.
"""

import dataclasses

import numpy as np

from thjax.core.data_spec import DataSpec
from thjax.core.errors import UserError

VERSION = 1
FPS = 25
SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS  # 640
AUDIO_CONTEXT = 3_200
"""Samples of context stored before the first and after the last frame, zero where the clip ends."""
RECORD_FRAMES = 75
MAX_RECORD_FRAMES = 106
MAX_FEATURE_FRAMES = 1_500
"""Frames of a feature record at most, 60 s: without pixels a clip is one record, so that a window may lie anywhere."""
CODECS = ("jpeg", "none")
"""Of a record's frames. `none`: a feature record, audio and labels without pixels."""
LANDMARKS = 68

AU_INTENSITY = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17",
                "AU20", "AU23", "AU25", "AU26", "AU45")
"""OpenFace's 17 intensities, 0 to 5."""
AU_PRESENCE = AU_INTENSITY[:-1] + ("AU28", "AU45")
"""OpenFace's 18 presences, 0 or 1."""
POSE = ("Tx", "Ty", "Tz", "Rx", "Ry", "Rz")
"""Translation in mm and rotation in radians (pitch, yaw, roll), camera coordinates as OpenFace writes them:
x to the right of the image, y down, z away from the camera; R = Rx Ry Rz."""

FACE_MODEL = tuple(f"{part}_{number:0{width}d}" for part, count, width in (
    ("identity", 80, 2), ("expression", 64, 2), ("texture", 80, 2), ("angle", 3, 1), ("light", 27, 2),
    ("translation", 3, 1)) for number in range(count))
"""Names of the 257 coefficients of Deep3DFaceReconstruction (Deng et al. 2019), in the order in which its network gives
them: shape of the person, expression, texture, head angles (pitch, yaw, roll in rad), spherical harmonics (9 of each
colour), translation. Angles and translation are those of the network's own aligned crop of 224 pixels."""
IDENTITY_SIZE = 512
"""Numbers of an identity embedding: ArcFace's."""


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a batch. `shape` is per example, in the letters of thjax.core; `T` and the crop's `H`, `W` vary."""

    dtype: type
    shape: tuple
    meaning: str


BATCH_FIELDS = {
    "example_id": Field(np.uint32, (), "position in the stream, wraps at 2**32; keys every random draw"),
    "valid": Field(np.float32, ("T",), "1 where the frame exists and its face was found, else 0"),
    "start_frame": Field(np.int32, (), "frames of the clip before the first one here; 0 where the clip starts"),
    "frames": Field(np.uint8, ("T", "H", "W", 3), "RGB, cropped as the stage asks"),
    "still": Field(np.uint8, ("H", "W", 3), "RGB frame of the same clip that shows the identity"),
    "audio": Field(np.int16, ("T * 640 + 6400",), "16 kHz mono, 3,200 samples of context on each side"),
    "landmarks": Field(np.float32, ("T", 68, 2),
                       "x, y in pixels of the cropped frame, pixel centres at +0.5, iBUG order"),
    "au": Field(np.float32, ("T", 17), "intensities 0 to 5, order AU_INTENSITY"),
    "au_presence": Field(np.float32, ("T", 18), "0 or 1, order AU_PRESENCE"),
    "pose": Field(np.float32, ("T", 6), "order POSE, mm and rad, of the stored crop"),
    "start_pose": Field(np.float32, (6,), "pose in the clip's first frame with a face: where translation counts from"),
    "blink": Field(np.float32, ("T",), "1 while the lids are more than half closed"),
    "coefficients": Field(np.float32, ("T", "K"), "of the corpus's morphable head; names in the manifest"),
    "identity": Field(np.float32, (IDENTITY_SIZE,), "embedding of the clip's person, of length 1"),
    "speaker": Field(np.int32, (), "index into the manifest's sorted speakers"),
}

ALWAYS = ("example_id", "valid")
"""Fields of every batch."""

RECORD_FIELDS = {
    "v": "schema version",
    "key": "str, unique: corpus/speaker/clip#segment",
    "dataset": "str",
    "split": "str: train, validation, test",
    "speaker": "str, unique over corpora: corpus/speaker",
    "segment": "int, index of the segment in its clip",
    "segments": "int, segments of the clip",
    "start_frame": "int, frames from the clip's start",
    "n": "int, frames in this record",
    "codec": "str: jpeg, or none for feature records",
    "height": "int, pixels; 0 without frames",
    "width": "int, pixels; 0 without frames",
    "video": "list of n JPEG byte strings; empty without frames",
    "audio": "bytes, int16 [n * 640 + 6400]",
    "face_ok": "bytes, uint8 [n]: 1 found, 2 interpolated, 0 none",
    "landmarks": "bytes, float32 [n, 68, 2], pixels of the stored frame; optional like all below",
    "au": "bytes, float32 [n, 17]",
    "au_presence": "bytes, uint8 [n, 18]",
    "pose": "bytes, float32 [n, 6]",
    "start_pose": "bytes, float32 [6], pose in the clip's first frame with a face; where a clip is several records",
    "blink": "bytes, uint8 [n]",
    "coefficients": "bytes, float32 [n, K]",
    "identity": "bytes, float32 [512], of the whole clip",
    "words": "list of (word, start, end), seconds from the record's first frame",
    "phonemes": "list of (phoneme, start, end), seconds from the record's first frame",
    "sentence": "str",
    "av_offset": "float, frames, positive = video behind audio; 0 where exact",
    "label_source": "{field: exact | openface_csv | mediapipe | dlib | npz; of au also geometric(approximate), of "
                    "coefficients and identity the network}",
}

DTYPES = {"face_ok": np.uint8, "landmarks": np.float32, "au": np.float32, "au_presence": np.uint8, "pose": np.float32,
          "blink": np.uint8, "coefficients": np.float32, "identity": np.float32, "start_pose": np.float32}
"""Stored types of the arrays of a record, but for its audio."""


def example_shapes(spec: DataSpec, frames: int, coefficients: int) -> dict[str, tuple[tuple[int, ...], type]]:
    """{field: (shape, dtype)} of an example, without a batch axis.

    Args:
        spec: fields, stride and crop.
        frames: T.
        coefficients: K of the corpus.
    """
    letters = {"T": frames, "H": spec.crop.height, "W": spec.crop.width, "K": coefficients,
               "T * 640 + 6400": frames * spec.stride * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT}
    return {name: (tuple(letters.get(size, size) for size in BATCH_FIELDS[name].shape), BATCH_FIELDS[name].dtype)
            for name in (*ALWAYS, *spec.fields)}


class DataError(UserError):
    """Data cannot be used. The message names the file or clip, the rule it breaks, and the way out."""
