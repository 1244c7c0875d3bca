"""Other voices and other rooms: what training does to the mel columns of a window, so few voices teach for many."""

import jax
import jax.numpy as jnp

from thjax.audio.mel_magnitude import RANGE_DB
from thjax.core.rngs import Rngs
from thjax.systems.dirfa.config import LossConfig, MapperConfig


def vary_voice(losses: LossConfig, mapper: MapperConfig, features: jax.Array, rngs: Rngs) -> jax.Array:
    """Mel columns [B, T, A] in [0, 1], each window in another voice and another room, in this order.

    * `band_shift`: along the mel scale, as another vocal tract would move it (Jaitly and Hinton 2013 warp it likewise).
    * `tilt_db`: louder towards one end of the spectrum, as other speakers and microphones are.
    * `noise_floor`: nothing is quieter than a level, as in a room that is not silent.

    Silence stays silence but for the floor.
    """
    if not (losses.band_shift or losses.tilt_db or losses.noise_floor):
        return features
    bands = jnp.arange(mapper.audio_bands, dtype=features.dtype)
    middle = (mapper.audio_bands - 1) / 2

    def one(key, columns):
        shift, tilt, floor = jax.random.uniform(key, (3,), features.dtype, -1, 1)
        columns = columns.reshape(-1, mapper.audio_bands)
        columns = _moved(columns, bands + losses.band_shift * shift)
        slope = losses.tilt_db / RANGE_DB * tilt * (bands - middle) / max(2 * middle, 1)
        columns = jnp.where(columns > 0, jnp.clip(columns + slope, 0, 1), 0)
        columns = jnp.maximum(columns, losses.noise_floor * (1 + floor) / 2)
        return columns.reshape(features.shape[1:])

    return jax.vmap(one)(rngs.stream("voice"), features)


def _moved(columns: jax.Array, places: jax.Array) -> jax.Array:
    """Columns [N, bands] read at fractional bands [bands], linear in between, the outermost bands beyond the ends."""
    last = columns.shape[-1] - 1
    places = jnp.clip(places, 0, last)
    below = jnp.minimum(places.astype(jnp.int32), max(last - 1, 0))
    share = places - below
    return (1 - share) * columns[:, below] + share * columns[:, jnp.minimum(below + 1, last)]
