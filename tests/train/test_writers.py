"""metrics.jsonl and TensorBoard, and what a resume drops of them."""

import json
import math
import struct

from thjax.train.event_file import records
from thjax.train.writers import Logs


def events(run):
    """{(tag, step)} over all event files."""
    files = sorted((run / "tensorboard").glob("events*"))
    return [(value.tag, event.step) for path in files for _, event in records(path) for value in event.summary.value]


def write(run, steps, step=0, evaluated=-1):
    logs = Logs(run, step, evaluated)
    for number in steps:
        logs.write("train", number, "s", {"loss": number / 2, "idle": math.nan}, frames_per_second=3.0)
        if number % 2 == 0:
            logs.write("validation", number, "s", {"l1": 1.0})
    logs.close()


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_entries_hold_finite_values_only(tmp_path):
    write(tmp_path, [1])
    (entry,) = lines(tmp_path)
    entry.pop("time")
    assert entry == {"kind": "train", "step": 1, "stage": "s", "loss": 0.5, "frames_per_second": 3.0}
    assert sorted(events(tmp_path)) == [("speed/frames_per_second", 1), ("train/loss", 1)]


def test_entries_after_the_restored_step_are_dropped_from_both(tmp_path):
    write(tmp_path, [1, 2, 3, 4])
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"kind": "tra')  # cut short by a kill
    (event_file,) = (tmp_path / "tensorboard").glob("events*")
    event_file.write_bytes(event_file.read_bytes() + b"\x20\0\0\0\0\0\0\0partial")
    write(tmp_path, [3, 4, 5], step=2, evaluated=2)
    assert [(entry["kind"], entry["step"]) for entry in lines(tmp_path)] == [
        ("train", 1),
        ("train", 2),
        ("validation", 2),
        ("train", 3),
        ("train", 4),
        ("validation", 4),
        ("train", 5),
    ]
    assert sorted(step for tag, step in events(tmp_path) if tag == "train/loss") == [1, 2, 3, 4, 5]
    assert sorted(step for tag, step in events(tmp_path) if tag == "validation/l1") == [2, 4]


def test_a_validation_that_does_not_count_is_dropped(tmp_path):
    write(tmp_path, [1, 2])
    Logs(tmp_path, 2, -1).close()
    assert [entry["kind"] for entry in lines(tmp_path)] == ["train", "train"]
    assert not [tag for tag, _ in events(tmp_path) if tag.startswith("validation")]


def test_event_files_are_what_tensorboard_reads(tmp_path):
    """Length, masked CRC-32C, body, masked CRC-32C; the checksums recomputed bit by bit from the polynomial."""
    write(tmp_path, [7])
    (path,) = (tmp_path / "tensorboard").glob("events*")
    content, start = path.read_bytes(), 0
    while start < len(content):
        length, checksum = struct.unpack_from("<QI", content, start)
        assert checksum == masked_crc32c(content[start : start + 8])
        body = content[start + 12 : start + 12 + length]
        assert struct.unpack_from("<I", content, start + 12 + length)[0] == masked_crc32c(body)
        start += 16 + length
    assert next(records(path))[1].file_version == "brain.Event:2"


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
