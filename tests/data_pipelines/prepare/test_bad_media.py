"""Odd media are read as they are meant; broken media cost themselves and say why."""

import json
import os
import struct
import tarfile

import numpy as np
import pytest

from data_pipelines import records
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.prepare.reasons import REASONS, BadClip
from data_pipelines.readers.reference import ClipReference, Location
from tests.data_pipelines.prepare.filming import film, picture

SMALL = Settings(size=32)


def made(video, settings=SMALL, **fields):
    location = video if isinstance(video, Location) else Location(str(video))
    return make_clip(ClipReference("toy/s/c", "toy/s", location, **fields), settings)


def first_frame(clip):
    record = next(records.segments(clip | {"dataset": "toy", "split": "train"}))
    return records.decode_frames(record, [0])[0]


def write(path, content):
    path.write_bytes(content)
    return path


def cut(path, share):
    content = path.read_bytes()
    return write(path.with_name("cut" + path.suffix), content[: int(share * len(content))])


def fast_start(path):
    """The same mp4 with its header first, so that its end can be lost."""
    import av

    moved = path.with_name("moved.mp4")
    with av.open(str(path)) as source, av.open(str(moved), "w", options={"movflags": "faststart"}) as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return moved


@pytest.mark.parametrize("reason,make", [
    ("missing", lambda d: d / "nothing.mp4"),
    ("empty_file", lambda d: write(d / "a.mp4", b"")),
    ("unreadable", lambda d: write(d / "a.mp4", b"no film at all" * 99)),
    ("unreadable", lambda d: cut(film(d / "a.mp4", tone=0.3), 0.7)),
    ("truncated", lambda d: cut(fast_start(film(d / "a.mp4", 75, tone=0.3)), 0.5)),
    ("no_video", lambda d: film(d / "a.m4a", video=None, tone=0.3)),
    ("no_audio", lambda d: film(d / "a.mp4", sound=None)),
    ("silent_audio", lambda d: film(d / "a.mp4")),
    ("av_mismatch", lambda d: film(d / "a.mp4", 50, tone=0.3, audio_seconds=1.2)),
    ("too_short", lambda d: film(d / "a.mp4", 5, tone=0.3)),
    ("too_small", lambda d: film(d / "a.mp4", size=(30, 64), tone=0.3)),
    ("long_gap", lambda d: film(d / "a.mp4", 60, tone=0.3, times=[*range(20), *range(40, 60)])),
])
def test_what_cannot_be_used_has_a_reason(tmp_path, reason, make):
    with pytest.raises(BadClip) as raised:
        made(make(tmp_path))
    assert raised.value.reason == reason in REASONS
    assert str(tmp_path) in raised.value.detail


def test_a_pipe_is_no_file_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(BadClip, match="missing"):
        made(tmp_path / "a.mp4")


def test_an_hour_is_refused_before_it_is_decoded(tmp_path):
    hour = film(tmp_path / "a.mp4", 61, size=(32, 32), tone=0.1, audio_seconds=2, times=[*range(60), 60 * 60 * 25])
    with pytest.raises(BadClip, match="too_long"):
        made(hour)


@pytest.mark.parametrize("name,options", [
    ("ten_bit.mp4", {"pixels": "yuv420p10le"}),
    ("odd.mp4", {"size": (65, 83), "video": "mpeg4"}),
    ("surround.mkv", {"sound": "aac", "layout": "5.1", "audio_rate": 48_000}),
    ("telephone.mkv", {"sound": "pcm_s16le", "audio_rate": 8_000}),
    ("grid.avi", {"video": "mpeg4", "sound": "pcm_s16le", "audio_rate": 25_000}),
])
def test_odd_formats_are_read(tmp_path, name, options):
    clip = made(film(tmp_path / name, tone=0.3, **options))
    assert len(clip["video"]) == 30 and len(clip["audio"]) == 30 * 640
    strength = np.abs(np.fft.rfft(clip["audio"][1600:17600].astype(float)))
    assert strength.argmax() == 300  # a second of the tone, at its pitch: rates are right
    height, width = options.get("size", (64, 80))
    left, side = (width - min(height, width)) // 2, min(height, width)
    square = picture(height, width)[:side, left : left + side].astype(float)
    assert np.abs(first_frame(clip).mean((0, 1)) - square.mean((0, 1))).max() < 4


def test_a_telephone_held_upright_is_turned(tmp_path):
    content = bytearray(film(tmp_path / "a.mp4", size=(64, 96), tone=0.3).read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    # The film's own track: its header is the one that states a width. A quarter turn clockwise.
    place = content.index(upright, content.index(b"tkhd"))
    content[place : place + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 64 << 16, 0, 1 << 30)
    turned = first_frame(made(write(tmp_path / "b.mp4", bytes(content)), Settings(size=64)))
    expected = np.rot90(picture(64, 96), -1)[16:80].astype(float)
    assert np.abs(turned - expected).mean() < 6 < np.abs(turned[::-1] - expected).mean()


def test_missing_frames_hold_the_last_one_and_are_masked(tmp_path):
    clip = made(film(tmp_path / "a.mp4", 50, tone=0.3, times=[t for t in range(50) if t not in (20, 21, 30)]))
    assert len(clip["video"]) == 50
    assert np.flatnonzero(clip["face_ok"] == 0).tolist() == [20, 21, 30]
    assert clip["video"][20] == clip["video"][19] and clip["ledger"]["warnings"] == ["3 frames masked"]


def test_grey_frames_at_the_start_are_masked_and_too_many_refused(tmp_path, monkeypatch):
    real = picture

    def grey_first(count):
        shown = iter(range(10**6))
        monkeypatch.setattr("data_pipelines.prepare.pictures.Pictures._upright",
                            lambda self, frame: np.full((64, 80, 3), 128, np.uint8) if next(shown) < count
                            else real(64, 80))

    path = film(tmp_path / "a.mp4", 50, tone=0.3)
    grey_first(4)
    assert np.flatnonzero(made(path)["face_ok"] == 0).tolist() == [0, 1, 2, 3]
    grey_first(11)
    with pytest.raises(BadClip, match="masked_frames"):
        made(path)


def test_a_member_of_an_archive_gives_the_same_clip(tmp_path):
    path = film(tmp_path / "a.mp4", tone=0.3)
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(film(tmp_path / "b.mp4", seed=1, tone=0.3), "b.mp4")
        archive.add(path, "a.mp4")
        member = archive.getmembers()[1]
    with tarfile.open(tmp_path / "all.tar") as archive:
        member = archive.getmember("a.mp4")
    inside = made(Location(str(tmp_path / "all.tar"), "a.mp4", member.offset_data, member.size))
    plain = made(path)
    assert inside["video"] == plain["video"] and np.array_equal(inside["audio"], plain["audio"])


def test_a_name_that_is_no_text_can_be_opened(tmp_path):
    path = film(tmp_path / "a.mp4", tone=0.3)
    strange = os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff\xfe.mp4")
    os.rename(path, strange)
    clip = made(Location(strange))
    assert len(clip["video"]) == 30 and json.dumps(clip["ledger"])


@pytest.mark.parametrize("settings,message", [
    ({"size": 8}, "size 8 must be 16 to 1024"), ({"crop": "face"}, "crop 'face' is unknown; known: centre, head"),
    ({"crop": "head"}, "crop 'head' needs landmarks"), ({"min_seconds": 5, "max_seconds": 5}, "below max_seconds"),
])
def test_wrong_settings_are_named(settings, message):
    from data_pipelines.schema import DataError

    with pytest.raises(DataError, match=message):
        Settings(**settings)
