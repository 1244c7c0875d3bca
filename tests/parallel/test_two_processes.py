"""The step on two processes of two devices each, beside one of four. Feed and checkpoint join in tests/train."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.engine.compare import assert_float64_close, assert_same_bits
from tests.multi_device import ROOT


def start(coordinator, processes, index, out):
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={4 // processes} --xla_backend_optimization_level=0",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.parallel.process", coordinator, str(processes), str(index), str(out)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def outcome(processes):
    outputs = [process.communicate(timeout=400)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(outputs)[-5000:]


@pytest.mark.thorough
@pytest.mark.multi_process
def test_two_processes_train_as_one_under_every_executor(tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        coordinator = f"localhost:{probe.getsockname()[1]}"
    outcome([start(coordinator, 2, index, tmp_path / f"{index}.npz") for index in range(2)])
    outcome([start("", 1, 0, tmp_path / "alone.npz")])
    first, second, alone = (dict(np.load(tmp_path / name)) for name in ("0.npz", "1.npz", "alone.npz"))
    assert len(alone) > 50
    assert_same_bits(first, second)
    assert_float64_close(first, alone)
