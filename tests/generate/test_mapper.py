"""`thjax generate` with a mapper: motion as CSV and as a preview, controlled, played, several at once."""

import argparse
import csv
import json
import os
import tracemalloc
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from PIL import Image

from data_pipelines import media
from data_pipelines.schema import AU_INTENSITY, POSE
from tests.generate.toy_sampler import ToySampler, face, speech
from tests.systems.dirfa_narrow import KINDS, built, narrow, random_weights, shard_statistics
from thjax import cli
from thjax.core.data_spec import CropSpec
from thjax.core.errors import UserError
from thjax.engine import NetState
from thjax.generate import live, mapper
from thjax.generate.control import Control, read_control
from thjax.generate.model import Model
from thjax.generate.motion import MotionSampler, MotionSession
from thjax.generate.motion_files import CHANNELS, motion_writer, read_motion

SAMPLES = 9 * 640 + 100  # ten frames
AU12, AU25, RX = (CHANNELS.index(name) for name in ("AU12", "AU25", "Rx"))


def sampler_of(kind="categorical"):
    config = narrow(KINDS[kind])
    system = built(config)
    params = random_weights(config)[1]["params"]
    return system.sampler({"mapper": NetState(params)}, system.statistics(shard_statistics(config)))


@pytest.fixture(scope="module")
def sampler():
    return sampler_of()


@pytest.fixture(scope="module")
def model(sampler):
    return Model(sampler, CropSpec("none", 16, 16), {"system": "dirfa", "weights_sha256": "0"})


@pytest.fixture
def generate(model, tmp_path, monkeypatch):
    """Runs the command in a directory with speech; everything in it but that is what the command wrote."""
    monkeypatch.setattr("thjax.generate.load.load_model", lambda directory, which, ema: model)
    monkeypatch.chdir(tmp_path)
    soundfile.write("speech.wav", speech(SAMPLES), 16_000)

    def run(*words):
        return cli.main(["generate", "--checkpoint", "run", "--audio", "speech.wav", "--out", "talk.mp4", *words])

    return run


def motion(sampler, control=None, seed=0, draws=1, samples=SAMPLES, pieces=1):
    """[T, N, 23] as a session makes it of speech in pieces."""
    session = MotionSession(sampler, seed, draws, control)
    parts = [vectors for vectors, _ in live.in_step(session, np.array_split(speech(samples), pieces))]
    return np.concatenate(parts)


def write_rows(path, rows):
    path.write_text("\n".join(rows) + "\n")
    return path


