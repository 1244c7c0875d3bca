"""Files in and out: what is written is decoded again, what is broken is named."""

import builtins
import io
import os
import resource

import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy import signal

from data_pipelines import media
from data_pipelines.mp4 import Mp4Writer
from data_pipelines.schema import DataError


def speech(samples: int = 16_000) -> np.ndarray:
    time = np.arange(samples) / 16_000
    return (12_000 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time) ** 2).astype(np.int16)


def film(frames: int = 25, height: int = 64, width: int = 48) -> np.ndarray:
    """A bright block that moves one pixel a frame over a smooth background, so that no two of 36 frames are alike."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([60 + 40 * np.sin(x / 9), 80 + 40 * np.cos(y / 9), 90 + 0 * x], -1)
    out = np.repeat(picture[None], frames, 0)
    for index in range(frames):
        start = index % (width - 12)
        out[index, 20:32, start : start + 12] = 230
    return out.astype(np.uint8)


@pytest.fixture
def without_pyav(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "av" or name.startswith("av."):
            raise ImportError("no module named av")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_other_formats_come_through_ffmpeg(tmp_path, suffix):
    path = tmp_path / f"speech.{suffix}"
    wave = speech(44_100).astype(float) / 32768
    soundfile.write(path, np.stack([wave, wave], 1), 44_100)
    samples = media.read_audio(path)
    truth = signal.resample_poly(wave, 160, 441)
    assert samples.dtype == np.int16 and abs(samples.size - truth.size) < 2000  # encoders pad to their frames
    size = min(samples.size, truth.size)
    lag = int(np.argmax(signal.correlate(samples[:size] / 32768, truth[:size]))) - (size - 1)
    assert abs(lag) <= 1
    assert np.corrcoef(samples[: size - 200], truth[: size - 200])[0, 1] > 0.99


def test_wav_needs_no_pyav_and_others_name_the_extra(tmp_path, without_pyav):
    soundfile.write(tmp_path / "a.wav", speech(), 16_000)
    soundfile.write(tmp_path / "a.flac", speech(), 16_000)
    np.testing.assert_array_equal(media.read_audio(tmp_path / "a.wav"), speech())
    with pytest.raises(DataError, match=r"pip install 'thjax\[media\]'"):
        media.read_audio(tmp_path / "a.flac")
    with pytest.raises(DataError, match=r"pip install 'thjax\[media\]'"):
        media.write_mp4(tmp_path / "a.mp4", film())


def test_samples_on_disk_are_the_same(tmp_path):
    soundfile.write(tmp_path / "a.wav", speech(), 16_000)
    mapped = media.read_audio(tmp_path / "a.wav", on_disk=True)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, speech())


@pytest.mark.parametrize("content, message", [
    (None, "no such audio file"),
    (b"", r"is empty \(0 bytes\)"),
    (b"this is no sound at all " * 50, "ffmpeg cannot decode it as sound"),
    (b"RIFF\x04\0\0\0WAVE", "without a format"),
])
def test_bad_audio_is_named(tmp_path, content, message):
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"bad\.wav.*{message}"):
        media.read_audio(path)


@pytest.mark.parametrize("peak, accepted", [(0, False), (media.SILENCE, False), (media.SILENCE + 1, True)])
def test_silence_is_refused_up_to_a_stated_peak(tmp_path, peak, accepted):
    samples = np.zeros(16_000, np.int16)
    samples[100] = -peak
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    if accepted:
        assert media.read_audio(tmp_path / "a.wav")[100] == -peak
    else:
        with pytest.raises(DataError, match=f"is silent, its peak is {peak} of 32768"):
            media.read_audio(tmp_path / "a.wav")


def test_sound_without_samples_and_video_without_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.int16), 16_000)
    with pytest.raises(DataError, match=r"no sound \(0 samples\)"):
        media.read_audio(tmp_path / "a.wav")
    media.write_mp4(tmp_path / "mute.mp4", film(5))
    with pytest.raises(DataError, match="has no sound stream"):
        media.read_audio(tmp_path / "mute.mp4")
    with pytest.raises(DataError, match="not a file"):
        media.read_audio(tmp_path)


def test_colour_images_come_out_as_they_are(tmp_path):
    picture = film(1)[0]
    Image.fromarray(picture).save(tmp_path / "a.png")
    np.testing.assert_array_equal(media.read_image(tmp_path / "a.png"), picture)
    turned = Image.fromarray(np.rot90(picture, 1))  # counter-clockwise, and a tag that says so
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(media.read_image(tmp_path / "turned.png"), picture)


def test_transparency_lies_over_white(tmp_path):
    rgba = np.dstack([film(1)[0], np.full((64, 48), 255, np.uint8)])
    rgba[:10, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    image = media.read_image(tmp_path / "a.png")
    assert (image[:10] == 255).all()
    np.testing.assert_array_equal(image[10:], rgba[10:, :, :3])


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_grey_images_are_refused(tmp_path, mode):
    grey = Image.fromarray(film(1)[0]).convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16))
    (wide if mode == "I;16" else grey.convert(mode)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: a grey image"):
        media.read_image(tmp_path / "a.png")


def test_bad_images_are_named(tmp_path):
    Image.fromarray(film(1, 64, 31)[0]).save(tmp_path / "tiny.png")
    with pytest.raises(DataError, match="31 x 64 pixels; a face needs at least 32 x 32"):
        media.read_image(tmp_path / "tiny.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="is empty"):
        media.read_image(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("hello " * 100)
    with pytest.raises(DataError, match="not an image of a known format"):
        media.read_image(tmp_path / "text.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="a damaged image"):
        media.read_image(tmp_path / "cut.jpg")
    for array, message in ((np.zeros((64, 64), np.uint8), "grey"), (np.zeros((64, 64, 3)), "float64"),
                           (np.zeros((64, 64, 4), np.uint8), "shape")):
        with pytest.raises(DataError, match=message):
            media.check_image(array)


@pytest.mark.parametrize("height, width", [(64, 48), (65, 49)])
def test_a_written_file_holds_every_frame_in_step_with_its_sound(tmp_path, height, width):
    frames, audio = film(30, height, width), speech(30 * 640 - 100)
    path = tmp_path / "new" / "a.mp4"
    assert media.write_mp4(path, iter(frames), audio, metadata={"title": "a title", "comment": "made by a test"}) == 30
    probe = media.probe(path)
    assert probe.codecs == ("h264", "aac")
    assert (probe.frames, probe.fps, probe.height, probe.width) == (30, 25.0, height + height % 2, width + width % 2)
    assert probe.metadata["title"] == "a title" and probe.metadata["comment"] == "made by a test"
    decoded = np.stack(list(media.video_frames(path)))[:, :height, :width].astype(float)
    error = np.abs(decoded[:, None] - frames[None].astype(float)).mean(axis=(2, 3, 4))
    np.testing.assert_array_equal(error.argmin(axis=1), np.arange(30))
    assert error.diagonal().max() < 4
    heard = media.read_audio(path).astype(float)[: audio.size]
    assert np.corrcoef(heard, audio[: heard.size])[0, 1] > 0.99
    assert sorted(os.listdir(path.parent)) == ["a.mp4"]


def test_the_same_frames_give_the_same_film(tmp_path):
    films = []
    for name in ("a.mp4", "b.mp4"):
        media.write_mp4(tmp_path / name, film(12), speech(12 * 640))
        films.append(np.stack(list(media.video_frames(tmp_path / name))).astype(float))
    # Not the same bytes: on a busy machine x264 now and then makes other packets of the same planes.
    assert np.abs(films[0] - films[1]).mean() < 0.5
    assert media.probe(tmp_path / "a.mp4") == media.probe(tmp_path / "b.mp4")
    np.testing.assert_array_equal(*(media.read_audio(tmp_path / name) for name in ("a.mp4", "b.mp4")))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.mp4"
    media.write_mp4(path, film(5), speech(3200))
    before = path.read_bytes()

    def broken():
        yield from film(5)
        raise RuntimeError("the sampler failed")

    with pytest.raises(RuntimeError, match="the sampler failed"):
        media.write_mp4(path, broken(), speech(6400))
    with pytest.raises(DataError, match=r"frame 1 has shape \(32, 32, 3\)"):
        media.write_mp4(path, [film(1)[0], film(1, 32, 32)[0]])
    with pytest.raises(DataError, match="no frame to write"):
        media.write_mp4(path, [])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_fragments_arrive_while_frames_are_made_and_play_from_a_pipe(tmp_path):
    frames, audio, stream, sizes = film(30), speech(30 * 640), io.BytesIO(), []
    writer = media.FragmentedMp4(stream, metadata={"title": "live"})
    for index in range(30):
        writer.write(frames[index : index + 1], audio[index * 640 : (index + 1) * 640])
        sizes.append(stream.tell())
    writer.close()
    assert sizes[5] > 0 and sizes[10] > sizes[5] and sizes[29] > sizes[20]
    path = tmp_path / "live.mp4"
    path.write_bytes(stream.getvalue())
    probe = media.probe(path)
    assert (probe.frames, probe.fps, probe.codecs) == (30, 25.0, ("h264", "aac"))
    assert probe.metadata["title"] == "live"
    decoded = np.stack(list(media.video_frames(path))).astype(float)
    assert np.abs(decoded - frames).mean(axis=(1, 2, 3)).max() < 4
    heard = media.read_audio(path)[: audio.size]
    assert np.corrcoef(heard, audio[: heard.size])[0, 1] > 0.99


def resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def test_writing_a_long_film_takes_no_more_memory_than_a_short_one(tmp_path):
    frame, sizes = film(1, 96, 96)[0], []

    def lazily():
        for index in range(2000):
            if index % 100 == 0:
                sizes.append(resident_mib())
            yield frame.copy()

    media.write_mp4(tmp_path / "a.mp4", lazily(), np.tile(speech(6400), 200))
    assert max(sizes) - sizes[2] < 10  # MiB; the frames alone would be 53


def test_a_video_that_is_none_is_named(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing" * 100)
    with pytest.raises(DataError, match=r"a\.mp4: ffmpeg cannot decode it"):
        media.probe(tmp_path / "a.mp4")
    soundfile.write(tmp_path / "a.wav", speech(), 16_000)
    with pytest.raises(DataError, match="has no video stream"):
        next(media.video_frames(tmp_path / "a.wav"))


def test_a_file_of_subtitles_is_no_media(tmp_path):
    path = tmp_path / "words.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nbin blue\n")
    with pytest.raises(DataError, match="neither picture nor sound"):
        media.probe(path)


def test_the_same_frames_and_sound_are_the_same_file(tmp_path):
    base = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    frames = np.stack([np.roll(base, shift, 1) for shift in range(32)])
    sound = (8_000 * np.sin(np.arange(20_480) / 9)).astype(np.int16)
    made = set()
    for _ in range(40):  # with the macroblock tree a few in a hundred were another
        writer = Mp4Writer(str(tmp_path / "a.mp4"))
        writer.write(frames, sound)
        writer.close()
        made.add((tmp_path / "a.mp4").read_bytes())
    assert len(made) == 1
