"""A toy corpus, the toy system, and runs of it in this process or in one of its own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE / "toy"), str(HERE.parent / "data_pipelines")]
MEASURED = ("time", "frames_per_second", "data_wait")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Directory of a toy corpus: 6 clips train, 3 validate, 3 test."""
    from toy_corpus import write_toy_corpus

    directory = tmp_path_factory.mktemp("corpus") / "toy"
    write_toy_corpus(directory, size=16)
    return directory


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A compilation cache that all runs of these tests share."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session", autouse=True)
def toy_system(compiled):
    """Makes the toy system known to this process, and compiles each of its programs once."""
    import main

    main.install()
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    jax.config.update(names[0], str(compiled))
    jax.config.update(names[1], 0.0)
    yield
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)


@dataclasses.dataclass
class Toy:
    """Runs the toy system."""

    corpus: Path
    compiled: Path

    def arguments(self, out, *overrides, variant="demo"):
        return ["train", f"toy:{variant}", "--data", str(self.corpus), "--out", str(out), *map(str, overrides)]

    def here(self, out, *overrides, variant="demo"):
        """In this process; returns the exit status."""
        from thjax import cli

        return cli.main(self.arguments(out, *overrides, variant=variant))

    def apart(self, out, *overrides, variant="demo", end=""):
        """In a process of its own, which `end` may end, see toy/main.py; returns the completed process."""
        process = self.start(out, *overrides, variant=variant, end=end)
        output, errors = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, out, *overrides, variant="demo", end="", process=""):
        """Starts a process of its own; `process` makes it one of several, see toy/main.py."""
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "TOY_END": end,
            "TOY_PROCESS": process,
            "JAX_COMPILATION_CACHE_DIR": str(self.compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        command = [sys.executable, str(HERE / "toy" / "main.py"), *self.arguments(out, *overrides, variant=variant)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="session")
def toy(corpus, compiled):
    """See `Toy`."""
    return Toy(corpus, compiled)


def log_of(out):
    """Entries of metrics.jsonl without what a clock measured."""
    entries = [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key not in MEASURED} for entry in entries]


def contents(out, step):
    """(arrays of a checkpoint, its record without what depends on the machine)."""
    from thjax import systems
    from thjax.checkpoint import config_io, store
    from thjax.checkpoint.load import abstract_state, load_state

    directory = store.step_directory(Path(out), step)
    record = store.verify(directory)
    config = config_io.from_dict(record.config)
    state = load_state(directory, abstract_state(systems.build(config), config, record.stage))
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}, dataclasses.asdict(record)


def assert_same_run(out, other, step):
    """Both runs hold the same bits at a step, and have logged the same."""
    (arrays, record), (expected, expected_record) = contents(out, step), contents(other, step)
    assert arrays.keys() == expected.keys()
    different = [name for name, value in expected.items() if arrays[name].tobytes() != value.tobytes()]
    assert not different
    assert record == expected_record
    assert log_of(out) == log_of(other)
