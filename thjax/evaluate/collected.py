"""What was measured of many clips: sums that shards take apart and that add up to one pass over everything."""

import dataclasses
import io
import json
import pathlib

import numpy as np

from thjax.core import files
from thjax.core.errors import UserError
from thjax.evaluate.measures import FeatureSource, Measurement
from thjax.metrics.distribution import Features
from thjax.metrics.merging import Moments, Ratio

FILE = "measurements.npz"
TRUTH = "truth"
"""Row under which features of the true clips are kept."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """Who and what a measured clip is.

    Attributes:
        key: its name.
        speaker: name, or None.
        angles: [t, 3] radians of the true head, for the controls of head motion; None without a judge of faces.
        onsets: [K] frames, of its sound.
        frames: how many; 0 where nobody asks.
    """

    key: str
    speaker: str | None
    angles: np.ndarray | None = None
    onsets: np.ndarray | None = None
    frames: int = 0


@dataclasses.dataclass
class Collected:
    """Measurements of clips, each under its number in the whole, so that no order and no shard changes a table.

    Attributes:
        about: what all shards must agree on: run, data, split, seeds, judges.
        total: clips of the whole; those of other shards included.
        clips: {number: Clip}.
        rows: {row: {metric: {number: Ratio}}}.
        features: {row: {source: Features}}; also of the truth.
        left_out: {reason: {row: {number: [metrics]}}}.
        not_judged: {reason: [names]} of clips that appear in no row.
        adapted: {what was done: [names]} of clips that were made to fit before they were measured.
    """

    about: dict
    total: int
    clips: dict[int, Clip] = dataclasses.field(default_factory=dict)
    rows: dict[str, dict[str, dict[int, Ratio]]] = dataclasses.field(default_factory=dict)
    features: dict[str, dict[FeatureSource, Features]] = dataclasses.field(default_factory=dict)
    left_out: dict[str, dict[str, dict[int, list[str]]]] = dataclasses.field(default_factory=dict)
    not_judged: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    adapted: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def add(self, row: str, number: int, measured: Measurement) -> None:
        """Takes the measurement of one clip of one row."""
        values = self.rows.setdefault(row, {})
        for name, ratio in measured.values.items():
            values.setdefault(name, {})[number] = ratio
        for name, reason in measured.left_out.items():
            self.left_out.setdefault(reason, {}).setdefault(row, {}).setdefault(number, []).append(name)
        self.add_features(row, measured.features)

    def add_features(self, row: str, features: dict[FeatureSource, np.ndarray]) -> None:
        """Takes features {source: [T, D]} of one clip."""
        sums = self.features.setdefault(row, {})
        for source, rows in features.items():
            sums[source] = _sum(sums.get(source), Features.of(rows))

    def __add__(self, other: "Collected") -> "Collected":
        """Both shards' clips.

        Raises:
            UserError: they are not shards of one whole, or they overlap.
        """
        mine, theirs = ({**part.about, **part.about.get("about", {}), "number of clips": part.total}
                        for part in (self, other))
        differing = sorted(name for name in {*mine, *theirs} - {"about"} if mine.get(name) != theirs.get(name))
        if differing:
            name = differing[0]
            raise UserError(f"these are no shards of one evaluation, they differ in {name}: {mine.get(name)} and "
                            f"{theirs.get(name)}; give the same command but for --shard and --out")
        twice = sorted(self.clips.keys() & other.clips.keys())
        if twice:
            raise UserError(f"clip {self.clips[twice[0]].key!r} and {len(twice) - 1} more are in two shards; "
                            "give every --shard I/N once")
        rows = _union(self.rows, other.rows, lambda a, b: _union(a, b, lambda x, y: x | y))
        left_out = _union(self.left_out, other.left_out, lambda a, b: _union(a, b, lambda x, y: x | y))
        names = lambda a, b: sorted({*a, *b})
        not_judged = _union(self.not_judged, other.not_judged, names)
        adapted = _union(self.adapted, other.adapted, names)
        features = _union(self.features, other.features, lambda a, b: _union(a, b, _sum))
        return Collected(self.about, self.total, self.clips | other.clips, rows,
                         features, left_out, not_judged, adapted)

    def write(self, directory: pathlib.Path) -> pathlib.Path:
        """Writes `measurements.npz`, whole or not at all; numbers come back to the bit."""
        header = {
            "about": self.about, "total": self.total,
            "clips": {number: [clip.key, clip.speaker, clip.frames] for number, clip in self.clips.items()},
            "rows": {row: {name: {number: [ratio.above, ratio.below] for number, ratio in values.items()}
                           for name, values in metrics.items()} for row, metrics in self.rows.items()},
            "left_out": self.left_out, "not_judged": self.not_judged, "adapted": self.adapted,
            "features": [[row, list(source), features.moments.count] for row, source, features in self._features()],
        }
        arrays = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
        for number, clip in self.clips.items():
            if clip.angles is not None:
                arrays |= {f"angles/{number}": clip.angles, f"onsets/{number}": clip.onsets}
        for number, (_, _, features) in enumerate(self._features()):
            moments = features.moments
            arrays |= {f"mean/{number}": moments.mean, f"scatter/{number}": moments.scatter,
                       f"kept/{number}": features.kept}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        directory.mkdir(parents=True, exist_ok=True)
        files.write_bytes(directory / FILE, buffer.getvalue())
        return directory / FILE

    def _features(self) -> list[tuple[str, FeatureSource, Features]]:
        return [(row, source, features) for row, found in self.features.items() for source, features in found.items()]

    @classmethod
    def read(cls, directory: pathlib.Path) -> "Collected":
        """What `write` wrote.

        Raises:
            UserError: there is no such file, or it cannot be read.
        """
        path = directory / FILE
        if not path.is_file():
            raise UserError(f"{directory} has no {FILE}; `thjax evaluate ... --shard I/N --out {directory}` writes it")
        try:
            with np.load(path) as archive:
                arrays = dict(archive)
            header = json.loads(arrays["header"].tobytes())
        except (*files.DAMAGED_NPZ, KeyError) as error:
            raise UserError(f"{path} cannot be read ({error}); measure this shard again") from None
        clips = {int(number): Clip(key, speaker, arrays.get(f"angles/{number}"), arrays.get(f"onsets/{number}"), frames)
                 for number, (key, speaker, frames) in header["clips"].items()}
        rows = {row: {name: {int(number): Ratio(*parts) for number, parts in values.items()}
                      for name, values in metrics.items()} for row, metrics in header["rows"].items()}
        features: dict[str, dict[FeatureSource, Features]] = {}
        for number, (row, source, count) in enumerate(header["features"]):
            moments = Moments(count, arrays[f"mean/{number}"], arrays[f"scatter/{number}"])
            features.setdefault(row, {})[FeatureSource(*source)] = Features(moments, arrays[f"kept/{number}"])
        left_out = {reason: {row: {int(number): names for number, names in numbers.items()}
                             for row, numbers in by_row.items()} for reason, by_row in header["left_out"].items()}
        return cls(header["about"], header["total"], clips, rows, features, left_out, header["not_judged"],
                   header["adapted"])


def check_complete(collected: Collected) -> None:
    """Raises UserError where clips of the whole were measured by none of the shards."""
    missing = collected.total - len(collected.clips) - sum(map(len, collected.not_judged.values()))
    if missing:
        raise UserError(f"{missing} of {collected.total} clips are in none of these shards; "
                        "add the folders of the other shards")


def _sum(a: Features | None, b: Features) -> Features:
    return b if a is None else a + b


def _union(a: dict, b: dict, both) -> dict:
    """Entries of either, those in both combined; the order of `a` first."""
    return a | {key: both(a[key], value) if key in a else value for key, value in b.items()}
