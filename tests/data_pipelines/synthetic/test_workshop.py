"""Writing the corpus: equal bytes for any number of workers, resumed when interrupted, mended when damaged."""

import dataclasses
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import thjax.cli
from data_pipelines import command, guard, loader
from data_pipelines.manifest import Manifest
from data_pipelines.synthetic import corpus as corpus_module
from data_pipelines.synthetic import espeak, identity, render, scene, workshop
from data_pipelines.synthetic.settings import Corpus
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.core.errors import UserError

TINY = Corpus(speakers=3, clips=2, size=64, motion="natural", seed=1)


def files_of(directory):
    return {path.relative_to(directory): path.read_bytes() for path in sorted(directory.rglob("*"))
            if path.is_file() and not path.name.startswith(".lock")}


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
    deadline = time.monotonic() + 200
    while not list(out.glob("done/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 143 and "the same command goes on from there" in errors
    assert not list(out.rglob("*.incomplete")) and not (out / "dataset.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.array_record")}
    assert kept
    finished = subprocess.run([*command, "2"], capture_output=True, text=True, timeout=250)
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


def test_every_label_is_there_and_called_exact(written):
    _, manifest, _ = written
    manifest.verify()
    assert set(manifest.labels) == set(corpus_module.LABELS)
    assert manifest.coefficients == list(render.COEFFICIENT_NAMES)
    assert set(manifest.content["label_source"].values()) == {"exact"}


def test_the_loader_reads_it(written):
    spec = DataSpec(split="validation", fields=("frames", "audio", "landmarks", "au", "pose", "blink"), window=0,
                    crop=CropSpec("none", 64, 64))
    clips = list(loader.clips(written[0], "validation", spec, limit=2))
    assert len(clips) == 2


def test_odd_coefficients_are_those_that_change_sign_in_a_mirror():
    """Against the renderer: a mirrored person in a mirrored scene, moving as in a mirror."""
    rng = np.random.default_rng(0)
    person, place = identity.sample_identity(rng), scene.sample_scene(rng)
    expression, gaze = rng.uniform(0, 0.5, (1, 20)), rng.normal(0, 0.1, (1, 2))
    pose = rng.normal(0, 0.1, (1, 6))
    plain = render.render_clip(person, place, expression, pose, gaze, size=48).coefficients[0]
    turned, looked = pose * [-1, 1, 1, 1, -1, -1], gaze * [-1, 1]
    mirrored = render.render_clip(person.mirrored_copy(), place.mirrored_copy(), expression, turned, looked,
                                  size=48).coefficients[0]
    signs = np.array([-1 if name in workshop.ODD_COEFFICIENTS else 1 for name in render.COEFFICIENT_NAMES])
    np.testing.assert_allclose(mirrored, signs * plain, atol=1e-4)


def test_without_espeak_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(workshop, "Espeak", lambda: espeak.Espeak(library="/nowhere/libespeak-ng.so"))
    status = thjax.cli.main(["data", "synth", "--out", str(tmp_path / "corpus")])
    assert status == 2
    assert "pip install 'thjax[speech]'" in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_two_writers_in_one_directory(tmp_path):
    with guard.alone(tmp_path), pytest.raises(UserError, match="another process writes"):
        workshop.write(dataclasses.replace(TINY, clips=1), tmp_path, workers=1)


def test_unknown_data_command():
    with pytest.raises(UserError, match="did you mean `thjax data synth`"):
        command.run(["sinth"])
