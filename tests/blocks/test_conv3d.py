"""Convolution over time and space beside torch's."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.blocks.compare import assert_close, from_torch, to_torch  # noqa: E402
from thjax.blocks.conv3d import Conv3d, conv3d  # noqa: E402


@pytest.mark.parametrize("kernel, stride, padding", [
    ((3, 5, 5), 2, (1, 2)), ((3, 3, 3), 1, (1, 1)), ((2, 1, 3), 1, (0, 1)),
])
def test_values_and_gradients_are_torchs(kernel, stride, padding):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 5, 9, 8, 3)).astype("f4"), rng.standard_normal((*kernel, 3, 4)).astype("f4")
    tx, tw = to_torch(x), torch.tensor(w.transpose(4, 3, 0, 1, 2).copy(), requires_grad=True)
    time, space = padding
    theirs = torch.nn.functional.conv3d(tx, tw, stride=(1, stride, stride), padding=(time, space, space))
    ours, pull = jax.vjp(lambda x, w: conv3d(x, w, stride, padding), x, w)
    assert_close(ours, from_torch(theirs))
    ahead = rng.standard_normal(ours.shape).astype("f4")
    theirs.backward(to_torch(ahead).detach())
    assert_close(pull(ahead), (from_torch(tx.grad), tw.grad.numpy().transpose(2, 3, 4, 1, 0)))


def test_what_does_not_fit_is_named():
    x = np.zeros((1, 2, 8, 8, 3), "f4")
    with pytest.raises(ValueError, match=r"kernel of 3 frames exceeds 2 padded by 0"):
        Conv3d(4, (3, 3, 3)).init(jax.random.key(0), x)
    with pytest.raises(ValueError, match=r"give \[N, T, H, W, in\]"):
        conv3d(x, np.zeros((3, 3, 3, 2, 4), "f4"))
