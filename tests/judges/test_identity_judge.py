"""The judge of identity, with weights as they are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.crops import CANONICAL, STABLE_LANDMARKS, canonical_template
from thjax.judges import identity
from thjax.judges.identity import SIDE, Config, Judge, Network

SMALL = Config(channels=(4, 6, 8, 8), code=12)


@pytest.fixture(scope="module")
def judge():
    return Judge(jax.jit(Network(SMALL).init)(jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 3))), SMALL)


def faces(count, height, width, seed=0):
    """Blurred noise with landmarks where a canonical crop has them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 8, 6, 3))
    frames = np.kron(coarse, np.ones((1, height // 8, width // 6, 1))).astype(np.uint8)
    landmarks = np.full((count, 68, 2), 7.0, np.float32)
    landmarks[:, STABLE_LANDMARKS] = canonical_template(height, width)
    return frames, landmarks


def test_embeddings_are_unit_vectors_and_do_not_depend_on_the_batch(judge):
    frames, landmarks = faces(identity.BATCH + 3, 64, 48)
    codes = judge.embed(frames, landmarks)
    assert codes.shape == (identity.BATCH + 3, 12) and codes.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(judge.embed(frames[-2:], landmarks[-2:]), codes[-2:], atol=1e-5)
    assert judge.embed(frames[:0], landmarks[:0]).shape == (0, 12)


def test_crop_follows_nose_and_eyes_alone():
    frames, landmarks = faces(2, 128, 96)
    moved = landmarks.copy()
    moved[:, 48:] += 9  # an open mouth
    np.testing.assert_array_equal(identity.face_crops(frames, landmarks), identity.face_crops(frames, moved))
    left, top, side = identity.FACE_BOX
    want = (CANONICAL * 64 - (left, top)) * SIDE / side
    affine = identity.face_affine(landmarks)
    got = landmarks[:, STABLE_LANDMARKS] @ affine[:, :, :2].transpose(0, 2, 1) + affine[:, None, :, 2]
    np.testing.assert_allclose(got, np.stack([want, want]), atol=1e-3)


def test_a_mirrored_face_has_the_same_embedding(judge):
    codes = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        judge.embed_faces(np.ascontiguousarray(codes[:, :, ::-1])), judge.embed_faces(codes), atol=1e-5)


def test_a_smooth_shade_is_taken_away():
    face = np.random.default_rng(2).uniform(60, 120, (1, SIDE, SIDE, 3)).astype(np.float32)
    across = np.exp(np.linspace(-0.35, 0.35, SIDE))[None, None, :, None]
    plain, shaded = (np.asarray(identity.against_surroundings(jnp.asarray(x))) for x in (face, face * across))
    left = np.abs(shaded - plain)[:, 16:-16, 16:-16].mean()  # a window at the border lies on one side
    assert left < 0.15 * np.abs(np.log((face * across + identity.DARK) / (face + identity.DARK))).mean()
    grey = np.asarray(identity.against_surroundings(jnp.full((1, SIDE, SIDE, 3), 90.0)))
    np.testing.assert_allclose(grey, 0, atol=1e-5)


def test_picture_moved_within_its_frame_keeps_its_crop_and_embedding(judge):
    frames, landmarks = faces(3, 96, 72)
    padded = np.pad(frames, [(0, 0), (11, 5), (20, 8), (0, 0)], mode="edge")
    here, there = identity.face_crops(frames, landmarks), identity.face_crops(padded, landmarks + np.float32([20, 11]))
    rounding = there.astype(int) - here
    assert np.abs(rounding).max() <= 1 and (rounding != 0).mean() < 0.03
    elsewhere = np.random.default_rng(3).permutation(rounding.ravel()).reshape(here.shape)
    moved = np.clip(here + elsewhere, 0, 255).astype(np.uint8)
    same_size = np.abs(judge.embed_faces(moved) - judge.embed_faces(here)).max()
    apart = np.abs(judge.embed(padded, landmarks + np.float32([20, 11])) - judge.embed(frames, landmarks)).max()
    assert apart <= 2 * same_size


def test_what_cannot_be_judged_is_named(judge):
    frames, landmarks = faces(2, 64, 48)
    with pytest.raises(ValueError, match="uint8"):
        judge.embed(frames.astype(np.float32), landmarks)
    with pytest.raises(ValueError, match="at least 48"):
        judge.embed(frames[:, :40], landmarks)
    with pytest.raises(ValueError, match=r"give \[2, 68, 2\]"):
        judge.embed(frames, landmarks[:1])
    landmarks[1, 33] = np.nan
    with pytest.raises(ValueError, match="1 of 2 frames are not finite"):
        judge.embed(frames, landmarks)
