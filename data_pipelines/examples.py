"""One record to one example: window, still, crop, labels, mirror. Pure functions of (record, position, seed)."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from data_pipelines import crops, records, schema
from data_pipelines.manifest import Manifest
from data_pipelines.order import uniform_draws
from data_pipelines.prepare.framing import ALIGNED
from data_pipelines.schema import DataError
from thjax.core.data_spec import DataSpec


class KeptCrops:
    """Cropped frames of one record that were made before; lies in the record under "crops".

    Attributes:
        frames: uint8 `[n, H, W, 3]`.
        there: bool `[n]`, which of them are made.
    """

    def __init__(self, count: int, height: int, width: int):
        self.frames = np.empty((count, height, width, 3), np.uint8)  # takes memory only where it is written
        self.there = np.zeros(count, bool)


@dataclasses.dataclass(frozen=True)
class ExampleMaker:
    """Makes examples of one split.

    Attributes:
        spec: window, stride, still, crop, mirror and fields.
        seed: of every draw.
        length: T, frames of an example.
        coefficient_mirror: `[2, K]`, see `crops.mirror`; None where nothing is mirrored or there are no coefficients.
    """

    spec: DataSpec
    seed: int
    length: int
    coefficient_mirror: np.ndarray | None = None

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Arrays that a record must be decoded with."""
        wanted = {name for name in self.spec.fields if name in (*records.LABELS, "start_pose")}
        if "start_pose" in wanted:
            wanted.add("pose")
        if self.spec.crop.recipe == "canonical" and {"frames", "still", "landmarks"} & set(self.spec.fields):
            wanted.add("landmarks")
        return tuple(sorted(wanted))

    def sampled(self, record: dict, speaker: int, position: int, frames: np.ndarray | None = None
                ) -> dict[str, np.ndarray]:
        """The example at `position` of the stream: a random window of the record, a still, perhaps a mirror.

        Its frames may be made in `frames`, uint8 `[T, H, W, 3]`, if that is given, and are new if they are mirrored.
        """
        # Always three draws, so that one choice never moves another.
        at_start, at_still, at_mirror = uniform_draws(self.seed, position, 3)
        span = (self.length - 1) * self.spec.stride + 1
        start = int(at_start * max(record["n"] - span + 1, 1)) if self.spec.window else 0
        found = np.flatnonzero(record["face_ok"]) if record["face_ok"].any() else np.arange(record["n"])
        still = int(found[int(at_still * len(found))]) if self.spec.still == "random" else int(found[0])
        example = self.window(record, start, still, speaker, frames)
        if self.spec.mirror and at_mirror < 0.5:
            example = crops.mirror(example, self.spec.crop.width, self.coefficient_mirror)
            if "start_pose" in example:
                example["start_pose"] = example["start_pose"] * crops.MIRROR_POSE
        return self._select(example, position)

    def whole(self, segments: Sequence[dict], speaker: int, number: int) -> dict[str, np.ndarray]:
        """A whole clip from its records in order, padded to T; the still is the clip's first frame with a face."""
        parts = [self._part(record, speaker) for record in segments]
        first_seen = next((number for number, record in enumerate(segments) if record["face_ok"].any()), 0)
        example = {}
        for name, value in parts[0].items():
            if name == "audio":
                example[name] = self._join_audio(segments)
            elif name == "still":
                example[name] = parts[first_seen][name]
            elif name in ("speaker", "start_frame", "start_pose", *records.PER_CLIP_SHAPES):
                example[name] = value
            else:
                example[name] = _pad(np.concatenate([part[name] for part in parts])[: self.length], self.length)
        return self._select(example, number)

    def _part(self, record: dict, speaker: int) -> dict[str, np.ndarray]:
        """All frames of a segment that the clip's stride hits."""
        start = -record["start_frame"] % self.spec.stride
        length = len(range(start, record["n"], self.spec.stride))
        return dataclasses.replace(self, length=length).window(record, start, _first_found(record), speaker)

    def window(self, record: dict, start: int, still: int, speaker: int, frames: np.ndarray | None = None
               ) -> dict[str, np.ndarray]:
        """T frames from `start` on with their labels, zeros with `valid` 0 where the record ends; not yet selected."""
        stride, fields = self.spec.stride, self.spec.fields
        taken = slice(start, start + self.length * stride, stride)  # numpy goes through a range number by number
        example = {"valid": _pad((record["face_ok"][taken] > 0).astype(np.float32), self.length),
                   "speaker": np.int32(speaker), "start_frame": np.int32(record["start_frame"] + start)}
        if {"frames", "still", "landmarks"} & set(fields):
            example |= self._pixels(record, taken, still, frames)
        if "audio" in fields:
            samples = _samples(self.length * stride)
            example["audio"] = _pad(record["audio"][start * schema.SAMPLES_PER_FRAME :][:samples], samples)
        for name in ("au", "au_presence", "pose", "blink", "coefficients"):
            if name in fields:
                example[name] = self._pad_found(record[name][taken].astype(np.float32), record, taken)
        if "start_pose" in fields:
            example["start_pose"] = records.start_pose(record)
        return example | {name: record[name] for name in records.PER_CLIP_SHAPES if name in fields}

    def _pixels(self, record: dict, taken: slice, still: int, frames: np.ndarray | None) -> dict[str, np.ndarray]:
        fields, example, indices = self.spec.fields, {}, range(record["n"])[taken]
        if "frames" in fields:
            example["frames"] = frames = self._memory(self.length) if frames is None else frames
            self._crop_into(frames[: len(indices)], record, indices)
            frames[len(indices) :] = 0
            if still in indices:
                example["still"] = frames[indices.index(still)]
        if "still" in fields and "still" not in example:
            example["still"] = self._crop_into(self._memory(1), record, [still])[0]
        if "landmarks" in fields:
            points = record["landmarks"][taken]
            if self.spec.crop.recipe != "none":
                points = crops.transform_points(points, self._affine(record, indices))
            example["landmarks"] = self._pad_found(points, record, taken)
        return example

    def _memory(self, frames: int) -> np.ndarray:
        return np.empty((frames, self.spec.crop.height, self.spec.crop.width, 3), np.uint8)

    def _crop_into(self, out: np.ndarray, record: dict, places: Sequence[int]) -> np.ndarray:
        """Frames `places` of a record as the spec crops them, written into `out`; decoded never if they are kept."""
        kept = record.get("crops")
        if kept is None:
            return self._decode_into(out, record, places)
        missing = [place for place in places if not kept.there[place]]
        if missing:
            # Two threads may both do this: they write the same bytes, and `there` is set after them.
            kept.frames[missing] = self._decode_into(self._memory(len(missing)), record, missing)
            kept.there[missing] = True
        return np.take(kept.frames, places, axis=0, out=out, mode="clip")  # any other mode copies twice

    def _decode_into(self, out: np.ndarray, record: dict, places: Sequence[int]) -> np.ndarray:
        if self.spec.crop.recipe == "none" and out.shape[1:3] == (record["height"], record["width"]):
            return records.decode_frames(record, places, out)
        out[...] = crops.warp(records.decode_frames(record, places), self._affine(record, places), out.shape[1:3])
        return out

    def _pad_found(self, values: np.ndarray, record: dict, taken: slice) -> np.ndarray:
        """Labels padded to T and zero where there is no face: a tracker may have left anything there, NaN included."""
        found = (record["face_ok"][taken] > 0).reshape(-1, *[1] * (values.ndim - 1))
        return _pad(np.where(found, values, np.float32(0)), self.length)

    def _affine(self, record: dict, places: Sequence[int]) -> np.ndarray:
        """Maps of the frames `places`; a frame without a face takes the map of the nearest frame that has one.

        So does a frame whose landmarks are not finite: pixels have no NaN, and the guard sees it in the landmarks.
        """
        spec, size = self.spec.crop, (record["height"], record["width"])
        if spec.recipe != "canonical" or "landmarks" not in record:
            return crops.affine_for(spec, None, size, len(places))
        finite = np.isfinite(record["landmarks"][:, crops.STABLE_LANDMARKS]).all((1, 2))
        found = np.flatnonzero((record["face_ok"] > 0) & finite)
        if not len(found):  # no frame can be aligned: any crop will do
            return crops.affine_for(dataclasses.replace(spec, recipe="centre"), None, size, len(places))
        nearest = found[np.abs(found[None, :] - np.asarray(places)[:, None]).argmin(1)]
        return crops.affine_for(spec, record["landmarks"][nearest], size)

    def _join_audio(self, segments: Sequence[dict]) -> np.ndarray:
        audio = np.zeros(_samples(self.length * self.spec.stride), np.int16)
        for record in segments:
            place = audio[record["start_frame"] * schema.SAMPLES_PER_FRAME :][: len(record["audio"])]
            place[:] = record["audio"][: len(place)]
        return audio

    def _select(self, example: dict, position: int) -> dict[str, np.ndarray]:
        example["example_id"] = np.uint32(position % 2**32)
        return {name: np.asarray(example[name]) for name in (*schema.ALWAYS, *self.spec.fields)}


