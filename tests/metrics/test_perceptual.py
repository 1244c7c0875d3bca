"""LPIPS arithmetic against torch, on feature maps and heads of our own making."""

import numpy as np
import pytest

from thjax.metrics.perceptual import lpips


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    shapes = [(3, 8, 6, 4), (3, 4, 3, 10)]
    truth, other = ([rng.normal(size=shape).astype(np.float32) for shape in shapes] for _ in range(2))
    return truth, other, [rng.random(shape[-1]).astype(np.float32) for shape in shapes]


def test_lpips_equals_torch(maps):
    torch = pytest.importorskip("torch")
    total = 0
    for a, b, head in zip(*maps, strict=True):
        x, y = (torch.nn.functional.normalize(torch.tensor(z).double().permute(0, 3, 1, 2), dim=1) for z in (a, b))
        weights = torch.tensor(head).double()[None, :, None, None]
        total = total + torch.nn.functional.conv2d((x - y) ** 2, weights).mean((1, 2, 3))
    assert lpips(*maps) == pytest.approx(float(total.mean()), abs=1e-9)


def test_opposite_and_equal_features_and_scale():
    ones = [np.ones((1, 2, 2, 4))]
    assert lpips(ones, [-ones[0]], [np.full(4, 0.5)]) == pytest.approx(4 * 4 * 0.25 * 0.5)
    assert lpips(ones, [7 * ones[0]], [np.ones(4)]) == pytest.approx(0)
    assert lpips([np.zeros((1, 2, 2, 4))], ones, [np.ones(4)]) == pytest.approx(1)


def test_what_cannot_be_weighed_is_named(maps):
    truth, other, heads = maps
    with pytest.raises(ValueError, match="2 and 2 layers.*1 heads"):
        lpips(truth, other, heads[:1])
    with pytest.raises(ValueError, match=r"head 1.*\[10\].*\(4,\)"):
        lpips(truth, other, [heads[0], heads[0]])
    with pytest.raises(ValueError, match="4 negative"):
        lpips(truth, other, [-heads[0], heads[1]])
