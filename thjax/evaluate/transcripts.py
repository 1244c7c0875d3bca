"""What is said in the clips of a corpus: words and phonemes with their times, which batches do not carry."""

from data_pipelines import records
from data_pipelines.manifest import Manifest
from data_pipelines.schema import FPS
from data_pipelines.shards import ShardReader
from thjax.evaluate.truth import Spans


class Transcripts:
    """Words and phonemes of the clips of a split.

    Args:
        manifest: of the corpus.
        split: of it.
    """

    def __init__(self, manifest: Manifest, split: str):
        self._index = manifest.index
        self._rows: dict[str, list[int]] = {}
        for row in manifest.rows(split):
            self._rows.setdefault(manifest.clip_key(row), []).append(int(row))
        self._shards = ShardReader([manifest.directory / shard["name"] for shard in manifest.content["shards"]])

    def of(self, key: str) -> tuple[Spans, Spans]:
        """Words and phonemes of a clip, seconds from its first frame; empty where the corpus has none."""
        words, phonemes = [], []
        for row in self._rows[key]:
            record = records.decode(self._shards.read(int(self._index["shard"][row]), int(self._index["offset"][row])),
                                    fields=())
            for kept, name in ((words, "words"), (phonemes, "phonemes")):
                kept += _moved(record[name], record["start_frame"] / FPS)
        return _once(words), _once(phonemes)


def _moved(spans: list, seconds: float) -> Spans:
    # Rounded, so that a word on the border of two segments is the same one in both.
    return [(str(text), round(start + seconds, 6), round(end + seconds, 6)) for text, start, end in spans]


def _once(spans: Spans) -> Spans:
    return sorted(dict.fromkeys(spans), key=lambda span: span[1:])
