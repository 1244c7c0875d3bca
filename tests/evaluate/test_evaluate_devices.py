import pytest

from tests.multi_device import run_tests


@pytest.mark.thorough
@pytest.mark.multi_process
def test_eight_devices_share_an_evaluation():
    assert run_tests("tests/evaluate/eight_devices.py", quick=True) == 0
