"""Runs a file of tests in a process of its own: the number of devices and x64 are fixed when jax starts."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent


def run_tests(file: str, devices: int = 8, x64: bool = False, quick: bool = False) -> int:
    """Runs pytest on `file` (path from the root) with simulated devices; fails with its output.

    Returns how many of its tests were skipped, for the caller to assert: what never runs asserts nothing.

    `quick` compiles without optimising: the same operations, in half the time.
    The file's name does not begin with `test_`, so that the outer run leaves it alone.
    """
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": flags + (" --xla_backend_optimization_level=0" if quick else ""),
        "JAX_ENABLE_X64": str(int(x64)),
        "PYTHONPATH": str(ROOT),
    }
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", file]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1400)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    counts = {outcome: int(number) for number, outcome in re.findall(r"(\d+) (passed|skipped)", result.stdout)}
    assert counts.get("passed"), result.stdout
    return counts.get("skipped", 0)
