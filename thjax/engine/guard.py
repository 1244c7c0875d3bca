"""The guard: decides inside the step whether a result is kept, because the old buffers are donated."""

import jax
import jax.numpy as jnp
from flax import struct

from thjax.core.config import GuardConfig


class GuardState(struct.PyTreeNode):
    """The guard's memory. P is the number of gradient phases of the stage: each has a norm of its own, since phases
    differ by orders of magnitude and some run on every n-th step only.

    Attributes:
        bad_steps: int32, steps of the run thrown away because something was not finite.
        spikes: int32, steps of the run thrown away because a gradient norm jumped.
        spikes_in_row: int32.
        norm_mean: [P] f32, running mean of each phase's gradient norm over kept steps.
        kept: [P] int32, kept steps that `norm_mean` has seen.
        halted: bool, once set every later step keeps the weights, so that a report that comes one step late
            still finds the state from before the bad step.
    """

    bad_steps: jax.Array
    spikes: jax.Array
    spikes_in_row: jax.Array
    norm_mean: jax.Array
    kept: jax.Array
    halted: jax.Array


WARMUP_STEPS = 20  # no spike is called before the running mean has seen this many steps
MEAN_DECAY = 0.98


def init_guard(phases: int, before: GuardState | None = None) -> GuardState:
    """A guard that has seen no step of a stage with this many gradient phases; it goes on counting from `before`."""
    zero = jnp.int32(0)
    return GuardState(
        bad_steps=before.bad_steps if before else zero,
        spikes=before.spikes if before else jnp.int32(0),
        spikes_in_row=jnp.int32(0),
        norm_mean=jnp.zeros(phases, jnp.float32),
        kept=jnp.zeros(phases, jnp.int32),
        halted=jnp.bool_(False),
    )


def judge(
    guard: GuardState, config: GuardConfig, finite: jax.Array, norms: jax.Array, ran: jax.Array
) -> tuple[GuardState, jax.Array]:
    """Judges a step.

    Args:
        guard: memory before the step.
        config: what to do.
        finite: bool, the inputs, losses, gradients and new variables are finite.
        norms: [P] gradient norm of each phase.
        ran: [P] bool, the phases whose turn it was.

    Returns:
        The new memory, and whether the step's result is kept.
    """
    norms = norms.astype(jnp.float32)
    bad = ~finite
    spike = jnp.bool_(False)
    if config.spike_factor:
        jumped = (guard.kept >= WARMUP_STEPS) & (norms > config.spike_factor * guard.norm_mean)
        spike = finite & jnp.any(ran & jumped)
    in_row = jnp.where(spike, guard.spikes_in_row + 1, 0)
    halt = guard.halted | (in_row >= config.max_spikes)
    if config.on_bad == "stop":
        halt |= bad
    keep = ~(bad | spike | guard.halted)
    mean = jnp.where(guard.kept == 0, norms, MEAN_DECAY * guard.norm_mean + (1 - MEAN_DECAY) * norms)
    seen = keep & ran
    judged = GuardState(
        bad_steps=guard.bad_steps + (bad & ~guard.halted),
        spikes=guard.spikes + (spike & ~guard.halted),
        spikes_in_row=jnp.where(guard.halted, guard.spikes_in_row, in_row),
        norm_mean=jnp.where(seen, mean, guard.norm_mean),
        kept=guard.kept + seen,
        halted=halt,
    )
    return judged, keep


def global_norm(tree) -> jax.Array:
    """Euclidean norm of all leaves together; not finite where a leaf is not."""

    def squares(leaf):
        # A product with itself: XLA:CPU adds up a plain sum number by number.
        axes = tuple(range(leaf.ndim))
        return jax.lax.dot_general(leaf, leaf, ((axes, axes), ((), ())), precision=jax.lax.Precision.HIGHEST)

    return jnp.sqrt(sum(squares(leaf) for leaf in jax.tree.leaves(tree)))


def all_finite(tree) -> jax.Array:
    """Bool: every floating leaf of `tree` is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves])) if leaves else jnp.bool_(True)


def finite_examples(batch) -> jax.Array:
    """[b] bool: every floating field of the example is finite, masked frames aside. Names the clips to blame."""
    examples, valid = batch["example_id"].shape[0], batch.get("valid")
    finite = jnp.ones(examples, bool)
    for field in batch.values():
        if jnp.issubdtype(field.dtype, jnp.inexact):
            good = jnp.isfinite(field)
            if valid is not None and field.shape[:2] == valid.shape:
                good |= (valid == 0).reshape(valid.shape + (1,) * (field.ndim - 2))
            finite &= good.reshape(examples, -1).all(axis=1)
    return finite
