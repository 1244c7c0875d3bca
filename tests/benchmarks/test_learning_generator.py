"""The generator's scorer: its control in the plane, its head masks and its reading back, on planted answers."""

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.learning_generator import CHANNELS, Shown, head_mask, measure, moved_flat, read_back
from data_pipelines.synthetic.frame_renderer import FrameRenderer, camera, rest_translation
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.scene import neutral_scene

SIDE = 64


def shown(vectors, source=None):
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) if source is None else source
    z = np.zeros(23, np.float32)
    z[19] = 800
    everywhere = np.ones((len(vectors), SIDE, SIDE), bool)
    return Shown("a", source, z, np.repeat(source[None], len(vectors), 0), z + vectors, everywhere, everywhere)


def test_the_control_in_the_plane_follows_the_pose():
    """Four pixels across, and a quarter turn about the head's origin, which stands in the middle."""
    vectors = np.zeros((3, 23), np.float32)
    vectors[1, 17] = 4 * 800 / camera(SIDE).focal
    vectors[2, 22] = np.pi / 2
    smooth = ndimage.zoom(np.random.default_rng(1).uniform(0, 255, (8, 8, 3)), (SIDE / 8, SIDE / 8, 1), order=1)
    clip = shown(vectors, smooth.astype(np.uint8))
    made = moved_flat(clip)
    np.testing.assert_array_equal(made[0], clip.source)
    np.testing.assert_allclose(made[1][:, 4:].astype(int), clip.source[:, :-4], atol=1)
    # Positive Rz tilts clockwise as seen in the image.
    np.testing.assert_allclose(made[2].astype(int), np.rot90(clip.source, -1), atol=1)


def test_the_head_is_seen_where_it_stands_without_its_shoulders():
    scene = neutral_scene()
    renderer = FrameRenderer(sample_identity(np.random.default_rng(0)), scene, SIDE)
    pose = np.concatenate([rest_translation(scene), np.zeros(3)])
    mask = head_mask(renderer, np.zeros(20), pose)
    aside = head_mask(renderer, np.zeros(20), pose + [20, 0, 0, 0, 0, 0])
    assert mask[SIDE // 2, SIDE // 2] and not mask[:, 0].any() and not mask[-1].any()
    columns = np.arange(SIDE)
    moved = (aside.sum(0) @ columns) / aside.sum() - (mask.sum(0) @ columns) / mask.sum()
    assert abs(moved - 20 * camera(SIDE).focal / 800) < 0.5


def test_rows_are_measured_against_the_truth():
    clip = shown(np.zeros((2, 23), np.float32))
    worse = np.clip(clip.truth.astype(int) + 10, 0, 255).astype(np.uint8)
    rows = dict.fromkeys(("copy_first_frame", "similarity", "source_units"), worse) | {"ours": clip.truth}
    found = measure([clip], [rows])
    assert found["ours"]["head_psnr"] == [100.0]
    assert found["similarity"]["mouth_psnr"][0] == pytest.approx(28.2, abs=0.3)


def test_reading_back_asks_for_readable_channels_alone():
    rng = np.random.default_rng(0)
    driven = rng.standard_normal((400, 23))
    true = driven + 0.2 * rng.standard_normal(driven.shape)
    true[:, 0] = rng.standard_normal(400)
    ours = true.copy()
    ours[:, 5] = rng.standard_normal(400)
    found = read_back(driven, true, ours)
    assert found["not_readable"] == ["AU01"]
    assert found["below"] == [CHANNELS[5]]
    assert found["share"] == pytest.approx(21 / 22, abs=0.02)
