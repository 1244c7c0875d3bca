import pytest

from tests.multi_device import run_tests


@pytest.mark.thorough
def test_blocks_agree_compiled_eager_and_per_device():
    assert run_tests("tests/blocks/variants.py", devices=2, quick=True) == 0
