"""A disk that really is full: a small tmpfs in a user's own mount namespace."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from data_pipelines import command
from thjax.core import files
from thjax.core.errors import UserError


def in_a_namespace(mount_point, *command):
    """Runs a command where 4 MB are mounted at `mount_point`; skips where this system does not let a user do so."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare, of Linux")
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o size=4m tmpfs "{mount_point}"'
    tried = subprocess.run([*unshare, mount], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"a user may not mount here: {tried.stderr.strip()}")
    return subprocess.run([*unshare, f'{mount} && exec "$@"', "sh", *command], capture_output=True, text=True)


@pytest.mark.multi_process
def test_a_full_disk_is_named_at_every_stage_and_the_same_command_goes_on(tree, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    run = in_a_namespace(place, sys.executable, "-m", "tests.data_pipelines.prepare.on_a_small_disk", str(tree),
                         str(tmp_path / "reference"), str(place))
    assert run.returncode == 0, run.stderr
    *tries, same = map(json.loads, run.stdout.splitlines())
    for tried in tries:
        assert tried["status"] == 2 and not tried["torn"]
        assert tried["said"].startswith(f"thjax data: {place}/out") and "make room" in tried["said"], tried["said"]
    # Files of every kind met the end of the disk.
    said = "\n".join(tried["said"] for tried in tries)
    for name in ("clips.jsonl", "the records will take", ".array_record could", "quarantine.jsonl", "manifest.jsonl"):
        assert name in said, name
    assert same


def test_the_system_s_error_is_turned_into_a_file_and_a_way_out(tree, tmp_path, monkeypatch):
    """What the test above sees on a real disk, where a user may not mount one."""
    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(UserError, match=r"plan/next/clips.jsonl could not be written \(No space left.*make room"):
        command.run(["plan", "--corpus", "folder", "--root", str(tree), "--out", str(tmp_path)])
    assert not list((tmp_path / "plan").iterdir())
