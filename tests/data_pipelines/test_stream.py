"""Batches made ahead by threads and worker processes: the bytes are those of the stream, whoever makes them."""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.batch_memory import BatchMemory
from data_pipelines.loader import Loader
from data_pipelines.schema import DataError
from data_pipelines.shards import ShardReader
from data_pipelines.stream import _Steps
from tests.data_pipelines.toy_corpus import damage, equal
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import CropSpec, DataSpec

SMALL = DataSpec(fields=("frames", "audio"), window=4, batch=2, mirror=True, crop=CropSpec("canonical", 16, 12))


def digest(batches):
    values = [batch[name].tobytes() for batch in batches for name in sorted(batch)]
    return hashlib.sha256(b"".join(values)).hexdigest()


def test_the_stream_starts_anywhere_without_replay(corpus, spec, monkeypatch):
    monkeypatch.setattr("data_pipelines.loader.KEPT_BYTES", 0)
    loader = Loader(corpus, spec, seed=1, config=LoaderConfig(prefetch=0))
    reads = []
    read = ShardReader.read
    monkeypatch.setattr(ShardReader, "read", lambda self, *place: reads.append(place) or read(self, *place))
    with loader.iterate(123_456) as batches:
        got = [next(batches) for _ in range(2)]
    assert len(reads) == 2 * 4
    assert all(equal(batch, loader.batch_at(123_456 + i)) for i, batch in enumerate(got))


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_prefetching_changes_no_byte(corpus, spec, prefetch):
    loader = Loader(corpus, spec, seed=1, config=LoaderConfig(prefetch=prefetch))
    with loader.iterate(2) as batches:
        assert all(equal(next(batches), loader.batch_at(2 + i)) for i in range(5))
    assert next(batches, None) is None


@pytest.mark.multi_process
def test_two_worker_processes_change_no_byte(corpus, spec):
    loader = Loader(corpus, spec, seed=1, config=LoaderConfig(workers=2))
    with loader.iterate(3) as batches:
        assert all(equal(next(batches), loader.batch_at(3 + i)) for i in range(30))


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.multi_process)])
def test_batches_that_are_kept_stay_what_they_are(corpus, spec, workers):
    loader = Loader(corpus, spec, seed=1, config=LoaderConfig(workers=workers))
    with loader.iterate() as batches:
        kept = [next(batches) for _ in range(20)]  # there are places for fewer
        assert batches._memory.take(3) is None
        part = {name: value[1:] for name, value in kept[3].items()}
        kept[3] = None  # a view holds the place as well as the batch does
        last = [next(batches) for _ in range(20)]
    assert all(equal(batch, loader.batch_at(step)) for step, batch in enumerate(kept + last) if batch)
    assert equal(part, {name: value[1:] for name, value in loader.batch_at(3).items()})


@pytest.mark.parametrize("kept_bytes", [0, None])
@pytest.mark.parametrize("recipe,height,width", [("canonical", 16, 12), ("none", 32, 32)])
def test_what_lay_in_memory_before_is_not_seen(corpus, spec, kept_bytes, recipe, height, width):
    """Windows longer than some records, strides, mirrors: every byte of a batch is written."""
    spec = dataclasses.replace(spec, window=12, stride=5, crop=CropSpec(recipe, height, width))
    loader = Loader(corpus, spec, seed=1, kept_bytes=kept_bytes)
    for step in range(6):
        out = {name: np.full(shape, 255, dtype) for name, (shape, dtype) in loader.batch_shapes().items()}
        assert loader.batch_at(step, out) is out and (out["valid"] == 0).any()
        assert equal(out, loader.batch_at(step))


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.multi_process)])
def test_a_stream_may_change_what_it_makes(corpus, spec, workers):
    with Louder(corpus, spec, config=LoaderConfig(workers=workers)).iterate() as batches:
        for step, batch in zip(range(3), batches, strict=False):
            plain = Loader(corpus, spec).batch_at(step)
            np.testing.assert_array_equal(batch["frames"], plain["frames"] // 2)
            np.testing.assert_array_equal(batch["valid"], plain["valid"] + 4)


def test_a_worker_gives_the_place_back_that_its_stream_did_not_want(corpus, spec):
    stream = Louder(corpus, spec, config=LoaderConfig(workers=1))
    memory = BatchMemory(stream.batch_shapes(), places=1, shared=True)
    made = [_Steps(stream, 0, memory)[number] for number in range(2)]
    assert all(equal(batch, stream.batch_at(step)) for step, batch in enumerate(made))
    assert memory.take(2) is not None


class Louder(Loader):
    """Frames that are made elsewhere than in the memory given, and a batch that is another dict."""

    def example_at(self, position, frames=None):
        example = super().example_at(position, frames)
        return example | {"frames": example["frames"] // 2}

    def batch_at(self, stage_step, out=None):
        batch = super().batch_at(stage_step, out)
        return batch | {"valid": batch["valid"] + 4}


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.multi_process)])
def test_without_memory_to_share_the_batches_are_the_same(corpus, spec, workers, monkeypatch):
    loader = Loader(corpus, spec, seed=1, config=LoaderConfig(workers=workers))

    def none_here(*_, **__):
        raise OSError("no memory")

    monkeypatch.setattr("data_pipelines.stream.BatchMemory", none_here)
    with pytest.warns(UserWarning, match="takes memory of its own.*no memory"):
        ahead = loader.iterate(2)
    with ahead as batches:
        assert batches._memory is None and all(equal(next(batches), loader.batch_at(2 + i)) for i in range(3))


@pytest.mark.multi_process
@pytest.mark.parametrize("workers", [0, 1])
def test_damage_found_while_reading_reaches_the_loop(corpus, spec, tmp_path, monkeypatch, workers):
    monkeypatch.setattr("data_pipelines.loader.HASHED_AT_START", 0)
    directory = shutil.copytree(corpus, tmp_path / "copy")
    name = damage(directory)
    loader = Loader(directory, spec, config=LoaderConfig(workers=workers))
    with loader.iterate() as batches, pytest.raises(DataError, match=f"{name}: record .* cannot be read"):
        for _ in range(8):
            next(batches)


LOOP = """
import multiprocessing, os, signal, sys
from data_pipelines.batch_memory import BatchMemory
from data_pipelines.loader import Loader
from tests.data_pipelines.test_stream import SMALL, digest
from thjax.core.config import LoaderConfig

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: print("caught"))
    batches = Loader(sys.argv[1], SMALL, config=LoaderConfig(workers=1)).iterate()
    next(batches)
    os.killpg(0, signal.SIGINT)
    print(digest(next(batches) for _ in range(8)))
    print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.multi_process
def test_a_worker_changes_no_byte_survives_ctrl_c_and_ends_with_a_killed_loop(corpus, tmp_path):
    script = tmp_path / "loop.py"
    script.write_text(LOOP)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, str(script), str(corpus)], stdout=subprocess.PIPE, text=True, timeout=120,
                          cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, start_new_session=True)
    caught, digested, workers = done.stdout.splitlines()
    loader = Loader(corpus, SMALL)
    assert caught == "caught" and digested == digest(loader.batch_at(step) for step in range(1, 9))
    pids = [int(pid) for pid in workers.split()]
    assert done.returncode == -9 and pids
    deadline = time.monotonic() + 20
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().split()[2] != "Z"
