"""Weights and inputs for dirfa's generator and its torch twin at once."""

import jax
import numpy as np
import torch


def of_torch(module, leaf, gradient=False):
    """A weight of a torch module, or its gradient, under our name and in our layout."""
    if leaf in ("scale", "kernel"):
        weight = module.weight_orig if hasattr(module, "weight_orig") else module.weight
    else:
        weight = getattr(module, leaf)
    array = (weight.grad if gradient else weight).detach().numpy()
    if leaf != "kernel":
        return array
    return array.T if array.ndim == 2 else np.moveaxis(array, (0, 1), (-1, -2))


def as_ours(twin, shapes, gradient=False):
    """The twin's weights, or their gradients, as our tree `shapes` has them."""
    def find(path, leaf):
        *place, name = (key.key for key in path)
        found = of_torch(twin.get_submodule(".".join(place)), name, gradient)
        assert found.shape == leaf.shape, path
        return found

    return jax.tree_util.tree_map_with_path(find, shapes)


def spectral_as_ours(twin, shapes):
    """Singular vectors; the right one counts positions before channels with us."""
    def find(path, leaf):
        *place, name = (key.key for key in path)
        module = twin.get_submodule(".".join(place))
        if name == "left":
            return module.weight_u.numpy().copy()
        size = module.weight_orig.shape
        return module.weight_v.reshape(size[1:]).permute(1, 2, 0).reshape(-1).numpy().copy()

    return jax.tree_util.tree_map_with_path(find, shapes)


def randomise(twin, seed=0):
    """Scales near one, everything else drawn large enough to matter."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in twin.named_parameters():
            if value.ndim > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
            elif name.endswith("weight"):
                value.uniform_(0.7, 1.3)
            elif value.ndim == 1:
                value.normal_(0, 0.1)
    return twin


def inputs_for(config, seed=2, n=2):
    """Pictures [n, H, W, 3] in 0..1, and animation vectors [n, 23] of themselves and of what is asked for."""
    rng, side = np.random.default_rng(seed), config.data.crop.height
    z = np.concatenate([rng.uniform(0, 5, (2, n, 17)), rng.normal(0, 1, (2, n, 6))], -1)
    z[..., 17:] = z[..., 17:] * [9, 9, 20, 0.1, 0.1, 0.1] + [0, 0, 800, 0, 0, 0]
    return rng.uniform(0, 1, (n, side, side, 3)).astype("f4"), *z.astype("f4")


def for_torch(picture, *rest):
    return torch.tensor(np.moveaxis(picture, -1, 1).copy()), *map(torch.tensor, rest)


def of_twin(twin, shapes):
    """The twin's weights as our variables; running statistics as a fresh network has them."""
    variables = {"params": as_ours(twin, shapes["params"])}
    if "batch_stats" in shapes:
        blank = lambda path, leaf: np.full(leaf.shape, float(path[-1].key == "var"), "f4")
        variables["batch_stats"] = jax.tree_util.tree_map_with_path(blank, shapes["batch_stats"])
    if "spectral" in shapes:
        variables["spectral"] = spectral_as_ours(twin, shapes["spectral"])
    return variables
