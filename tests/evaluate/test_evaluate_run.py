"""A run evaluated from end to end: rows, controls, shards that add up to one pass, and what is refused."""

import dataclasses
import json
import types

import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.schema import SAMPLES_PER_FRAME
from tests.data_pipelines.toy_corpus import write_toy_corpus
from tests.evaluate import planted
from thjax.core.config import RunConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.core.errors import UserError
from thjax.evaluate import command, passes, report
from thjax.evaluate.collected import Collected, check_complete
from thjax.evaluate.judges import Judges, refuse_circular
from thjax.evaluate.passes import Shard
from thjax.evaluate.result import result_of
from thjax.evaluate.run import collect_run, evaluate_run
from thjax.metrics.merging import merge

CLIPS = 10
ROWS = ["re_encoded_truth", "ours", "copy_first_frame", "wrong_audio", "silent_audio"]
POSE_ROWS = ["static_pose", "replayed_pose", "independent_pose"]


class NoisySampler:
    """The still, brighter where the sound is loud, with the seed's own noise."""

    frame_size = (64, 64)
    chunk_frames = 4
    lookahead = 0
    lookbehind = 0

    def plan(self, request):
        noise = np.random.default_rng(request.seed).integers(0, 9, (64, 64, 3))
        return {"still": jnp.asarray(request.still, jnp.float32) + noise}

    def chunk(self, carry, audio):
        level = jnp.abs(audio.astype(jnp.float32)).reshape(4, SAMPLES_PER_FRAME).mean(axis=1) / 200
        return carry, jnp.clip(carry["still"] + level[:, None, None, None], 0, 255).astype(jnp.uint8)

    def finish(self, carry, frames):
        return frames


