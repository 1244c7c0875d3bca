"""Random streams: every draw is keyed by (step, stream name, example id), so that sharding never changes it."""

import dataclasses
import zlib

import jax


@dataclasses.dataclass(frozen=True)
class Rngs:
    """Keys of one step.

    Attributes:
        key: the key of this step, already folded with the step counter.
        example_ids: [b] uint32, the global position of every example of the local batch.
    """

    key: jax.Array
    example_ids: jax.Array

    def stream(self, name: str) -> jax.Array:
        """[b] keys of the stream `name`, one per example, equal for any number of devices."""
        named = fold_in_name(self.key, name)
        return jax.vmap(lambda example: jax.random.fold_in(named, example))(self.example_ids)

    def shared(self, name: str) -> jax.Array:
        """One key of the stream `name`, the same for all examples."""
        return fold_in_name(self.key, name)


def fold_in_name(key: jax.Array, name: str) -> jax.Array:
    """Derives a key from a name; crc32 because `hash` differs from one Python process to the next."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
