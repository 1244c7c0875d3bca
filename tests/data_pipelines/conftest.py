"""Corpora that several tests of the feed read."""

import numpy as np
import pytest

from data_pipelines import schema
from data_pipelines.writer import Writer
from tests.data_pipelines.toy_corpus import toy_clip, write_toy_corpus
from thjax.core.data_spec import CropSpec, DataSpec


def numbered_clip(key, frames):
    """A clip in which everything of frame t says t: grey level 2 t, every sample, the first pose value."""
    time = np.arange(frames)
    return toy_clip(key, frames, 16, 0) | {
        "frames": np.broadcast_to((2 * time)[:, None, None, None], (frames, 16, 16, 3)).astype(np.uint8),
        "audio": np.repeat(time + 1, schema.SAMPLES_PER_FRAME).astype(np.int16),
        "pose": np.repeat(time[:, None], 6, 1).astype(np.float32),
    }


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """Clips of 60, 9 and 110 (75 + 35) frames; frame 0 of the second has no face."""
    writer = Writer(tmp_path_factory.mktemp("numbered"), dataset="toy", size=16, coefficients=tuple("abcd"))
    lengths = {"toy/s0/c0": 60, "toy/s1/c0": 9, "toy/s2/c0": 110}
    shards = writer.plan({"train": list(lengths)}, clips_per_shard=2)

    def make(key):
        clip = numbered_clip(key, lengths[key])
        return clip | {"face_ok": np.array([0] + [1] * 8, np.uint8)} if lengths[key] == 9 else clip

    for shard in shards:
        writer.write_shard(shard, make)
    return writer.finish(shards).directory


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Five speakers of three clips: 20, 9, 110 (75 + 35) and 40 frames in turn, every label."""
    return write_toy_corpus(tmp_path_factory.mktemp("toy"), speakers=5, frames=(20, 9, 110, 40)).directory


@pytest.fixture
def spec():
    """Every field of a batch, upright crops of windows of 8 frames, half of them mirrored."""
    everything = tuple(name for name in schema.BATCH_FIELDS if name not in schema.ALWAYS)
    return DataSpec(fields=everything, window=8, batch=4, still="random", mirror=True,
                    crop=CropSpec("canonical", 16, 12))
