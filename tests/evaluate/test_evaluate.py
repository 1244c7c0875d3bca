"""Samplers, derangements, basic tables and pictures, with a sampler whose behaviour is planted."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.schema import AUDIO_CONTEXT, SAMPLES_PER_FRAME
from thjax.evaluate.controls import ClipSet, derangement, other_of_the_same, reencode, whose_audio
from thjax.evaluate.pictures import contact_sheet, curves, report
from thjax.evaluate.result import Result
from thjax.evaluate.scores import paired, table
from thjax.evaluate.synthesis import Synthesiser
from thjax.metrics.image import psnr

FRAMES = 7


class LevelSampler:
    """Paints every frame with the mean absolute level of its own 640 samples, after the still's brightness."""

    frame_size = (16, 12)
    chunk_frames = 2
    lookahead = 100
    lookbehind = 300

    def plan(self, request):
        return {"still": jnp.asarray(request.still), "frames": jnp.int32(0)}

    def chunk(self, carry, audio):
        own = audio[self.lookbehind : self.lookbehind + 2 * SAMPLES_PER_FRAME].reshape(2, -1)
        level = jnp.abs(own.astype(jnp.float32)).mean(axis=1) + carry["still"].astype(jnp.float32).mean()
        frames = jnp.broadcast_to(level[:, None, None, None], (2, 16, 12, 3)).astype(jnp.uint8)
        return carry | {"frames": carry["frames"] + 2}, frames

    def finish(self, carry, frames):
        return frames


def clip_set(count=15, speakers=5):
    rng = np.random.default_rng(0)
    levels = rng.integers(1, 100, (count, FRAMES))
    audio = np.zeros((count, FRAMES * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT), np.int16)
    audio[:, AUDIO_CONTEXT:-AUDIO_CONTEXT] = np.repeat(levels, SAMPLES_PER_FRAME, axis=1)
    stills = np.zeros((count, 16, 12, 3), np.uint8)
    frames = np.broadcast_to(levels[:, :, None, None, None], (count, FRAMES, 16, 12, 3)).astype(np.uint8)
    names = [f"corpus/s{i % speakers}" for i in range(count)]
    keys = [f"{name}/c{i}" for i, name in enumerate(names)]
    return ClipSet(keys, names, frames, stills, audio, np.ones((count, FRAMES)), None), levels


def test_every_frame_hears_its_own_samples_and_nothing_is_cut():
    clips, levels = clip_set()
    made = Synthesiser(LevelSampler(), FRAMES)(clips.stills, clips.audio, range(len(clips)))
    assert made.shape == clips.frames.shape
    np.testing.assert_array_equal(made[:, :, 0, 0, 0], levels)


def test_wrong_audio_always_comes_from_another_speaker():
    names = ["a"] * 7 + ["b"] * 5 + ["c"] * 3
    rolls = [derangement(names, shift) for shift in range(3)]
    for target in rolls:
        assert sorted(target) == list(range(15))
        assert all(names[i] != names[j] for i, j in enumerate(target))


def test_where_one_speaker_has_most_clips_wrong_audio_comes_from_another_clip(caplog):
    for names in (["a"] * 8 + ["b"] * 7, ["a"] * 4, ["a"] * 2):
        for shift in range(3):
            target = derangement(names, shift)
            assert sorted(target) == list(range(len(names))) and (target != np.arange(len(names))).all()
    assert whose_audio(clip_set(speakers=5)[0].speakers) == "another speaker's" and not caplog.text
    assert whose_audio(clip_set(speakers=1)[0].speakers) == "another clip's"
    assert "more than half of the 15 clips" in caplog.text
    with pytest.raises(ValueError, match="there is 1 clip; evaluate at least 2"):
        derangement(["a"], 0)


def test_another_clip_of_the_same_speaker_is_never_the_clip_itself():
    assert other_of_the_same(["a", "b", "a", "c", "a", "b"]) == {0: 2, 2: 4, 4: 0, 1: 5, 5: 1}


def test_reencoding_costs_little_and_something():
    blocks = np.random.default_rng(0).integers(0, 255, (2, 4, 3, 3)).astype(np.uint8)
    frames = blocks.repeat(8, axis=1).repeat(8, axis=2)
    assert 20 < psnr(frames, reencode(frames)) < 60


def test_a_result_is_written_in_the_one_form(tmp_path):
    clips, _ = clip_set()
    takes = {"ours": clips.frames, "copy_first_frame": clips.frames // 2}
    scores = {name: {"psnr": np.array([psnr(*pair) for pair in zip(clips.frames, take, strict=True)])}
              for name, take in takes.items()}
    result = Result("thjax evaluate ...", "hash", [0, 0], clips.keys, clips.speakers, scores,
                    table(scores, clips.speakers), paired(scores, clips.speakers), {"split": "test"})
    result.write(tmp_path / "new")
    written = json.loads((tmp_path / "new" / "table.json").read_text())
    assert list(written["rows"]) == ["ours", "copy_first_frame"]
    assert written["rows"]["ours"]["psnr"] == {
        "mean": 100.0, "ci95": [100.0, 100.0], "n": 15, "ci95_speakers": [100.0, 100.0], "speakers": 5,
        "speakers_reliable": False,
    }
    lines = (tmp_path / "new" / "clips.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 15 and lines[1].startswith("ours,corpus/s0/c0,corpus/s0,100")
    assert "unreliable: 5 speakers" in result.paired_lines()[1][-1]


def test_pictures_are_written_whole(tmp_path):
    clips, _ = clip_set()
    contact_sheet(clips, {"generated": clips.frames}, tmp_path / "sheet.png")
    curves([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}], tmp_path / "curves.png")
    report(tmp_path / "report.html", "A <title>", ["note"], {"Scores": [["", "psnr"], ["ours", "30"]]},
           {"sheet": tmp_path / "sheet.png"})
    page = (tmp_path / "report.html").read_text()
    assert "A &lt;title&gt;" in page and "data:image/png;base64," in page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.png", "report.html", "sheet.png"]
