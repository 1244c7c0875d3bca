"""Recomputing activations in the backward pass, all but those that a network has named."""

import jax


class SaveNames:
    """A checkpoint policy that keeps the named activations and recomputes the rest.

    Networks name activations with `jax.ad_checkpoint.checkpoint_name(x, "name")`. jax ignores unknown names in
    silence, so this policy notes which names it meets.
    """

    def __init__(self, names: tuple[str, ...]):
        self.names = names
        self.met: set[str] = set()
        self._saves = jax.checkpoint_policies.save_only_these_names(*names)

    def __call__(self, primitive, *args, **params) -> bool:
        if primitive.name == "name":
            self.met.add(params["name"])
        return self._saves(primitive, *args, **params)

    def check(self):
        """Raises ValueError for a name that no network of the traced step has given."""
        if unknown := sorted(set(self.names) - self.met):
            raise ValueError(f"remat keeps {unknown}, which no network names; named are {sorted(self.met) or 'none'}")
