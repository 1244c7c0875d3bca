"""The loop that trains a judge: a pure jitted step over batches in memory, minutes on a core."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
import optax

Variables = Mapping[str, Any]
LossFn = Callable[[Any, Variables, Any, jax.Array], tuple[jax.Array, Variables]]
"""(params, other collections, batch, key) -> (scalar, other collections anew)."""


def fit(variables: Variables, loss: LossFn, optimizer: optax.GradientTransformation, batches: Iterable, seed: int,
        report: Callable[[int, float], None] = lambda step, loss: None, every: int = 50) -> Variables:
    """Trains on every batch once, in order.

    Args:
        variables: flax collections with `params`.
        loss: of one batch.
        optimizer: optax chain.
        batches: pytrees of arrays, all of one shape.
        seed: of the keys that `loss` gets.
        report: called with (steps done, mean loss since the last call).
        every: steps between two reports.

    Returns:
        The trained variables.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    params = variables["params"]
    rest = {name: part for name, part in variables.items() if name != "params"}
    state = optimizer.init(params)
    key = jax.random.key(seed)

    @jax.jit
    def step(params, rest, state, batch, number):
        value_and_grad = jax.value_and_grad(loss, has_aux=True)
        (value, rest), grads = value_and_grad(params, rest, batch, jax.random.fold_in(key, number))
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), rest, state, value

    recent = []
    for number, batch in enumerate(batches, 1):
        params, rest, state, value = step(params, rest, state, batch, number)
        recent.append(value)
        if number % every == 0:
            mean = float(np.mean(jax.device_get(recent)))
            if not np.isfinite(mean):
                raise FloatingPointError(f"the loss is {mean} within the last {every} steps before step {number}")
            report(number, mean)
            recent.clear()
    return {"params": params, **rest}
