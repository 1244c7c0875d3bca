"""The corpus: equal bytes for any number of workers, resumed after an interruption, exact labels, disjoint splits."""

import dataclasses
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import data_pipelines.command
from data_pipelines import loader
from data_pipelines.manifest import Manifest
from data_pipelines.synthetic import corpus as corpus_module
from data_pipelines.synthetic import espeak, render, settings, workshop
from data_pipelines.synthetic.expression import EXPRESSION_INDEX
from data_pipelines.synthetic.settings import Corpus
from thjax.core.errors import UserError

TINY = Corpus(speakers=3, clips=2, size=64, motion="natural", seed=1)


def files_of(directory):
    return {path.relative_to(directory): path.read_bytes() for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name != ".lock"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Written by one worker; with the reports of progress."""
    directory, reports = tmp_path_factory.mktemp("one"), []
    manifest = workshop.write(TINY, directory, 1, "thjax data synth", report=lambda *now: reports.append(now))
    return directory, manifest, reports


@pytest.mark.multi_process
def test_equal_bytes_with_two_workers_after_an_interruption(written, tmp_path):
    """The same corpus from the command line, stopped by SIGTERM when its first shard stands, and resumed."""
    out = tmp_path / "two"
    command = [sys.executable, "-m", "thjax.cli", "data", "synth", "--speakers", "3", "--clips", "2", "--size", "64",
               "--motion", "natural", "--seed", "1", "--out", str(out), "--workers"]
    process = subprocess.Popen([*command, "1"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("done/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143 and "the same command goes on from there" in errors
    assert not list(out.rglob("*.incomplete")) and not (out / "dataset.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.array_record")}
    assert kept
    finished = subprocess.run([*command, "2"], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "6 clips (2 train, 2 validation, 2 test), 450 frames" in finished.stdout
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    expected, found = files_of(written[0]), files_of(out)
    for name in expected:  # the command line is in the description, the rest is the same bytes
        if name.name != "dataset.json":
            assert found[name] == expected[name], name
    assert set(expected) == set(found)
    assert Manifest.load(out).hash == written[1].hash


def test_progress_counts_clips(written):
    reports = written[2]
    assert [clips for _, clips in reports] == [6] * len(reports)
    done = [number for number, _ in reports]
    assert done == sorted(done) and done[-1] == 6


def test_a_damaged_shard_is_made_again_and_the_rest_is_kept(written):
    directory, manifest, _ = written
    before = files_of(directory)
    shards = sorted(directory.glob("*.array_record"))
    times = [path.stat().st_mtime_ns for path in shards]
    shards[0].write_bytes(shards[0].read_bytes()[:-7])
    workshop.write(TINY, directory, workers=1, rebuild="thjax data synth")
    assert files_of(directory) == before
    assert [path.stat().st_mtime_ns == when for path, when in zip(shards, times, strict=True)] == [False, True, True]


def test_every_label_is_there_and_exact(written):
    directory, manifest, _ = written
    manifest.verify()
    assert set(manifest.labels) == set(corpus_module.LABELS)
    assert manifest.coefficients == list(render.COEFFICIENT_NAMES)
    assert set(manifest.content["label_source"].values()) == {"exact"}
    place = TINY.places["synthetic/train_0000/0001"]
    with espeak.Espeak() as engine:
        said = corpus_module.make_speech(TINY, place, engine)
        clip = corpus_module.make_clip(TINY, place, engine)
    moved = corpus_module.make_motion(TINY, place, said)  # without any rendering
    np.testing.assert_array_equal(clip["audio"], said.audio)
    np.testing.assert_allclose(clip["au"], 5 * moved.expression[:, :17], atol=1e-5)
    np.testing.assert_array_equal(clip["blink"], moved.expression[:, EXPRESSION_INDEX["AU45"]] > 0.5)
    np.testing.assert_allclose(clip["pose"][:, 3:], moved.pose[:, 3:], atol=1e-6)
    assert clip["av_offset"] == 0 and clip["sentence"] == said.sentence and len(clip["words"]) == 6
    assert clip["phonemes"][0][0] == "_" and clip["phonemes"][-1][2] == pytest.approx(3.0)


def test_other_takes_are_other_motions_of_the_same_audio():
    place = TINY.places["synthetic/test_0000/0000"]
    with espeak.Espeak() as engine:
        said = corpus_module.make_speech(TINY, place, engine)
    takes = [corpus_module.make_motion(TINY, place, said, take) for take in (0, 0, 1)]
    assert np.array_equal(takes[0].pose, takes[1].pose) and not np.array_equal(takes[0].pose, takes[2].pose)


def test_clips_do_not_depend_on_how_many_there_are():
    small, large = Corpus(speakers=6, clips=2, seed=3), Corpus(speakers=30, clips=50, seed=3)
    place = small.places["synthetic/train_0003/0001"]
    with espeak.Espeak() as engine:
        assert np.array_equal(corpus_module.make_speech(small, place, engine).audio,
                              corpus_module.make_speech(large, place, engine).audio)
    faces = [corpus_module.make_identity(corpus, place) for corpus in (small, large)]
    assert np.array_equal(faces[0].shape, faces[1].shape) and np.array_equal(faces[0].albedo, faces[1].albedo)


def test_splits_are_disjoint_in_speakers_and_sentences():
    corpus = Corpus(speakers=24, clips=20)
    assert corpus.split_sizes == {"train": 16, "validation": 4, "test": 4}
    keys = corpus.clip_keys()
    speakers = {split: {key.rsplit("/", 1)[0] for key in names} for split, names in keys.items()}
    assert [len(names) for names in keys.values()] == [320, 80, 80]
    assert not speakers["train"] & speakers["test"] and not speakers["train"] & speakers["validation"]
    assert Corpus(speakers=2).split_sizes == {"train": 1, "validation": 1, "test": 0}
    assert Corpus(speakers=9, validation_speakers=0, test_speakers=3).split_sizes["train"] == 6


@pytest.mark.parametrize(("change", "message"), [
    ({"speakers": 0}, "speakers 0 must be at least 1"), ({"size": 300}, "size 300 must be 48 to 256"),
    ({"sentences": "prose"}, "use grid, free, mixed"), ({"motion": "wild"}, "use still, natural, strong"),
    ({"speakers": 3, "test_speakers": 3}, "cannot be split"), ({"seed": -1}, "seed -1"),
])
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Corpus(**change)


def test_sizes_agree_with_the_renderer():
    assert settings.SIZES == (render.MIN_SIZE, render.MAX_SIZE)


def test_odd_coefficients_are_those_that_change_sign_in_a_mirror():
    names = np.array(render.COEFFICIENT_NAMES)
    assert set(workshop.ODD_COEFFICIENTS) <= set(names)
    assert len(workshop.ODD_COEFFICIENTS) == 3 * 3 + 4


def test_the_loader_reads_it(written):
    directory, _, _ = written
    clips = list(loader.clips(directory, "validation", loader_spec(), limit=2))
    assert len(clips) == 2


def loader_spec():
    from thjax.core.data_spec import CropSpec, DataSpec

    return DataSpec(split="validation", fields=("frames", "audio", "landmarks", "au", "pose", "blink"), window=0,
                    crop=CropSpec("none", 64, 64))


def test_the_command_says_what_to_install_without_espeak(tmp_path, monkeypatch, capsys):
    import thjax.cli

    monkeypatch.setattr(workshop, "Espeak", lambda: espeak.Espeak(library="/nowhere/libespeak-ng.so"))
    status = thjax.cli.main(["data", "synth", "--out", str(tmp_path / "corpus")])
    assert status == 2
    assert "pip install 'thjax[speech]'" in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_two_writers_in_one_directory(tmp_path):
    with workshop._alone(tmp_path), pytest.raises(UserError, match="another process writes"):
        workshop.write(dataclasses.replace(TINY, clips=1), tmp_path, workers=1)


def test_unknown_data_command():
    with pytest.raises(UserError, match="did you mean `thjax data synth`"):
        data_pipelines.command.run(["sinth"])
