"""What the tests of the blocks share: tolerance against another implementation, and torch's layouts."""

import jax
import numpy as np
import torch


def assert_close(ours, theirs, tolerance=1e-4):
    """Every leaf within `tolerance` of its largest value."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert a.shape == b.shape
        assert np.isfinite(b).all() and np.abs(b).max() > 0
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def to_torch(x):
    """Channels last to torch's channels first, as a leaf that takes gradients."""
    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1).copy(), requires_grad=True)


def from_torch(x):
    """Torch's channels first to channels last."""
    return np.moveaxis(x.detach().numpy(), 1, -1)


def load_conv(module, params):
    """Puts a kernel [*k, in, out], or transposed [*k, out, in], and a bias of ours into a torch convolution."""
    kernel = np.asarray(params["kernel"])
    module.weight.data = torch.tensor(np.moveaxis(kernel, (-1, -2), (0, 1)).copy())
    if module.bias is not None:
        module.bias.data = torch.tensor(np.asarray(params["bias"]))


def conv_gradient(module):
    """Gradients of a torch convolution in our layout, keys as in our parameters."""
    found = {"kernel": np.moveaxis(module.weight.grad.numpy(), (0, 1), (-1, -2))}
    if module.bias is not None:
        found["bias"] = module.bias.grad.numpy()
    return found


def load_norm(module, params):
    """Puts our scale and bias into a torch norm."""
    module.weight.data = torch.tensor(np.asarray(params["scale"]))
    module.bias.data = torch.tensor(np.asarray(params["bias"]))


def norm_gradient(module):
    """Gradients of a torch norm, keys as in our parameters."""
    return {"scale": module.weight.grad.numpy(), "bias": module.bias.grad.numpy()}


def load_gru(module, params):
    """Puts our GRU's matrices and biases into a torch GRU."""
    for layer in range(module.num_layers):
        for ours, theirs in (("input", "ih"), ("hidden", "hh")):
            kernel, bias = (np.asarray(params[f"{ours}_{part}_{layer}"]) for part in ("kernel", "bias"))
            getattr(module, f"weight_{theirs}_l{layer}").data = torch.tensor(kernel.T.copy())
            getattr(module, f"bias_{theirs}_l{layer}").data = torch.tensor(bias)


def gru_gradient(module):
    """Gradients of a torch GRU, keys as in our parameters."""
    found = {}
    for layer in range(module.num_layers):
        for ours, theirs in (("input", "ih"), ("hidden", "hh")):
            found[f"{ours}_kernel_{layer}"] = getattr(module, f"weight_{theirs}_l{layer}").grad.numpy().T
            found[f"{ours}_bias_{layer}"] = getattr(module, f"bias_{theirs}_l{layer}").grad.numpy()
    return found


def fresh(module, *inputs, seed=0, **fixed):
    """(params, other collections) of a module, drawn by numpy: scales near one, biases near zero, nothing compiled."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("mean", "var"):
            return np.full(leaf.shape, float(name == "var"), leaf.dtype)
        fan_in = np.prod(leaf.shape[:-1]) if "kernel" in name else 100
        return np.asarray((name == "scale") + rng.normal(size=leaf.shape) / np.sqrt(fan_in), leaf.dtype)

    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, **fixed))
    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    return variables.pop("params", {}), variables
