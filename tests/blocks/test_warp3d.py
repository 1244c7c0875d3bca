"""Trilinear warping beside torch's grid_sample."""

import jax
import numpy as np
import pytest
from jax import export

torch = pytest.importorskip("torch")

from tests.blocks.compare import assert_close, from_torch, to_torch  # noqa: E402
from thjax.blocks.warp3d import coordinate_grid, shift3d, warp3d  # noqa: E402

SIZE = (3, 5, 4)


def volume_and_places(reach=1.3):
    """A volume, and places of which some lie outside."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, *SIZE, 3)).astype("f4"), rng.uniform(-reach, reach, (2, 2, 6, 3, 3)).astype("f4")


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_values_and_gradients_are_torchs(align_corners, padding):
    volume, places = volume_and_places()
    ours, pull = jax.vjp(lambda v, p: warp3d(v, p, align_corners, padding), volume, places)
    there, where = to_torch(volume), torch.tensor(places, requires_grad=True)
    theirs = torch.nn.functional.grid_sample(there, where, padding_mode=padding, align_corners=align_corners)
    assert_close(ours, from_torch(theirs))
    ahead = np.random.default_rng(1).standard_normal(ours.shape).astype("f4")
    theirs.backward(to_torch(ahead).detach())
    assert_close(pull(ahead), (from_torch(there.grad), where.grad.numpy()))


@pytest.mark.parametrize("align_corners", [True, False])
def test_shifts_are_torchs_samples_of_shifted_grids(align_corners):
    volume, _ = volume_and_places()
    offsets = np.random.default_rng(2).uniform(-0.9, 0.9, (2, 4, 3)).astype("f4")
    ours, pull = jax.vjp(lambda v, o: shift3d(v, o, align_corners), volume, offsets)
    there, moves = to_torch(volume), torch.tensor(offsets, requires_grad=True)
    own = torch.tensor(np.asarray(coordinate_grid(SIZE, align_corners)))
    theirs = torch.stack([
        torch.nn.functional.grid_sample(there, own + moves[:, k, None, None, None], align_corners=align_corners)
        for k in range(4)
    ], 1)
    assert_close(ours, np.moveaxis(theirs.detach().numpy(), 2, -1))
    ahead = np.random.default_rng(3).standard_normal(ours.shape).astype("f4")
    theirs.backward(torch.tensor(np.moveaxis(ahead, -1, 2).copy()))
    assert_close(pull(ahead), (from_torch(there.grad), moves.grad.numpy()))


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_maps_own_places_give_it_back(align_corners):
    volume, _ = volume_and_places()
    own = np.broadcast_to(coordinate_grid(SIZE, align_corners), (2, *SIZE, 3))
    np.testing.assert_allclose(warp3d(volume, own, align_corners), volume, atol=1e-5)
    theirs = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], (1, 1, 5, 4), align_corners=align_corners)
    np.testing.assert_allclose(coordinate_grid((5, 4), align_corners), theirs[0], atol=1e-6)


def test_places_far_outside_are_empty_or_the_border():
    volume, _ = volume_and_places()
    far = np.full((2, 1, 3), 1e6, "f4")
    assert not np.asarray(warp3d(volume, far)).any()
    np.testing.assert_array_equal(warp3d(volume, far, padding="border")[:, 0], volume[:, -1, -1, -1])


def test_exports_to_stablehlo():
    volume, places = volume_and_places()
    exported = export.export(jax.jit(warp3d))(volume, places)
    assert "stablehlo.gather" in exported.mlir_module()
    np.testing.assert_allclose(exported.call(volume, places), warp3d(volume, places), atol=1e-6)


def test_volumes_keep_their_type_and_places_theirs():
    volume, places = volume_and_places()
    half = warp3d(volume.astype(jax.numpy.bfloat16), places)
    assert half.dtype == jax.numpy.bfloat16
    np.testing.assert_allclose(half.astype("f4"), warp3d(volume, places), atol=0.05)


def test_what_does_not_fit_is_named():
    volume, places = volume_and_places()
    with pytest.raises(ValueError, match=r"give \[B, D, H, W, C\] and \[B, ..., 3\]"):
        warp3d(volume[0], places)
    with pytest.raises(ValueError, match="padding 'mirror' is unknown; use one of zeros, border"):
        warp3d(volume, places, padding="mirror")