def toy_run(**config):
    spec = DataSpec(fields=("frames", "still", "audio", "landmarks"), crop=CropSpec("none", 64, 64))
    stages = [types.SimpleNamespace(data=spec)]
    system = types.SimpleNamespace(stages=stages, sampler=lambda nets, stats: NoisySampler())
    return types.SimpleNamespace(config=RunConfig(system="toy", variant="tiny", **config), system=system, nets={},
                                 stats={}, step=7, manifest_hash="abc", pretrained={}, averaged=())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Ten test clips of one speaker, of two lengths: three blocks, the last one not full. One shows no face."""
    folder = tmp_path_factory.mktemp("corpus")
    write_toy_corpus(folder, speakers=3, clips=CLIPS, frames=(20, 24), size=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "BLOCK_CLIPS", 4)
        yield folder


@pytest.fixture(scope="module")
def whole(corpus):
    return evaluate_run(toy_run(), corpus, "test", 0, "thjax evaluate", metrics="all", judges=planted.judges())


def test_a_table_has_all_controls_and_the_metrics_of_all_groups(whole):
    result, _, videos = whole
    assert list(result.rows) == ROWS + POSE_ROWS and sorted(videos) == sorted(ROWS)
    assert list(result.grouped_lines()) == ["picture", "lips", "identity", "words and sync", "motion"]
    for row in POSE_ROWS:
        assert set(result.rows[row]) <= {"hs[synthetic]", "hs_union[synthetic]", "beat_alignment[synthetic]"}
    assert result.rows["ours"]["diversity[synthetic]"].n == 4
    names = [name for name in result.rows["ours"] if name.startswith("fid")]
    assert names == [f"fid[synthetic, head 64, N={5 * (20 + 24)}]"]
    assert result.left_out["not a GRID command, the lip reader's only grammar"]["rows"]["ours"]["clips"] == CLIPS
    header, *body = result.grouped_lines()["picture"]
    assert header[:3] == ["picture", "best", "re_encoded_truth (ceiling)"]
    assert [line[0] for line in body][:3] == ["psnr", "ssim", "mouth_psnr"]
    assert result.rows["re_encoded_truth"]["psnr"].mean > result.rows["ours"]["psnr"].mean
    assert result.as_json()["comparisons"]["psnr"][1]["systems"] == ["ours", "copy_first_frame"]
    few, biased, short = result.cautions
    assert short.startswith("sync of 10 clips of fewer than 35 frames")
    assert few == "intervals marked ? are unreliable: 1 speakers, fewer than 8"
    assert biased.startswith(f"{names[0]} is biased upward: 220 samples, fewer than 2048")
    assert body[0][3].endswith("]?") and [few] in result.tables()["Beware"]


def test_shards_add_up_to_one_pass(whole, corpus, tmp_path):
    parts = []
    for index in (1, 2, 3, 4):  # the fourth has no clip
        collected, shown = collect_run(toy_run(), corpus, "test", 0, metrics="all", judges=planted.judges(),
                                       shard=Shard(index, 4))
        parts.append(tmp_path / str(index))
        collected.write(parts[-1])
        report.draw(shown, planted.judges(), parts[-1])
    merged = result_of(merge(Collected.read(part) for part in reversed(parts)), "thjax evaluate")
    expected = whole[0]
    assert merged.keys == expected.keys and list(merged.rows["ours"]) == list(expected.rows["ours"])
    a, b = (dict(flatten(result.as_json())) for result in (merged, expected))
    assert a.keys() == b.keys()
    assert all(a[path] == b[path] or abs(a[path] - b[path]) <= 1e-9 * max(1, abs(b[path])) for path in a)
    for row, metrics in expected.per_clip.items():
        for name, values in metrics.items():
            np.testing.assert_array_equal(merged.per_clip[row][name], values)
    # The command makes the same table of the folders, with the pictures that the shards drew.
    assert command.run(["--merge", *map(str, parts), "--out", str(tmp_path / "out")]) == 0
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert rows["ours"]["psnr"]["mean"] == expected.rows["ours"]["psnr"].mean
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(UserError, match="in none of these shards"):
        check_complete(Collected.read(parts[0]))
    with pytest.raises(UserError, match="in two shards"):
        Collected.read(parts[0]) + Collected.read(parts[0])
    with pytest.raises(UserError, match="they differ in seeds"):
        other = Collected.read(parts[1])
        Collected.read(parts[0]) + dataclasses.replace(other, about=other.about | {"seeds": [0, 1]})
    with pytest.raises(UserError, match=r"they differ in averaged: \[\] and \['generator'\]"):  # --no_ema, once
        facts = other.about["about"] | {"averaged": ["generator"]}
        Collected.read(parts[0]) + dataclasses.replace(other, about=other.about | {"about": facts})


def flatten(tree, path=()):
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in flatten(value, (*path, key))]
    if isinstance(tree, list):
        return [leaf for key, value in enumerate(tree) for leaf in flatten(value, (*path, key))]
    return [(path, tree)]


def test_basic_metrics_are_the_default_of_the_library_and_ask_no_judge(corpus):
    result, clips, videos = evaluate_run(toy_run(), corpus, "test", 0, "thjax demo")
    assert result.basic and list(result.rows) == ROWS
    assert list(result.rows["ours"]) == ["psnr", "ssim", "mouth_psnr", "jitter", "lip_gap_r"]
    assert set(result.as_json()) == {"command", "config_hash", "seeds", "about", "rows", "paired", "cautions"}
    assert set(result.paired) == {"mouth_psnr_vs_copy_first_frame", "mouth_psnr_vs_shuffled_audio",
                                  "psnr_vs_copy_first_frame", "psnr_vs_shuffled_audio"}
    assert len(clips) == len(videos["ours"]) == 4 and result.lines()[0] == [
        "", "psnr", "ssim", "mouth_psnr", "lip_gap_r", "jitter"]


def test_a_run_that_trained_on_its_judge_is_refused():
    refuse_circular({"losses": {"perceptual": "vgg19", "sync": {"judge": "sync_loss"}}}, {})
    with pytest.raises(UserError, match="trained on sync_metric.*sync_loss"):
        refuse_circular({"losses": {"sync": {"judge": "sync_metric"}}}, {})
    with pytest.raises(UserError, match="identity_metric"):
        refuse_circular({}, {"judge": {"path": "weights/identity_metric.safetensors"}})
    run = toy_run()
    run.pretrained = {"expert": {"name": "lips_metric"}}
    with pytest.raises(UserError, match="--metrics basic"):
        collect_run(run, "nowhere", "test", 0, metrics="all", judges=Judges())


def test_a_shard_is_named_by_two_numbers():
    assert Shard.parse("2/4") == Shard(2, 4)
    blocks = [block for index in (1, 2, 3) for block in Shard(index, 3).blocks(50)]
    assert sorted(number for block in blocks for number in block) == list(range(50))
    for wrong in ("0/4", "5/4", "2", "a/b", "1/"):
        with pytest.raises(UserError, match="I/N"):
            Shard.parse(wrong)
