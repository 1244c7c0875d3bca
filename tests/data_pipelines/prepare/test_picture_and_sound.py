"""Pictures and sound stay together: what flashes and sounds at once in the source does so in the records."""

import pathlib
import tarfile

import numpy as np
import pytest

from data_pipelines import records
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.readers import READERS
from data_pipelines.readers.reference import AUDIO_FALLBACK, ClipReference, Location
from tests.data_pipelines.prepare.filming import NTSC, film, flash_frames

FRAMES = 200


def made(video, audio=None, settings=Settings(size=32), **fields):
    return make_clip(ClipReference("toy/s/c", "toy/s", Location(str(video)), audio and Location(str(audio)), **fields),
                     settings)


def onsets(clip):
    """Seconds at which the picture turns bright, and at which the tone begins."""
    records_of = records.segments(clip | {"dataset": "toy", "split": "train"})
    frames = [records.decode_frames(record, range(record["n"])) for record in records_of]
    bright = np.concatenate(frames).mean((1, 2, 3))
    bright = bright > (bright.min() + bright.max()) / 2
    loud = np.convolve(np.abs(clip["audio"].astype(float)), np.ones(32) / 32, "same")
    loud = np.flatnonzero(loud > loud.max() / 2)
    tones = loud[np.concatenate([[True], np.diff(loud) > 800])]
    return (np.flatnonzero(bright[1:] & ~bright[:-1]) + 1) / 25, tones / 16_000


@pytest.mark.parametrize("name,rate,codecs", [
    ("grid.mpg", 25, {"video": "mpeg1video", "sound": "mp2", "audio_rate": 44_100, "layout": "stereo"}),
    ("voxceleb.mp4", 25, {}),
    ("tcd.mp4", NTSC, {"audio_rate": 48_000, "layout": "stereo"}),
    ("mead.mp4", 30, {"audio_rate": 44_100}),
    ("stream.ts", NTSC, {"audio_rate": 48_000}),
    ("old.avi", 25, {"video": "mpeg4", "sound": "mp2", "audio_rate": 44_100, "layout": "stereo"}),
    ("low.avi", NTSC, {"video": "mpeg4", "sound": "mp2", "audio_rate": 16_000}),
    ("cinema.avi", NTSC, {"video": "mpeg4", "sound": "ac3", "audio_rate": 48_000}),
    ("plain.avi", NTSC, {"video": "mpeg4", "sound": "pcm_s16le", "audio_rate": 22_050}),
])
def test_twenty_flashes_and_tones_keep_together(tmp_path, name, rate, codecs):
    places = flash_frames(FRAMES)
    clip = made(film(tmp_path / name, FRAMES, rate, flashes=places, **codecs))
    flashes, tones = onsets(clip)
    assert len(flashes) == len(tones) == 20
    lag = flashes - tones
    assert abs(lag.mean()) <= 0.010 and np.abs(lag).max() <= 0.040
    assert np.abs(tones - np.array(places) / float(rate)).max() <= 0.003  # both where the source has them
    assert len(clip["video"]) == round(FRAMES / float(rate) * 25)
    assert clip["face_ok"].all()


LAYOUTS = {
    "grid": ("s1/bbaf2n.mpg", None, {"video": "mpeg1video", "sound": "mp2", "audio_rate": 44_100, "layout": "stereo"}),
    "tcd_timit": ("volunteers/01M/Clips/straightcam/sa1.mp4", "volunteers/01M/Clips/straightcam/sa1.wav",
                  {"audio_rate": 48_000, "layout": "stereo"}),
    "lrw": ("lipread_mp4/ABOUT/train/ABOUT_00001.mp4", None, {"audio_seconds": 9.0}),
    "voxceleb2": ("dev/mp4/id00012/21Uxsk56VDQ/00001.mp4", None, {}),
    "mead": ("M003/video/front/angry/level_1/001.mp4", "M003/audio/angry/level_1/001.m4a", {}),
    "folder": ("ann/talk.mov", None, {"audio_rate": 48_000, "layout": "stereo"}),
}
"""{reader: (video, sound beside it, its codecs)}; LRW's sound is longer than its pictures."""


