"""What training does to a window's spectrum: planted ones come out moved, tilted and raised, alike in every frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.systems.dirfa_narrow import KEY, narrow
from thjax.core.rngs import Rngs
from thjax.systems.dirfa.voices import vary_voice

B, T, BANDS, COLUMNS = 6, 5, 20, 4
MAPPER = dict(audio_bands=BANDS, audio_columns=COLUMNS)


def varied(features, ids=range(B), **losses):
    """[b, T, columns, bands] after the voices that these losses ask for."""
    config = narrow(mapper=MAPPER, losses=losses)
    rngs = Rngs(KEY, jnp.asarray(ids, jnp.uint32))
    made = vary_voice(config.losses, config.mapper, jnp.asarray(features.reshape(len(features), T, -1)), rngs)
    return np.asarray(made).reshape(len(features), T, COLUMNS, BANDS)


def planted(band):
    return np.broadcast_to(np.asarray(band, np.float32), (B, T, COLUMNS, BANDS))


def test_nothing_is_done_that_nobody_asked_for():
    features = np.random.default_rng(0).uniform(0, 1, (B, T, COLUMNS, BANDS)).astype(np.float32)
    np.testing.assert_array_equal(varied(features), features)


def test_a_ramp_shows_by_how_much_a_window_was_moved():
    moved = varied(planted(np.arange(BANDS) / 100), band_shift=2.0) * 100 - np.arange(BANDS)
    shifts = moved[:, 0, 0, 5]
    np.testing.assert_allclose(moved[..., 3:-3], np.broadcast_to(shifts[:, None, None, None], moved[..., 3:-3].shape),
                               atol=1e-4)
    assert np.abs(shifts).max() <= 2 and len(np.unique(shifts)) == B and shifts.min() < 0 < shifts.max()


def test_a_flat_spectrum_shows_the_tilt():
    tilted = varied(planted(np.full(BANDS, 0.5)), tilt_db=10.0) - 0.5
    ends = (tilted[..., -1] - tilted[..., 0]) * 100
    np.testing.assert_allclose(tilted.mean(-1), 0, atol=1e-6)
    np.testing.assert_allclose(np.diff(tilted, axis=-1), (ends / 100 / (BANDS - 1))[..., None] * np.ones(BANDS - 1),
                               atol=1e-6)
    assert np.abs(ends).max() <= 10 and len(np.unique(ends[:, 0, 0])) == B


def test_silence_is_raised_to_a_floor_and_by_nothing_else():
    silence = planted(np.zeros(BANDS))
    assert not varied(silence, tilt_db=20.0, band_shift=2.0).any()
    floors = varied(silence, noise_floor=0.3)
    assert (floors == floors[:, :1, :1, :1]).all() and 0 <= floors.min() < floors.max() <= 0.3
    loud = planted(np.full(BANDS, 0.9))
    np.testing.assert_array_equal(varied(loud, noise_floor=0.3), loud)


def test_a_window_has_its_voice_whatever_the_batch():
    features = np.random.default_rng(1).uniform(0, 1, (B, T, COLUMNS, BANDS)).astype(np.float32)
    settings = dict(tilt_db=10.0, band_shift=1.0, noise_floor=0.3)
    whole = varied(features, **settings)
    part = varied(features[2:4], ids=(2, 3), **settings)
    np.testing.assert_array_equal(part, whole[2:4])


def test_it_has_a_gradient_with_respect_to_the_sound():
    config = narrow(mapper=MAPPER, losses=dict(tilt_db=10.0, band_shift=1.0))
    rngs = Rngs(KEY, jnp.arange(B, dtype=jnp.uint32))
    features = jnp.full((B, T, COLUMNS * BANDS), 0.5)
    slope = jax.grad(lambda x: vary_voice(config.losses, config.mapper, x, rngs).sum())(features)
    assert bool(jnp.isfinite(slope).all()) and float(jnp.abs(slope).sum()) > 0


@pytest.mark.parametrize("name,value", [("tilt_db", -1.0), ("band_shift", -1.0), ("noise_floor", 1.0)])
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"losses.{name}"):
        narrow(losses={name: value})
