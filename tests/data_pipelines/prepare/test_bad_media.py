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
from tests.data_pipelines.prepare.filming import NTSC, film, picture

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


def without_last(path, count):
    """A film whose last packets are not there any more."""
    import av

    with av.open(str(path)) as source:
        places = [packet.pos for packet in source.demux(video=0) if packet.size]
    return write(path.with_name("short" + path.suffix), path.read_bytes()[: places[-count]])


@pytest.mark.parametrize("reason,make", [
    ("missing", lambda d: d / "nothing.mp4"),
    ("empty_file", lambda d: write(d / "a.mp4", b"")),
    ("unreadable", lambda d: write(d / "a.mp4", b"no film at all" * 99)),
    ("unreadable", lambda d: cut(film(d / "a.mp4", tone=0.3), 0.7)),
    ("truncated", lambda d: cut(fast_start(film(d / "a.mp4", 75, tone=0.3)), 0.5)),
    ("no_video", lambda d: film(d / "a.m4a", video=None, tone=0.3)),
    ("no_audio", lambda d: film(d / "a.mp4", sound=None)),
    ("silent_audio", lambda d: film(d / "a.mp4")),
    ("av_mismatch", lambda d: film(d / "a.mp4", 50, tone=0.3, audio_seconds=1.7)),
    ("too_short", lambda d: film(d / "a.mp4", 5, tone=0.3)),
    ("too_small", lambda d: film(d / "a.mp4", size=(30, 64), tone=0.3)),
    ("long_gap", lambda d: film(d / "a.mp4", 60, tone=0.3, times=[*range(20), *range(40, 60)])),
])
def test_what_cannot_be_used_has_a_reason(tmp_path, reason, make):
    with pytest.raises(BadClip) as raised:
        made(make(tmp_path))
    assert raised.value.reason == reason in REASONS
    assert str(tmp_path) in raised.value.detail


@pytest.mark.parametrize("share", [0.4, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
def test_frames_lost_at_the_end_are_masked_or_cost_the_clip(tmp_path, share):
    """A word of LRW, whose download broke off: all 29 frames are accounted for, or none is written."""
    whole = fast_start(film(tmp_path / "a.mp4", 29, tone=0.3, audio_seconds=1.216))
    assert made(whole)["face_ok"].tolist() == [1] * 29
    try:
        clip = made(cut(whole, share))
    except BadClip as bad:
        assert bad.reason in ("truncated", "masked_frames", "av_mismatch") and share < 0.9
        return
    came = int(clip["face_ok"].sum())
    assert share >= 0.85 and 23 <= came < 29 and clip["face_ok"].tolist() == [1] * came + [0] * (29 - came)
    assert clip["video"][came:] == [clip["video"][came - 1]] * (29 - came) and len(clip["audio"]) == 29 * 640
    assert clip["ledger"]["frames_masked"] == 29 - came
    assert clip["ledger"]["warnings"][0] == f"{29 - came} frames masked"


@pytest.mark.parametrize("name,rate", [("a.mp4", 25), ("a.mp4", NTSC), ("a.mp4", 50), ("a.avi", 25), ("a.avi", NTSC)])
def test_the_end_that_a_header_promises_is_counted_in_its_own_rate(tmp_path, name, rate):
    """Two seconds that lack their last 0.16, with whole sound beside them."""
    path = film(tmp_path / name, round(2 * float(rate)), rate, sound=None,
                video="libx264" if name.endswith("mp4") else "mpeg4")
    sound = Location(str(film(tmp_path / "a.wav", 50, video=None, sound="pcm_s16le", tone=0.3)))
    path = fast_start(path) if name.endswith("mp4") else path
    whole = made(path, audio=sound)
    assert whole["face_ok"].tolist() == [1] * 50 and whole["ledger"]["warnings"] == []
    clip = made(without_last(path, round(0.16 * float(rate))), audio=sound)
    assert clip["face_ok"].tolist() == [1] * 46 + [0] * 4 and clip["ledger"]["warnings"] == ["4 frames masked"]


@pytest.mark.parametrize("times,audio_seconds", [
    ([*range(29)], 3.0), ([*range(12, 50)], None), ([*range(-12, 40)], None), ([0, 1, 2, 4, 5, 7, *range(8, 30)], None),
])
def test_a_whole_film_promises_no_more_than_it_has(tmp_path, times, audio_seconds):
    """Sound that is longer, edit lists of both kinds, and frames that stay for two."""
    clip = made(film(tmp_path / "a.mp4", 50 if audio_seconds is None else 29, tone=0.3, times=times,
                     audio_seconds=audio_seconds))
    shown = [time for time in times if time >= 0]
    gaps = shown[-1] + 1 - shown[0] - len(shown)
    assert len(clip["video"]) == shown[-1] + 1 - shown[0] and (clip["face_ok"] == 0).sum() == gaps


def test_a_header_that_states_a_wrong_duration_masks_nothing(tmp_path):
    """All frames that the header counts are there, so its time is wrong and not the file cut off."""
    content = bytearray(film(tmp_path / "a.mp4", 29, tone=0.3).read_bytes())
    for box, place in ((b"mdhd", 16), (b"elst", 8)):  # behind version, flags, times and rate; flags and the count
        start = content.index(box) + 4 + place
        length = int.from_bytes(content[start : start + 4], "big")
        content[start : start + 4] = (3 * length).to_bytes(4, "big")
    assert made(write(tmp_path / "b.mp4", bytes(content)))["face_ok"].tolist() == [1] * 29


@pytest.mark.parametrize("share,lack", [(0.97, 0.06), (0.95, 0.11), (0.93, 0.19), (0.9, None)])
def test_sound_that_ends_before_the_pictures_is_told_or_costs_the_clip(tmp_path, share, lack):
    """An MPEG as GRID has it holds pictures ahead of their sound: cut off, it lacks speech and not a picture."""
    whole = film(tmp_path / "a.mpg", 75, video="mpeg1video", sound="mp2", audio_rate=44_100, layout="stereo", tone=0.3)
    assert made(whole)["ledger"]["warnings"] == []
    if lack is None:
        with pytest.raises(BadClip, match="at most 0.2 s may lack") as raised:
            made(cut(whole, share))
        assert raised.value.reason == "av_mismatch"
        return
    clip = made(cut(whole, share))
    assert len(clip["video"]) == 75 and clip["face_ok"].all()
    (said,) = clip["ledger"]["warnings"]
    assert said.endswith(" s of sound missing before the last picture ends")
    assert float(said.split()[0]) == pytest.approx(lack, abs=0.03)
    assert not clip["audio"][-round(float(said.split()[0]) * 16_000) + 160 :].any()


def test_sound_that_is_shifted_forwards_is_no_sound_that_was_cut_off(tmp_path):
    path = film(tmp_path / "a.mp4", 50, tone=0.3)
    clip = made(path, Settings(size=32, fix_offset=True), av_offset=-10.0)
    assert clip["ledger"]["warnings"] == ["0.35 s of sound missing before the last picture ends"]


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
