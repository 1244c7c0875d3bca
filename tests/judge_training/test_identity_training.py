"""Training and examination of the judge of identity, at sizes that take seconds."""

import dataclasses

import jax
import numpy as np
import pytest

from thjax.judge_training import identity, stills
from thjax.judges.identity import SIDE, Config, face_crops

PEOPLE = 12
RECIPE = identity.Recipe(
    Config((4, 6, 8, 8), 16), seed=5, identities=PEOPLE, stills=2, redrawn=2, size=64, steps=2, batch=8
)


@pytest.fixture(scope="module")
def people():
    """Pictures of a few people, own hair and redrawn: {redraw_hair: Stills}."""
    drawn = {hair: stills.some_people((5, "train", 0, PEOPLE, 2, 64, hair)) for hair in (False, True)}
    return {hair: stills.Stills(**arrays) for hair, arrays in drawn.items()}


@pytest.fixture
def in_memory(monkeypatch, people):
    monkeypatch.setattr(identity, "draw_stills", lambda *arguments: people[arguments[6]])


def test_training_learns_its_people(tmp_path, in_memory):
    told = []
    recipe = dataclasses.replace(RECIPE, steps=100, margin_steps=0)
    variables = identity.train(recipe, tmp_path, lambda *report: told.append(report))
    assert [report[:3] for report in told] == [("training", 50, 100), ("training", 100, 100)]
    first, second = (float(note.removeprefix("loss ")) for *_, note in told)
    assert second < 0.9 * first
    assert set(variables) == {"params", "batch_stats"} and set(variables["params"]) >= {"conv_0", "code"}


@pytest.mark.thorough
def test_examination_names_the_controls(tmp_path, in_memory, monkeypatch):
    monkeypatch.setattr(identity, "EXAMINED", {"validation": PEOPLE})
    monkeypatch.setattr(identity, "EXAMINED_STILLS", 2)
    variables = identity.train(RECIPE, tmp_path, lambda *told: None)
    table = identity.examine(variables, RECIPE, tmp_path, "validation")
    assert list(table) == ["ours", "colour_histogram", "untrained"]
    for row in table.values():
        assert set(row) == {"eer", "eer_hair_redrawn", "rank1", "same", "different"}
        for figure in row.values():
            assert figure["n"] == PEOPLE and figure["ci95"][0] <= figure["mean"] <= figure["ci95"][1]


def test_strayed_crops_stay_within_their_limits(people):
    frames, landmarks = people[False].frames, people[False].landmarks
    strayed = identity.strayed_faces(frames, landmarks, np.random.default_rng(0)).astype(float)
    straight = face_crops(frames, landmarks).astype(float)
    assert strayed.shape == (2 * PEOPLE, SIDE, SIDE, 3)
    change = np.abs(strayed - straight).mean((1, 2, 3))
    assert (change > 1).all() and (change < 40).all()


def test_small_frames_keep_the_landmarks_on_the_face(people):
    frames, landmarks = people[False].frames, people[False].landmarks
    small, moved = identity.small_frames(frames, landmarks, 64)
    assert small.shape == (2 * PEOPLE, 64, 48, 3)
    change = np.abs(face_crops(small, moved).astype(float) - face_crops(frames, landmarks))[:, 8:-4, 8:-8]
    assert change.mean() < 6


def test_altered_pictures_differ_in_light_and_side_only():
    faces = np.broadcast_to(np.linspace(40, 160, SIDE, dtype=np.float32)[:, None], (6, SIDE, SIDE, 3))
    out = np.asarray(identity.altered(faces, jax.random.key(0)))
    assert out.min() >= 0 and out.max() <= 255
    alike = [np.corrcoef(row.ravel(), one.ravel())[0, 1] for one, row in zip(faces[..., 0], out[..., 0], strict=True)]
    assert max(alike) > 0.999 and min(alike) < -0.999  # shown as they are, and mirrored
    assert (np.abs(alike) > 0.999).all()
    assert out.mean((1, 2, 3)).std() > 1
