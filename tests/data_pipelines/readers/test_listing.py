"""Trees as they are on disks: archives, links, folders that may not be read, many files."""

import os
import tarfile
import time
import zipfile

import pytest

from data_pipelines.readers import READERS, listing
from data_pipelines.readers.reference import ClipReference
from data_pipelines.schema import DataError


def put(root, *names, content=b"x"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def found(root, *suffixes, workers=2):
    return listing.listing(root, suffixes or (".mp4", ".txt"), workers)


def reasons(root):
    return {"/".join(problem.parts): problem.reason for problem in found(root).problems}


def test_files_come_sorted_and_only_those_asked_for(tmp_path):
    put(tmp_path, "b/2.mp4", "a/1.MP4", "a/.hidden.mp4", "__MACOSX/a/1.mp4", "a/readme.md")
    assert [entry.parts for entry in found(tmp_path).entries] == [("a", "1.MP4"), ("b", "2.mp4")]


def test_members_of_zip_and_tar_are_read_in_place(tmp_path):
    put(tmp_path / "in", "c/1.mp4", content=b"first" * 9)
    put(tmp_path / "in", "c/2.txt", content="\ufefftext\r\nend".encode())
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as out:
        out.add(tmp_path / "in" / "c" / "1.mp4", "c/" + "long" * 60 + ".mp4")
        out.add(tmp_path / "in" / "c" / "2.txt", "c/2.txt")
    for method, name in ((zipfile.ZIP_STORED, "s.zip"), (zipfile.ZIP_DEFLATED, "d.zip")):
        with zipfile.ZipFile(tmp_path / name, "w", method) as out:
            out.write(tmp_path / "in" / "c" / "1.mp4", "c/1.mp4")
            out.write(tmp_path / "in" / "c" / "2.txt", "c/2.txt")
    entries = {entry.parts: entry for entry in found(tmp_path).entries if entry.member}
    for parts, entry in entries.items():
        if entry.suffix == ".txt":
            assert listing.read_text(entry) == "text\nend", parts
        elif entry.method == 0:
            place = entry.location
            with open(place.path, "rb") as file:
                file.seek(place.start)
                assert file.read(place.size) == b"first" * 9, parts
    assert len(entries) == 6 and entries["d.zip", "c", "1.mp4"].method == zipfile.ZIP_DEFLATED
    # A video that its zip compressed cannot be read in place, and that is said.
    compressed = [item for item in READERS["folder"].scan(tmp_path, 1) if "d.zip" in item.key]
    assert [item.reason for item in compressed] == ["compressed_archive"]


def test_archives_that_cannot_be_listed(tmp_path):
    put(tmp_path, "whole/1.mp4", content=os.urandom(3000))
    for name, opened in (("t.tar", tarfile.open), ("z.zip", zipfile.ZipFile)):
        with opened(tmp_path / name, "w") as out:
            getattr(out, "add", getattr(out, "write", None))(tmp_path / "whole" / "1.mp4", "1.mp4")
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:2000])
    put(tmp_path, "a.tar.gz", "vox2_dev_mp4_partaa", "lrw-v1-partab", "b.zip.001", "empty.zip")
    assert reasons(tmp_path) == {
        "t.tar": "damaged_archive", "z.zip": "damaged_archive", "empty.zip": "damaged_archive",
        "a.tar.gz": "compressed_archive", "vox2_dev_mp4_partaa": "archive_part", "lrw-v1-partab": "archive_part",
        "b.zip.001": "archive_part"}


def test_an_archive_kept_beside_what_was_unpacked_is_no_second_clip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("id00001/v/00001.mp4", b"12345")
    put(tmp_path, "id00001/v/00001.mp4", content=b"12345")
    (clip,) = READERS["voxceleb2"].scan(tmp_path, 1)
    assert isinstance(clip, ClipReference) and clip.video.member is None
    put(tmp_path, "dev/mp4/id00001/v/00001.mp4", content=b"12345")
    assert [getattr(item, "reason", None) for item in READERS["voxceleb2"].scan(tmp_path, 1)].count(
        "duplicate_key") == 1


def test_links_that_loop_or_lead_nowhere(tmp_path):
    put(tmp_path, "a/1.mp4", "b/2.mp4")
    os.symlink("../b", tmp_path / "a" / "to_b")
    os.symlink("../a", tmp_path / "b" / "to_a")
    os.symlink("gone.mp4", tmp_path / "a" / "3.mp4")
    os.symlink("self.mp4", tmp_path / "a" / "self.mp4")
    problems = reasons(tmp_path)
    assert problems == {"a/3.mp4": "broken_link", "a/self.mp4": "broken_link", "a/to_b/to_a": "symlink_loop",
                        "b/to_a/to_b": "symlink_loop", "b/to_a/3.mp4": "broken_link", "b/to_a/self.mp4": "broken_link"}


def test_a_folder_that_may_not_be_read_costs_itself(tmp_path, monkeypatch):
    put(tmp_path, "a/1.mp4", "b/2.mp4")
    scandir = os.scandir

    def refuse(path):  # by hand, for root may read everything
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [entry.parts for entry in found(tmp_path).entries] == [("a", "1.mp4")]
    assert reasons(tmp_path) == {"b": "unreadable_folder"}
    rejected = [item for item in READERS["folder"].scan(tmp_path, 2) if not isinstance(item, ClipReference)]
    assert [item.key for item in rejected] == ["folder/b"] and "permission" in rejected[0].detail
    with pytest.raises(DataError, match="permission"):
        found(tmp_path / "b")


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "1.mp4")
    assert found(tmp_path) == ([], [])


def test_order_and_content_do_not_depend_on_workers(tmp_path):
    put(tmp_path, *(f"{a}/{b}/{c}.mp4" for a in "cab" for b in "21" for c in "yxz"))
    lists = [found(tmp_path, workers=workers) for workers in (1, 2, 7)]
    assert lists[0] == lists[1] == lists[2] and len(lists[0].entries) == 18
    with pytest.raises(DataError, match="workers 0"):
        found(tmp_path, workers=0)


def test_listing_is_quick(tmp_path):
    """100,000 empty entries in under a minute: here 2,000, by the processor's clock."""
    put(tmp_path, *(f"dev/mp4/id{p:05d}/v{v}/{c:05d}.mp4" for p in range(20) for v in range(5) for c in range(20)),
        content=b"")
    started = time.process_time()
    items = list(READERS["voxceleb2"].scan(tmp_path, 4))
    assert len(items) == 2000 and {item.reason for item in items} == {"empty_file"}
    assert time.process_time() - started < 60 * 2000 / 100_000


@pytest.mark.corpora
def test_a_hundred_thousand_empty_entries_in_a_minute(tmp_path):
    for person in range(100):
        for video in range(10):
            folder = tmp_path / "dev" / "mp4" / f"id{person:05d}" / f"v{video}"
            folder.mkdir(parents=True)
            for number in range(100):
                (folder / f"{number:05d}.mp4").touch()
    started = time.monotonic()
    items = list(READERS["voxceleb2"].scan(tmp_path, 16))
    assert len(items) == 100_000 and {item.reason for item in items} == {"empty_file"}
    assert time.monotonic() - started < 60
