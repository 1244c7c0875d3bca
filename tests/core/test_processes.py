"""A killed command leaves no worker behind."""

import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

PARENT = """
import concurrent.futures, multiprocessing, os, time
from thjax.core import processes
with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"),
                                            initializer=processes.belong_to, initargs=(os.getpid(),)) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def lives(process):
    """False of one that ended, whether or not anybody has asked how."""
    try:
        state = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(f"if __name__ == '__main__':\n{textwrap.indent(PARENT, '    ')}")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert lives(worker)
        parent.send_signal(number)
    deadline = time.monotonic() + 30
    while lives(worker) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not lives(worker)
