"""Losses compiled, eager and per device: on one device chex skips the last of these ways."""

import pytest

from tests.multi_device import run_tests

pytestmark = pytest.mark.multi_process


@pytest.mark.parametrize("name", ["adversarial", "reconstruction"])
def test_losses_agree_compiled_eager_and_per_device(name):
    assert run_tests(f"tests/losses/test_{name}.py", devices=2, quick=True) == 0
