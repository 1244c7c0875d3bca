import os
import subprocess
import sys

import pytest

from thjax.train import memory

FAULTS = """
import resource, sys
from thjax.train.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
import jax, jax.numpy as jnp
f = jax.jit(lambda a: (((a @ a.T) @ a) @ a.T) @ a)  # two temporaries of 64 MB
x = jnp.ones((4000, 50)) / 4000
rounds = []
for _ in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    f(x).block_until_ready()
    rounds.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(kept, sorted(rounds[20:])[10])
"""


def faults(mode):
    """The median of the later rounds: the heap grows at first, and may in single rounds later."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", FAULTS, mode], env=environment, capture_output=True, text=True,
                         timeout=300, check=True)
    kept, count = run.stdout.split()
    return kept == "True", int(count)


@pytest.mark.thorough
@pytest.mark.multi_process
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_used_again():
    kept, few = faults("keep")
    assert kept
    given_back, many = faults("leave")
    assert not given_back and few < 0.1 * many


@pytest.mark.parametrize("platforms, on_cpu", [("cpu", True), ("cuda,cpu", False), ("tpu", False)])
def test_an_accelerator_leaves_the_allocator_alone(monkeypatch, platforms, on_cpu):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert memory._on_cpu() == on_cpu


def test_without_a_choice_the_plugins_decide(monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(memory.importlib.metadata, "entry_points", lambda group: ["a plugin"])
    assert not memory._on_cpu()
