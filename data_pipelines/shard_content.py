"""What a shard holds, gathered while it is written."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from data_pipelines import records, statistics
from data_pipelines.schema import DataError
from data_pipelines.shards import open_shard

SEVERAL = ", "
"""Between the sources of a label where clips have different ones."""


@dataclasses.dataclass(frozen=True)
class LostClip:
    """A clip of the plan that cannot be used; `make_clip` returns it in a clip's place.

    Attributes:
        key: of the clip.
        speaker: of the clip.
        reason: a code.
        ledger: what else the ledger is to say of it.
    """

    key: str
    speaker: str
    reason: str
    ledger: Mapping = dataclasses.field(default_factory=dict)


class ShardContent:
    """What a shard holds, gathered while it is written."""

    def __init__(self):
        self.clips, self.rows, self.statistics, self.label_source = [], [], [], {}
        self.lost: list[dict] = []
        self._segments: list[dict] = []
        self.fields: list[str] | None = None
        self.coefficients: list[str] | None = None

    def add_clip(self, clip: dict) -> list[bytes]:
        """Encodes a clip into records of at most one segment each and counts it.

        Args:
            clip: as `records.segments` takes it, with `coefficient_names` where the writer does not know them, and
                perhaps a mapping under `ledger`.

        Raises:
            DataError: its labels are not those of the clips before it.
        """
        encoded = []
        self._check_names(clip)
        for record in records.segments(clip):
            data = records.encode(record)
            labels = sorted(name for name in records.LABELS if name in record)
            self.fields = labels if self.fields is None else self.fields
            if labels != self.fields:
                raise DataError(f"{clip['key']}: labels {labels}, clips before it have {self.fields}; "
                                "every clip of a corpus must have the same")
            self.add_record(records.decode(data))
            encoded.append(data)
        self.label_source = with_sources(self.label_source, clip.get("label_source", {}))
        self.clips.append({"key": clip["key"], "split": clip["split"], "speaker": clip["speaker"], "status": "ok",
                           "frames": records.clip_frames(clip), "segments": len(encoded),
                           "sentence": clip.get("sentence", ""), **clip.get("ledger", {})})
        return encoded

    def _check_names(self, clip: dict) -> None:
        names = clip.get("coefficient_names")
        if not self.clips:
            self.coefficients = names
        elif names != self.coefficients:
            raise DataError(f"{clip['key']}: its coefficients are {_shown(names)}, those of clips before it "
                            f"{_shown(self.coefficients)}; every clip of a corpus must have the same")

    def add_record(self, record: dict) -> None:
        """Counts a decoded record. The records of a clip come one after the other, in order."""
        self.rows.append([record["n"], record["segment"]])
        self._segments.append({name: record[name] for name in statistics.FIELDS if name in record})
        if record["segment"] + 1 == record["segments"]:
            self.statistics.append(statistics.of_clip(self._segments))
            self._segments = []

    def add_lost(self, clip: LostClip, split: str) -> None:
        """Counts a clip of the plan that cannot be used."""
        self.lost.append({"key": clip.key, "split": split, "speaker": clip.speaker, "status": "quarantined",
                          "reason": clip.reason, **clip.ledger})

    def report(self) -> dict:
        """What the corpus's own files are later made of, as JSON can hold it."""
        report = {"clips": self.clips, "rows": self.rows, "fields": self.fields or [],
                  "label_source": self.label_source, "statistics": statistics.merge(self.statistics)}
        report |= {"coefficients": self.coefficients} if self.coefficients else {}
        return report | ({"lost": self.lost} if self.lost else {})


def count_shard(path: Path) -> dict:
    """Statistics of a shard that is on disk; decodes no frame."""
    reader, content = open_shard(path), ShardContent()
    for place in range(reader.num_records()):
        content.add_record(records.decode(reader.read([place])[0]))
    return content.report()["statistics"]


def with_sources(known: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """{field: source} of both; every source that occurs is named."""
    out = dict(known)
    for field, source in more.items():
        if out.setdefault(field, source) != source:
            out[field] = SEVERAL.join(sorted({*out[field].split(SEVERAL), *source.split(SEVERAL)}))
    return out


def _shown(names: list[str] | None) -> str:
    return f"{names[0]} ... {names[-1]} ({len(names)})" if names else "not named"
