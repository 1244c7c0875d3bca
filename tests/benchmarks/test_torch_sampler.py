"""The peer that our sampler is timed against draws what its own full forward says."""

import numpy as np
import pytest

from tests.systems.dirfa_narrow import narrow

torch = pytest.importorskip("torch")


def test_the_ring_draws_what_the_full_forward_says():
    from benchmarks.torch_sampler import RingSampler
    from tests.systems.dirfa_twin import TwinMapper, randomise

    config, frames = narrow(), 17  # longer than the band of 5 several times over
    twin = randomise(TwinMapper(config.mapper))
    features = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (frames, config.mapper.mel.features))).float()
    drawn = RingSampler(twin).draw(features, 3)
    again = RingSampler(twin).draw(features, 3)
    assert torch.equal(drawn, again) and not torch.equal(drawn, RingSampler(twin).draw(features, 4))
    told = (drawn + 0.5) / config.mapper.categories
    history = torch.cat([torch.zeros(1, 23), told[:-1]])
    first = torch.arange(frames)[None] == 0
    with torch.no_grad():
        said, _ = twin(history[None], features[None], first, torch.ones(1, frames, dtype=bool))
    reached = said[0].softmax(-1).cumsum(-1)
    uniform = torch.rand(frames, 23, 1, generator=torch.Generator().manual_seed(3))
    expected = torch.searchsorted(reached, uniform * reached[..., -1:])[..., 0]
    assert (drawn == expected).float().mean() > 0.99  # a draw on the edge of a category may round the other way