def check_fields(spec: DataSpec, manifest: Manifest) -> None:
    """Checks that a corpus has what a spec asks for.

    Raises:
        DataError: a field is unknown or the corpus does not have it; names those there are.
    """
    has = sorted({*schema.ALWAYS, "audio", "speaker", "start_frame", *(("frames", "still") if manifest.pixels else ()),
                  *manifest.labels, *(["start_pose"] if "pose" in manifest.labels else [])})
    for name in spec.fields:
        if name not in schema.BATCH_FIELDS:
            raise DataError(f"unknown batch field {name!r}; known: {', '.join(schema.BATCH_FIELDS)}")
        if name not in has:
            why = "" if manifest.pixels else " (feature records, written without pixels)"
            raise DataError(f"{manifest.directory} has no field {name!r}{why}; it has: {', '.join(has)}")
    crop = manifest.content.get("settings", {}).get("crop")
    if crop in ALIGNED and {"pose", "start_pose"} & set(spec.fields):
        raise DataError(f"{manifest.directory} is stored {crop!r}, every frame aligned, which hides how the head "
                        "moves, and the spec asks for pose; prepare it with --crop head")
    if not manifest.pixels and "landmarks" in spec.fields and spec.crop.recipe == "centre":
        raise DataError(f"{manifest.directory} has landmarks of frames that were not kept, and crop recipe 'centre' "
                        "needs the frames' size; set the crop's recipe to 'canonical' or 'none'")
    pixels = {"frames", "still"} & set(spec.fields)
    if pixels and spec.crop.recipe == "canonical" and "landmarks" not in manifest.labels:
        raise DataError(f"crop recipe 'canonical' needs landmarks and {manifest.directory} has none; "
                        "label the corpus, or set the crop's recipe to 'centre'")