@pytest.mark.parametrize("rate", [25, NTSC])
@pytest.mark.parametrize("corpus", LAYOUTS)
@pytest.mark.parametrize("packed", [False, pytest.param(True, marks=pytest.mark.corpora)])
def test_flashes_through_every_reader(tmp_path, corpus, rate, packed):
    """As each corpus lies on disk, and inside a tar of it; sound beside the video where the corpus has it there."""
    video, beside, codecs = LAYOUTS[corpus]
    places, root = flash_frames(FRAMES), tmp_path / "root"
    film(root / video, FRAMES, rate, flashes=places, **(codecs | ({"sound": None} if beside else {})))
    if beside:
        sound = {".wav": "pcm_s16le", ".m4a": "aac"}[pathlib.Path(beside).suffix]
        film(root / beside, FRAMES, rate, flashes=places, video=None, **(codecs | {"sound": sound}))
    if packed:
        packs = tmp_path / "packed"
        packs.mkdir()
        with tarfile.open(packs / "all.tar", "w") as archive:
            archive.add(root, "")
        root = packs
    (reference,) = READERS[corpus].scan(root, 1)
    assert (reference.audio is not None) == bool(beside) and (reference.video.member is not None) == packed
    clip = make_clip(reference, Settings(size=32))
    flashes, tones = onsets(clip)
    assert len(flashes) == len(tones) == 20
    assert abs((flashes - tones).mean()) <= 0.010 and np.abs(flashes - tones).max() <= 0.040


def test_sound_beside_a_silent_video_begins_with_it(tmp_path):
    places = flash_frames(FRAMES)
    video = film(tmp_path / "a.mp4", FRAMES, NTSC, flashes=places, sound=None)
    sound = film(tmp_path / "a.m4a", FRAMES, NTSC, flashes=places, video=None, audio_rate=44_100)
    clip = made(video, sound, notes={"audio": AUDIO_FALLBACK})
    flashes, tones = onsets(clip)
    assert abs((flashes - tones).mean()) <= 0.010 and np.abs(flashes - tones).max() <= 0.040
    assert clip["ledger"]["sound"] == "beside"
    loud = film(tmp_path / "b.mp4", FRAMES, NTSC, flashes=places)
    assert made(loud, sound, notes={"audio": AUDIO_FALLBACK})["ledger"]["sound"] == "own"


def test_a_stated_offset_is_stored_and_applied_only_when_asked(tmp_path):
    places = flash_frames(FRAMES)
    video = film(tmp_path / "a.mp4", FRAMES, flashes=places)
    known = {"av_offset": 2.0, "words": (("so", 0.4, 0.8),)}
    flashes, tones = onsets(stored := made(video, **known))
    assert stored["av_offset"] == 2.0 and np.abs(flashes - tones).max() < 0.003
    flashes, tones = onsets(fixed := made(video, settings=Settings(size=32, fix_offset=True), **known))
    np.testing.assert_allclose(tones - flashes, 0.08, atol=0.003)  # the video lagged, so the sound waits for it
    assert fixed["av_offset"] == 0.0 and fixed["words"] == [["so", pytest.approx(0.48), pytest.approx(0.88)]]


def test_a_variable_rate_is_followed_by_its_times(tmp_path):
    """Half of the frames of 50 a second, drawn at random: what is shown is what was on the screen."""
    places = [20 * number + 10 for number in range(20)]
    drawn = np.random.default_rng(0).random(420) < 0.7
    times = [time for time in range(420) if drawn[time] or any(p <= time < p + 3 for p in places) or time in (0, 419)]
    clip = made(film(tmp_path / "a.mp4", 420, 50, flashes=places, times=times))
    flashes, tones = onsets(clip)
    assert len(flashes) == 20 and np.abs(flashes - tones).max() <= 0.040
    assert len(clip["video"]) == 210


@pytest.mark.parametrize("name,sound", [("a.mp4", "aac"), ("a.mov", "pcm_s16le")])
@pytest.mark.parametrize("first,edit", [(12, "waits"), (-12, "cuts")])
def test_edit_lists_are_honoured(tmp_path, name, sound, first, edit):
    """Pictures that begin later than the sound, and pictures of which the first half second is cut away."""
    places = flash_frames(FRAMES)
    source = film(tmp_path / name, FRAMES, flashes=places, times=range(first, FRAMES), sound=sound)
    entry = source.read_bytes().partition(b"elst")[2][8:]  # behind version, flags and the number of entries
    media_time = int.from_bytes(entry[4:8], "big", signed=True)
    assert (media_time == -1) if edit == "waits" else (media_time > 0)
    clip = made(source)
    flashes, tones = onsets(clip)
    assert len(flashes) == len(tones) == sum(place >= first for place in places)
    assert abs((flashes - tones).mean()) <= 0.010 and np.abs(flashes - tones).max() <= 0.040
    assert len(clip["video"]) == FRAMES - max(first, 0) and clip["face_ok"].all()
