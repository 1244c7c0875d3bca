"""A mapper is scored from feature records alone: rows, shards, other takes, and the command."""

import dataclasses
import json

import numpy as np
import pytest

from data_pipelines.manifest import Manifest
from data_pipelines.synthetic import workshop
from data_pipelines.synthetic.settings import Corpus
from tests.systems.dirfa_narrow import KINDS, narrow, random_weights
from thjax import cli, systems
from thjax.checkpoint import LoadedRun
from thjax.core.errors import UserError
from thjax.engine import NetState
from thjax.evaluate.animation.clips import MotionClips
from thjax.evaluate.animation.run import Drawer, collect_mapper
from thjax.evaluate.animation.takes import TakeMaker
from thjax.evaluate.passes import Shard
from thjax.evaluate.result import result_of

SETTINGS = Corpus(speakers=6, clips=2, motion="natural", sentences="free", seed=2, validation_speakers=2,
                  test_speakers=2)
ROWS = ["ours", "wrong_audio", "silent_audio", "linear", "loudness", "time_profile", "iid_noise", "markov",
        "other_true_motions", "truth"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    workshop.write(SETTINGS, directory, workers=1, pixels=False)
    return directory


def run_of(corpus, kind):
    config = narrow(KINDS[kind])
    system, params = systems.build(config), random_weights(config)[1]["params"]
    stats = system.statistics(Manifest.load(corpus).shard_statistics("train"))
    return LoadedRun(config, system, {"mapper": NetState(params)}, stats, "hash", 3, "mapping", {})


@pytest.fixture(scope="module")
def run(corpus):
    return run_of(corpus, "mixture")


@pytest.fixture(scope="module")
def collected(run, corpus):
    return collect_mapper(run, corpus, "test", 5)


def test_every_control_has_a_row_and_the_truth_is_the_ceiling(collected):
    found, shown = collected
    assert list(found.rows) == [*ROWS, "random_walk"] and len(found.clips) == 4
    result = result_of(found, "command")
    assert result.rows["truth"]["opening_r"].mean == pytest.approx(1)
    assert result.rows["other_true_motions"]["opening_r"].mean > 0.95
    assert 0.9 < result.rows["truth"]["opening_r[full head]"].mean < 1
    assert result.rows["other_true_motions"]["spread_of_true[pose]"].mean == pytest.approx(1)
    assert abs(result.rows["iid_noise"]["opening_r"].mean) < 0.3
    assert result.rows["iid_noise"]["roughness[pose]"].mean > 5
    assert {"opening_r_vs_linear", "nod_energy_r_vs_shuffled_audio"} <= set(result.paired)
    assert list(result.rows["random_walk"]) == [
        "cross_entropy", "cross_entropy[lips]", "cross_entropy[brows]", "cross_entropy[pose]"]
    assert all(motions.shape == (8, clip.frames, 23) for clip, motions in shown)


def test_clips_of_several_lengths_are_drawn_as_each_is_by_itself(run, corpus, collected):
    clips = MotionClips(corpus, "test", run.system.stages[0].data)
    assert len({clips[number].frames for number in range(4)}) > 1
    sampler = run.system.sampler(run.nets, run.stats)
    clip, motions = collected[1][1]
    number = clips.keys.index(clip.key)
    alone = Drawer(sampler)(clip.audio[None], [5 + number])[0]
    # Matrix products round by the batch: a draw at the edge of a bin may fall on its other side.
    assert (sampler.encode(alone) == sampler.encode(motions)).mean() > 0.95


def test_motions_begin_where_they_are_told(run, corpus):
    clips = MotionClips(corpus, "test", run.system.stages[0].data)
    sound = np.stack([clips.padded_audio(clips[number]) for number in (0, 1)])
    starts = np.random.default_rng(0).uniform(0, 1, (2, 23)).astype(np.float32)
    draw = Drawer(run.system.sampler(run.nets, run.stats), motions=1)
    begun, free = draw(sound, [1, 2], starts), draw(sound, [1, 2])
    np.testing.assert_array_equal(begun[:, 0, 0], starts)
    assert begun.shape == free.shape and (begun[:, 0, 1:] != free[:, 0, 1:]).any()


def test_a_shard_has_the_values_of_the_whole(run, corpus, collected, monkeypatch):
    monkeypatch.setattr("thjax.evaluate.passes.BLOCK_CLIPS", 2)
    part, _ = collect_mapper(run, corpus, "test", 5, shard=Shard(2, 2))
    assert list(part.clips) == [2, 3] and part.total == 4
    for row in ("ours", "linear", "markov", "truth", "random_walk"):
        for name, values in part.rows[row].items():
            assert values == {number: collected[0].rows[row][name][number] for number in (2, 3)}, (row, name)


def test_other_takes_are_left_out_where_the_clip_itself_comes_out_otherwise(run, corpus):
    clip = MotionClips(corpus, "test", run.system.stages[0].data)[0]
    maker = TakeMaker(SETTINGS)
    try:
        takes = maker.of_clip(clip)
        assert takes.vectors.shape == (8, clip.frames, 23) and not np.allclose(takes.vectors[0], takes.vectors[1])
        assert np.abs(takes.vectors[:, 0, 17:20]).max() == 0  # from the clip's start
        assert maker.of_clip(dataclasses.replace(clip, vectors=clip.vectors + 1)) is None
    finally:
        maker.close()


def test_clips_without_a_label_are_named_and_the_rest_is_measured(run, corpus, monkeypatch):
    read = MotionClips.__getitem__

    def blind(clips, number):
        clip = read(clips, number)
        hidden = clip.key.endswith("test_0000/0001")
        return dataclasses.replace(clip, counts=clip.counts & ~np.bool_(hidden))

    monkeypatch.setattr(MotionClips, "__getitem__", blind)
    found, _ = collect_mapper(run, corpus, "test", 0)
    assert found.not_judged == {"no frame has labels": ["synthetic/test_0000/0001"]}
    assert len(found.clips) == 3 and len(found.rows["ours"]["cross_entropy"]) == 3


def test_a_regression_has_errors_in_place_of_nats(corpus):
    found, _ = collect_mapper(run_of(corpus, "regression"), corpus, "test", 0, limit=2)
    assert "random_walk" not in found.rows
    assert "squared_error[lips]" in found.rows["ours"] and "cross_entropy" not in found.rows["ours"]


def test_the_command_writes_a_table_and_a_picture(run, corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("thjax.evaluate.command.load_run", lambda *_, **__: run)
    words = ["evaluate", "--checkpoint", str(tmp_path), "--data", str(corpus), "--clips", "2"]
    assert cli.main([*words, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "roughness[pose]" in printed and "opening_r_vs_linear" in printed
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert list(table["rows"])[0] == "ours" and table["about"]["motions"] == 8
    assert (tmp_path / "out" / "motions.png").stat().st_size > 10_000


def test_networks_for_pixels_are_refused(run, corpus, tmp_path, monkeypatch):
    from thjax.evaluate import command
    monkeypatch.setattr(command, "load_run", lambda *_, **__: run)
    with pytest.raises(UserError, match="a mapper draws none"):
        command.run(["--checkpoint", str(tmp_path), "--data", str(corpus), "--networks", "lpips=x"])