def as_stored(spec: DataSpec, manifest: Manifest) -> DataSpec:
    """The spec with the crop `none` where `prepare` has stored what it asks for, so that nothing is warped twice."""
    stored = (manifest.content.get("settings", {}).get("crop"), manifest.content["height"], manifest.content["width"])
    if stored != (spec.crop.recipe, spec.crop.height, spec.crop.width):
        return spec
    return dataclasses.replace(spec, crop=dataclasses.replace(spec.crop, recipe="none"))


def coefficient_mirror(spec: DataSpec, manifest: Manifest) -> np.ndarray | None:
    """`[2, K]`: for every coefficient, the column its mirror image is taken from and the sign.

    Raises:
        DataError: the spec asks for mirrored coefficients and the corpus does not say how they mirror.
    """
    if not spec.mirror or "coefficients" not in spec.fields:
        return None
    names, odd = manifest.coefficients, manifest.content["odd_coefficients"]
    if odd is None:
        raise DataError(f"{manifest.directory} does not say how its coefficients mirror; set mirror to False, or drop "
                        "'coefficients' from the fields")
    return np.array([[names.index(_other_side(name)) for name in names], [-1 if name in odd else 1 for name in names]])


def _other_side(name: str) -> str:
    for side, other in (("left", "right"), ("right", "left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


def _first_found(record: dict) -> int:
    return int(record["face_ok"].argmax()) if record["face_ok"].any() else 0


def _samples(frames: int) -> int:
    return frames * schema.SAMPLES_PER_FRAME + 2 * schema.AUDIO_CONTEXT


def _pad(array: np.ndarray, length: int) -> np.ndarray:
    """Zeros after the last row, up to `length` rows."""
    if len(array) == length:
        return array
    out = np.zeros((length, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out