def test_speech_becomes_a_table_and_a_stamped_preview(generate, sampler, tmp_path, capsys):
    assert generate("--seed", "3") == 0
    assert sorted(os.listdir()) == ["speech.wav", "talk.csv", "talk.mp4", "talk.mp4.json"]
    with open("talk.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["frame", "timestamp", *AU_INTENSITY, *POSE]
    assert [row[0] for row in rows] == [str(frame) for frame in range(10)] and rows[7][1] == "0.28"
    expected = motion(sampler, seed=3)
    np.testing.assert_array_equal(np.array(rows)[:, 2:].astype(np.float32), expected[:, 0])
    probe = media.probe("talk.mp4")
    assert (probe.frames, probe.height, probe.width, probe.codecs) == (10, 128, 128, ("h264", "aac"))
    assert "from speech {" in probe.metadata["comment"]
    frame = next(iter(media.video_frames("talk.mp4"))).astype(int)
    assert np.abs(frame - sampler.finish(None, expected[:1])[0]).mean() < 4 and frame[2:14, 4:50].min(-1).max() > 180
    sidecar = json.loads((tmp_path / "talk.mp4.json").read_text())
    assert sidecar["image"] is None and sidecar["preview"] is True and sidecar["frames"] == 10
    entry, = sidecar["motions"]
    assert entry["name"] == "talk.csv" and entry["seed"] == 3 and len(entry["sha256"]) == 64
    assert "10 frames" in capsys.readouterr().err


def test_the_recorded_command_makes_the_same_motions(generate, tmp_path):
    write_rows(tmp_path / "c.csv", ["frame,AU12_scale", "0,0.5"])
    assert generate("--control", "c.csv", "--samples", "2", "--seed", "4") == 0
    words = json.loads((tmp_path / "talk.mp4.json").read_text())["command"].split()
    first = (tmp_path / "talk-2.csv").read_bytes()
    (tmp_path / "talk-2.csv").unlink()
    assert cli.main(words[1:]) == 0 and (tmp_path / "talk-2.csv").read_bytes() == first


def test_several_draws_are_those_of_their_seeds(generate, sampler, tmp_path):
    assert generate("--samples", "3", "--seed", "5") == 0
    assert sorted(os.listdir()) == ["speech.wav", "talk-1.csv", "talk-2.csv", "talk-3.csv", "talk.mp4", "talk.mp4.json"]
    for index in range(3):
        np.testing.assert_array_equal(read_motion(f"talk-{index + 1}.csv"), motion(sampler, seed=5 + index)[:, 0])
    assert (read_motion("talk-1.csv") != read_motion("talk-2.csv")).any()
    probe = media.probe("talk.mp4")
    assert (probe.frames, probe.height, probe.width) == (10, 128, 3 * 128)
    sidecar = json.loads((tmp_path / "talk.mp4.json").read_text())
    assert [entry["seed"] for entry in sidecar["motions"]] == [5, 6, 7] and sidecar["width"] == 384


def test_a_failure_leaves_no_file(generate, monkeypatch):
    monkeypatch.setattr("thjax.generate.mapper.previews", lambda *_: 1 / 0)
    assert generate() != 0
    assert os.listdir() == ["speech.wav"]


def test_a_directory_of_results_and_standard_output(generate, capfdbinary, caplog):
    words = ["generate", "--checkpoint", "run", "--audio", "speech.wav"]
    assert cli.main([*words, "--result_dir", "results"]) == 0
    assert sorted(os.listdir("results")) == ["speech_seed0.csv", "speech_seed0.mp4", "speech_seed0.mp4.json"]
    capfdbinary.readouterr()
    assert cli.main([*words, "--out", "-"]) == 0
    assert b"ftyp" in capfdbinary.readouterr().out[:16]
    assert "standard output takes the preview alone" in caplog.text


# ---- what does not fit


@pytest.mark.parametrize("words, message", [
    (["--image", "face.png"], "is a mapper, which draws motion and looks at no picture; leave --image out"),
    (["--driver", "c.csv", "--samples", "2"], "leave one of the two out"),
    (["--samples", "2", "--seed", "4294967295"], "the largest is 4294967295; give --seed 4294967294 or less"),
    (["--driver", "none.csv"], "none.csv: no such motion file"),
    (["--control", "talk.csv"], "--control talk.csv is where the motion of --out talk.mp4 would go"),
    (["--samples", "17"], None),
])
def test_inputs_that_do_not_fit_a_mapper(generate, tmp_path, capsys, words, message):
    Image.fromarray(face()).save("face.png")
    for name in ("c.csv", "talk.csv"):
        with motion_writer(tmp_path / name) as append:
            append(np.zeros((1, 23)))
    before = sorted(os.listdir())
    if message is None:
        with pytest.raises(SystemExit):
            generate(*words)
    else:
        assert generate(*words) == 2
        assert message in capsys.readouterr().err
    assert sorted(os.listdir()) == before


def test_the_landmarks_of_a_picture_are_not_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("talk.csv").touch()
    asked = argparse.Namespace(driver=None, control=None, samples=1, seed=0, landmarks=Path("talk.csv"),
                               generator=Path("run"))
    with pytest.raises(UserError, match="--landmarks talk.csv is where the motion of --out talk.mp4 would go"):
        mapper.read(asked, Path("talk.mp4"))
    asked.generator = None  # a system that draws pixels writes no table
    mapper.read(asked, Path("talk.mp4"))


def test_a_system_that_draws_pixels_keeps_asking_for_a_picture(generate, sampler, tmp_path, monkeypatch, capsys):
    pixels = Model(ToySampler(), CropSpec("centre", 64, 48), {"system": "toy"})
    assert not isinstance(pixels.sampler, MotionSampler)
    assert isinstance(sampler, MotionSampler) and sampler.channels == CHANNELS
    monkeypatch.setattr("thjax.generate.load.load_model", lambda directory, which, ema: pixels)
    assert generate() == 2
    assert "--image is missing: run (toy) animates a photograph" in capsys.readouterr().err
    write_rows(tmp_path / "c.csv", ["frame,AU12", "0,1"])
    assert generate("--control", "c.csv") == 2
    assert "--control is for mappers, whose motion has channels; run (toy) draws pixels" in capsys.readouterr().err


# ---- control


def table(frames, **columns):
    """A control of columns NAME, NAME_scale and NAME_add, NaN where a cell is empty."""
    parts = {suffix: np.full((len(frames), 23), np.nan) for suffix in ("", "scale", "add")}
    for column, cells in columns.items():
        name, _, suffix = column.partition("_")
        parts[suffix][:, CHANNELS.index(name)] = cells
    return Control(np.array(frames), parts[""], parts["scale"], parts["add"])


def test_factors_and_offsets_change_their_channel_alone(sampler):
    free = motion(sampler)
    edited = motion(sampler, table([2, 6], AU12_scale=[0.0, 1.0], Rx_add=[0.1, 0.3]))
    others = np.delete(np.arange(23), [AU12, RX])
    np.testing.assert_array_equal(edited[..., others], free[..., others])
    factor = np.array([1, 1, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1])[:, None]
    offset = np.array([0, 0, 0.1, 0.15, 0.2, 0.25, 0.3, 0, 0, 0])[:, None]
    np.testing.assert_allclose(edited[..., AU12], free[..., AU12] * factor, rtol=1e-6)
    np.testing.assert_allclose(edited[..., RX], free[..., RX] + offset, rtol=1e-5, atol=1e-6)
    assert motion(sampler, table([0], AU12_scale=[50.0]))[..., AU12].max() == 5


@pytest.mark.parametrize("kind", ["categorical", "regression"])
def test_a_replacement_is_told_to_the_frames_after(sampler, kind):
    sampler = sampler if kind == "categorical" else sampler_of(kind)
    free = motion(sampler)
    fixed = motion(sampler, table([4, 5], AU25=[1.3, 4.9]))
    np.testing.assert_array_equal(fixed[:4], free[:4])
    np.testing.assert_allclose(fixed[4:6, 0, AU25], [1.3, 4.9], rtol=1e-6)
    others = np.delete(np.arange(23), AU25)
    # Its own frame is drawn from what was before; the ones after go along.
    np.testing.assert_array_equal(fixed[4][:, others], free[4][:, others])
    assert (fixed[5:][..., others] != free[5:][..., others]).any()


def test_a_replacement_by_what_was_drawn_changes_nothing(sampler):
    free = motion(sampler, seed=1)
    np.testing.assert_array_equal(motion(sampler, table(range(10), AU25=free[:, 0, AU25]), seed=1), free)


def test_control_is_the_same_in_a_stream_and_at_once(sampler):
    control = table([1, 4, 8], AU25=[1, 3, np.nan], AU12_scale=[2, np.nan, 0.5], Tx_add=[1, 2, 3])
    whole = motion(sampler, control, draws=2)
    assert whole.shape == (10, 2, 23)
    np.testing.assert_array_equal(motion(sampler, control, draws=2, pieces=13), whole)
    again = motion(sampler, control, seed=1)
    np.testing.assert_array_equal(again, whole[:, 1:])
    # With control or without: one program.
    motion(sampler)
    assert sampler._chunk._cache_size() == 1


def test_ten_minutes_take_the_memory_of_one(sampler):
    session, minutes = MotionSession(sampler), 10
    parts = live.in_step(session, live.blocks(speech(minutes * 60 * 16_000)))
    peaks, held = [], []
    tracemalloc.start()
    try:
        for minute in range(minutes):
            tracemalloc.reset_peak()
            while session.frames < (minute + 1) * 60 * 25 - 100:
                next(parts)
            peaks.append(tracemalloc.get_traced_memory()[1])
            held.append(sum(array.nbytes for array in jax.live_arrays()))
    finally:
        tracemalloc.stop()
    assert session.frames > 14_800 and held[-1] == held[1]
    # All vectors would be 1.4 MB, all samples 19 MB.
    assert peaks[-1] - peaks[1] < 100_000


def test_rows_are_joined_where_both_speak():
    control = table([2, 4, 6, 8], AU25=[1, 3, np.nan, 2])
    np.testing.assert_array_equal(control.replacement(np.arange(10))[:, AU25],
                                  np.float32([np.nan, np.nan, 1, 2, 3, np.nan, np.nan, np.nan, 2, np.nan]))
    assert (table([7], AU25=[2]).replacement(np.arange(10))[:, AU25] == 2).all()
    assert np.isnan(Control.none().replacement(np.arange(10))).all()


def test_a_control_file(generate, sampler, tmp_path, caplog):
    write_rows(tmp_path / "c.csv", ["timestamp, AU25 ,AU25_scale,Rz_add", "0,1,,", "", "0.08,3,0.5,-0.1"])
    control = read_control(tmp_path / "c.csv")
    assert control.frames.tolist() == [0, 2] and control.value[:, AU25].tolist() == [1, 3]
    assert generate("--control", "c.csv") == 0
    made = read_motion("talk.csv")
    np.testing.assert_array_equal(made, motion(sampler, control)[:, 0])
    np.testing.assert_array_equal(made[:3, AU25], [1, 2, 1.5])
    assert json.loads((tmp_path / "talk.mp4.json").read_text())["control"]["name"] == "c.csv"
    write_rows(tmp_path / "late.csv", ["frame,AU25", "90,1", "95,1"])
    assert generate("--control", "late.csv") == 0
    assert "begins at frame 90 and the motion has 10 frames" in caplog.text


@pytest.mark.parametrize("rows, message", [
    (["frame,AU99", "0,1"], "column 'AU99' is unknown; known are frame, timestamp, and NAME"),
    (["AU12", "1"], "neither a column frame"),
    (["frame", "1"], "controls no channel"),
    (["frame,AU12", "0,1", "3,5.5"], "row 3 (the header is row 1), column AU12: 5.5; give 0 to 5"),
    (["frame,AU12_scale", "0,-1"], "row 2 (the header is row 1), column AU12_scale: -1; give 0 to inf"),
    (["frame,Rx", "0,20"], "column Rx: 20; give -3.14159 to 3.14159 (an angle in radians)"),
    (["frame,AU12", "0,much"], "row 2 (the header is row 1), column AU12: 'much' is no finite number"),
    (["frame,AU12", "0.5,1"], "column frame: 0.5; frames are whole numbers"),
    (["frame,AU12", ",1"], "column frame: empty; give 0 or more"),
    (["frame,AU12", "4,1", "4,2"], "row 3 (the header is row 1), column frame: 4; rows must rise"),
    (["frame,AU12,AU12", "0,1,2"], "column AU12 stands 2 times"),
    (["frame,AU12", "0"], "row 2 has 1 cells and the header 2"),
    (["frame,AU12"], "has a header and no row"),
])
def test_control_files_that_cannot_be_used(generate, tmp_path, capsys, rows, message):
    write_rows(tmp_path / "c.csv", rows)
    assert generate("--control", "c.csv") == 2
    error = capsys.readouterr().err
    assert "c.csv: " in error and message in error
    assert sorted(os.listdir()) == ["c.csv", "speech.wav"]


# ---- another performance


def random_motion(frames, seed=0):
    rng = np.random.default_rng(seed)
    vectors = np.concatenate([rng.uniform(0, 5, (frames, 17)), rng.normal(0, [4] * 3 + [0.1] * 3, (frames, 6))], 1)
    return vectors.astype(np.float32)


def write_openface(path, vectors, fps=25, success=None):
    """As OpenFace 2 writes: blanks behind the commas, 1-based frames, absolute translation, columns nobody needs."""
    names = ["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", *(f"pose_{n}" for n in POSE),
             *(f"{n}_r" for n in AU_INTENSITY), "AU01_c"]
    success = np.ones(len(vectors), int) if success is None else success
    rows = [", ".join(names)]
    for t, vector in enumerate(vectors):
        pose = vector[17:] + [10, 20, 600, 0, 0, 0]
        numbers = [t + 1, 0, round(t / fps, 3), 0.98, success[t], 0.1, *pose, *vector[:17], 1]
        rows.append(", ".join(str(number) for number in numbers))
    return write_rows(path, rows)


def test_a_table_reads_back_as_the_same_numbers(tmp_path):
    vectors = random_motion(200) * 10.0 ** np.random.default_rng(1).integers(-30, 30, (200, 23)).astype(np.float32)
    with motion_writer(tmp_path / "m.csv") as append:
        append(vectors[:3])
        append(vectors[3:])
    np.testing.assert_array_equal(read_motion(tmp_path / "m.csv"), vectors)


def test_a_performance_is_shown_in_place_of_a_draw(generate, sampler, tmp_path, caplog):
    with motion_writer(tmp_path / "other.csv") as append:
        append(random_motion(7))
    assert generate("--driver", "other.csv") == 0
    assert "the driver has 7 frames and the audio 10: cut to the shorter" in caplog.text
    np.testing.assert_array_equal(read_motion("talk.csv"), random_motion(7))
    probe = media.probe("talk.mp4")
    assert probe.frames == 7 and 7 * 640 <= probe.audio_samples < 8 * 640 + 1024
    frame = next(iter(media.video_frames("talk.mp4"))).astype(int)
    assert np.abs(frame - sampler.finish(None, random_motion(7)[:1, None])[0]).mean() < 4
    sidecar = json.loads((tmp_path / "talk.mp4.json").read_text())
    assert sidecar["driver"]["name"] == "other.csv" and "seed" not in sidecar["motions"][0]
    write_rows(tmp_path / "c.csv", ["frame,AU25", "0,1"])
    assert generate("--driver", "other.csv", "--control", "c.csv") == 0
    assert (read_motion("talk.csv")[:, AU25] == 1).all()


def test_openfaces_table_is_a_performance(tmp_path, caplog):
    vectors = random_motion(20)
    expected = vectors.copy()
    expected[:, 17:20] -= vectors[0, 17:20]
    read = read_motion(write_openface(tmp_path / "of.csv", vectors))
    np.testing.assert_allclose(read, expected, atol=1e-4)
    assert not caplog.text
    lost = np.arange(20) != 5
    read = read_motion(write_openface(tmp_path / "gap.csv", vectors, success=lost.astype(int)))
    np.testing.assert_allclose(read[5], (expected[4] + expected[6]) / 2, atol=1e-4)
    np.testing.assert_allclose(read[lost], expected[lost], atol=1e-4)
    assert "no face in 1 of 20 frames" in caplog.text


def test_another_frame_rate_is_brought_to_ours(tmp_path, caplog):
    ramp = np.zeros((61, 23), np.float32)
    ramp[:, AU25] = np.arange(61) / 50 * 4  # at 50 per second: 4 a second
    read = read_motion(write_openface(tmp_path / "fast.csv", ramp, fps=50))
    np.testing.assert_allclose(read[:, AU25], np.arange(31) / 25 * 4, atol=1e-4)
    assert "61 rows become 31 frames" in caplog.text


@pytest.mark.parametrize("change, message", [
    (lambda text: text.replace("AU45_r", "AU46_r"), "lacks AU45_r of OpenFace's columns"),
    (lambda text: text.replace("AU", "XX").replace("pose_", "p_"), "lacks AU01"),
    (lambda text: text.replace(", 0.04, ", ", 0.0, "), "row 3 (the header is row 1), column timestamp: 0; seconds"),
    (lambda text: text.replace(", 0.98, 1,", ", 0.98, 0,"), "no face in any frame"),
    (lambda text: text.replace(", 0.98, 1,", ", 0.98, ,"), "column success: empty; a motion needs a number"),
])
def test_performances_that_cannot_be_used(generate, tmp_path, capsys, change, message):
    path = write_openface(tmp_path / "of.csv", random_motion(3))
    path.write_text(change(path.read_text()))
    assert generate("--driver", "of.csv") == 2
    assert message in capsys.readouterr().err
