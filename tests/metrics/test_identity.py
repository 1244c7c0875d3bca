"""ACD and CSIM against torch, SciPy and angles known by hand."""

import numpy as np
import pytest
from scipy.spatial import distance

from thjax.metrics.identity import acd, csim


@pytest.fixture
def embeddings():
    x = np.random.default_rng(0).normal(size=(7, 128)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_both_reductions_equal_scipy(embeddings):
    reference, frames = embeddings[0], embeddings[1:]
    plain = np.mean([distance.euclidean(reference, f) for f in frames])
    assert acd(reference, frames) == pytest.approx(plain, abs=1e-6)
    squared = np.mean([distance.sqeuclidean(reference, f) for f in frames]) / 128
    assert acd(reference, frames, "mse") == pytest.approx(squared, abs=1e-8)
    apart = np.mean([distance.cosine(reference, f) for f in frames])
    assert csim(reference, frames) == pytest.approx(1 - apart, abs=1e-6)


def test_both_equal_torch(embeddings):
    torch = pytest.importorskip("torch")
    reference, frames = embeddings[0], embeddings[1:]
    a, b = torch.tensor(reference).double(), torch.tensor(frames).double()
    cosine, plain = torch.cosine_similarity(a[None], b).mean(), torch.linalg.vector_norm(a - b, dim=1).mean()
    assert csim(3 * reference, frames) == pytest.approx(float(cosine), abs=1e-7)
    assert acd(reference, frames) == pytest.approx(float(plain), abs=1e-9)
    squared = torch.nn.functional.mse_loss(a.expand_as(b), b)
    assert acd(reference, frames, "mse") == pytest.approx(float(squared), abs=1e-12)


def test_a_distance_of_the_published_size_gives_the_published_mse():
    reference, other = np.zeros(128), np.zeros((1, 128))
    reference[0], other[0, :2] = 1, (np.cos(0.115), np.sin(0.115))
    assert acd(reference, other) == pytest.approx(2 * np.sin(0.115 / 2))
    assert acd(reference, other, "mse") == pytest.approx(1.03e-4, rel=0.01)
    assert csim(reference, other) == pytest.approx(np.cos(0.115))


def test_the_same_and_the_opposite_face(embeddings):
    same = np.repeat(embeddings[:1], 3, axis=0)
    assert acd(embeddings[0], same) == 0 and csim(embeddings[0], same) == pytest.approx(1)
    assert acd(embeddings[0], -same) == pytest.approx(2) and csim(embeddings[0], -same) == pytest.approx(-1)


def test_what_cannot_be_measured_is_named(embeddings):
    with pytest.raises(ValueError, match=r"\[128\].*\(64,\)"):
        acd(embeddings[0, :64], embeddings)
    with pytest.raises(ValueError, match="'cosine'"):
        acd(embeddings[0], embeddings, "cosine")
    with pytest.raises(ValueError, match="zero embedding"):
        csim(embeddings[0], embeddings * 0)
    with pytest.raises(ValueError, match="128 of 896.*not finite"):
        acd(embeddings[0], np.where(np.arange(7)[:, None] == 2, np.nan, embeddings))
