"""What the tests of public networks share: random weights that keep activations alive, files, and the comparison."""

import jax
import numpy as np
import torch

from thjax.pretrained import networks, weights_file
from thjax.pretrained.command import run


def randomise(net: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights of variance 2 / fan-in and norms away from the identity, for inference."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (torch.nn.Linear, torch.nn.modules.conv._ConvNd)):
                torch.nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.weight.uniform_(0.6, 1.2)
                module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.6, 1.6)
            if isinstance(module, torch.nn.PReLU):
                module.weight.uniform_(0.1, 0.4)
    return net.eval()


def save(net_or_state, path, zipped=True):
    """A public file: a state dict of torch.save."""
    state = net_or_state.state_dict() if isinstance(net_or_state, torch.nn.Module) else net_or_state
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


def converted(name, *paths):
    """The network and the variables that the command makes of public files."""
    out = paths[0].parent / f"{name}.safetensors"
    assert run(["convert", name, "--in", *map(str, paths), "--out", str(out)]) == 0
    assert weights_file.read(out)[1]["source"] == ", ".join(path.name for path in paths)
    return networks.load(name, out)


def assert_fits(net, variables, *inputs, method=None):
    """The converted tree has exactly the network's own names and shapes."""
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), *inputs, method=method))
    assert jax.tree.map(lambda x: x.shape, dict(shapes)) == jax.tree.map(np.shape, variables)


def apply(net, variables, *inputs, method=None):
    """Our outputs as numpy."""
    call = jax.jit(lambda v, *x: net.apply(v, *x, method=method))
    return jax.tree.map(np.asarray, call(variables, *(np.asarray(x, np.float32) for x in inputs)))


def close(ours, theirs, tolerance=1e-4):
    """Within 1e-4 of the maximum."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all() and np.ptp(theirs) > 0
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


def channels_last(x: torch.Tensor) -> np.ndarray:
    """[N, C, ...] -> [N, ..., C]."""
    return np.moveaxis(x.detach().numpy(), 1, -1)
