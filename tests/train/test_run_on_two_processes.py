"""Feed, step and checkpoint on two processes that meet over Gloo, beside one process alone."""

import socket

import numpy as np
import pytest
from conftest import contents, log_of

from thjax.checkpoint import store

pytestmark = pytest.mark.multi_process


def both(toy, out, *overrides):
    """Runs two processes to their end; returns their exit codes and messages."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    processes = [toy.start(out, *overrides, process=f"{port}:2:{index}") for index in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    return [process.returncode for process in processes], [errors for _, errors in outputs]


def assert_close(arrays, expected):
    """The f32 rule between numbers of devices."""
    floats = {name: value for name, value in expected.items() if value.dtype.kind == "f" and value.size}
    largest = max(np.abs(value).max() for value in floats.values())
    for name, value in floats.items():
        assert np.abs(arrays[name] - value).max() <= 1e-3 * np.abs(value).max() + 1e-6 * largest, name
    assert all(np.array_equal(arrays[name], value) for name, value in expected.items() if name not in floats)


def examples(out):
    """Sum of the example ids of every step."""
    return [entry["example_ids"] for entry in log_of(out) if entry["kind"] == "train"]


@pytest.mark.thorough
def test_two_processes_resume_train_and_save_as_one_does(toy, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert toy.here(two, "--train.steps", 2) == 0
    codes, errors = both(toy, two, "--train.steps", 6)
    assert codes == [0, 0], errors
    assert store.steps(two) == [4, 6]
    assert toy.here(one, "--train.steps", 6) == 0
    (arrays, record), (expected, expected_record) = contents(two, 6), contents(one, 6)
    assert record["position"] == expected_record["position"] == 24
    assert_close(arrays, expected)
    assert examples(two) == examples(one) and len(examples(two)) == 6
    # What two processes have written, one reads.
    assert toy.here(two) == 0
    assert store.steps(two)[-1] == 12
