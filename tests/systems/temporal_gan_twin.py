"""The temporal GAN once more, in torch, from the public description alone; and its weights carried over to ours.

Written layer by layer from the paper and the description of its public code (facts in the system's README). It shares
no code with thjax but the config's sizes. `TrainStep` is the twin of the whole training step, used for timing.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def prime_factors(n):
    return next(([p, *prime_factors(n // p)] for p in range(2, n + 1) if n % p == 0), [])


def norm(kind, channels, dims):
    if kind == "none":
        return nn.Identity()
    return (nn.BatchNorm1d if dims == 1 else nn.BatchNorm2d)(channels)


class WaveformEncoder(nn.Module):
    """5 ms kernel every 1 ms, then one layer per prime factor of what remains; the last factor makes the code."""

    def __init__(self, rate, window, code, channels, kind, slope):
        super().__init__()
        strides = [rate // 1000] + prime_factors(window * 1000 // rate)[:-1]
        kernels = [rate // 200] + [2 * stride for stride in strides[1:]]
        widths, layers = [1, *channels], []
        assert len(strides) == len(channels)
        for i, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
            layers += [
                nn.Conv1d(widths[i], widths[i + 1], kernel, stride, math.ceil((kernel - stride) / 2)),
                norm(kind, widths[i + 1], 1), nn.LeakyReLU(slope) if slope else nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.code = nn.Conv1d(widths[-1], code, window // math.prod(strides))

    def forward(self, windows):
        return torch.tanh(self.code(self.layers(windows[:, None])))[..., 0]


class ImageEncoder(nn.Module):
    """4x4 convolutions of stride 2, then one kernel over what is left."""

    def __init__(self, size, inputs, channels, code, kind, slope=0.0, first=True, squash=True, code_bias=False):
        super().__init__()
        widths, self.squash = [inputs, *channels], squash
        self.layers = nn.ModuleList()
        for i, width in enumerate(channels):
            used = kind if i or first else "none"
            self.layers.append(nn.Sequential(
                nn.Conv2d(widths[i], width, 4, 2, 1, bias=used == "none"), norm(used, width, 2),
                nn.LeakyReLU(slope) if slope else nn.ReLU(),
            ))
        self.code = nn.Conv2d(channels[-1], code, [s >> len(channels) for s in size], bias=code_bias)

    def forward(self, image):
        skips = []
        for layer in self.layers:
            image = layer(image)
            skips.append(image)
        code = self.code(image)[..., 0, 0]
        return torch.tanh(code) if self.squash else code, skips


class Level(nn.Module):
    """A level of the decoder: join the skip by a 3x3 transposed convolution, double the map by a 4x4 one."""

    def __init__(self, width, below, kind):
        super().__init__()
        self.join = nn.ConvTranspose2d(2 * width, width, 3, 1, 1, bias=False)
        self.join_norm = norm(kind, width, 2)
        self.widen = nn.ConvTranspose2d(width, below, 4, 2, 1, bias=False)
        self.widen_norm = norm(kind, below, 2)

    def forward(self, x, skip):
        x = F.relu(self.join_norm(self.join(torch.cat([x, skip], 1))))
        return F.relu(self.widen_norm(self.widen(x)))


class Generator(nn.Module):
    def __init__(self, config):
        super().__init__()
        g, size = config.generator, (config.data.crop.height, config.data.crop.width)
        self.config = g
        self.audio = WaveformEncoder(g.audio_rate, g.audio_window, g.audio_code, g.audio_channels, g.norm, 0.0)
        width = g.audio_code
        if g.context_layers:
            self.context = nn.GRU(g.audio_code, g.context, g.context_layers, batch_first=True)
            width = g.context
        if g.noise_layers:
            self.noise = nn.GRU(g.noise, g.noise, g.noise_layers, batch_first=True)
        self.identity = ImageEncoder(size, 3, g.channels, g.identity, g.norm)
        deepest = [s >> len(g.channels) for s in size]
        self.expand = nn.ConvTranspose2d(width + g.noise + g.identity, g.channels[-1], deepest, bias=False)
        self.expand_norm = norm(g.norm, g.channels[-1], 2)
        self.levels = nn.ModuleList(
            Level(g.channels[i], g.channels[i - 1], g.norm) for i in range(len(g.channels) - 1, 0, -1)
        )
        self.output = nn.ConvTranspose2d(g.channels[0], 3, 4, 2, 1, bias=False)
        if g.output == "residual":
            self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, still, windows, noise):
        clips, frames = windows.shape[:2]
        context = self.audio(windows.reshape(clips * frames, -1)).reshape(clips, frames, -1)
        if self.config.context_layers:
            context, _ = self.context(context)
        if self.config.noise_layers:
            noise = torch.tanh(self.noise(noise)[0])
        identity, skips = self.identity(still)
        repeat = lambda x: x[:, None].expand(clips, frames, *x.shape[1:]).reshape(clips * frames, *x.shape[1:])
        latent = torch.cat([context.flatten(0, 1), noise.flatten(0, 1), repeat(identity)], -1)
        x = F.relu(self.expand_norm(self.expand(latent[..., None, None])))
        for level, skip in zip(self.levels, reversed(skips[1:]), strict=True):
            x = level(x, repeat(skip))
        x = self.output(x)
        if self.config.output == "residual":
            x = self.gain * x + repeat(torch.atanh(0.98 * still))
        return torch.tanh(x).reshape(clips, frames, *x.shape[1:])


class FrameDiscriminator(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, size = config.discriminators, (config.data.crop.height, config.data.crop.width)
        self.image = ImageEncoder(size, 6, d.frame_channels, 1, d.norm, 0.2, first=False, squash=False, code_bias=True)

    def forward(self, frames, still):
        pair = torch.cat([frames, still[:, None].expand_as(frames)], 2)
        return self.image(pair.flatten(0, 1))[0].reshape(frames.shape[:2])


class SequenceDiscriminator(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, g, size = config.discriminators, config.generator, (config.data.crop.height, config.data.crop.width)
        self.image = ImageEncoder(size, 3, d.sequence_channels, d.code, d.norm, 0.2, first=False)
        self.audio = WaveformEncoder(g.audio_rate, g.audio_window, d.code, d.audio_channels, d.norm, 0.2)
        self.context = nn.GRU(2 * d.code, d.context, d.context_layers, batch_first=True)
        self.hidden, self.logit = nn.Linear(d.context, d.hidden), nn.Linear(d.hidden, 1)

    def forward(self, frames, windows):
        clips, count = frames.shape[:2]
        image, _ = self.image(frames.flatten(0, 1))
        audio = self.audio(windows.flatten(0, 1))
        codes = torch.cat([image, audio], -1).reshape(clips, count, -1)
        _, state = self.context(codes)
        return self.logit(F.leaky_relu(self.hidden(state[-1]), 0.2))[:, 0]


TWINS = {
    "generator": Generator, "frame_discriminator": FrameDiscriminator, "sequence_discriminator": SequenceDiscriminator,
}


def randomise(module, seed, momentum=0.9):
    """Statistics and gains that show a slip in the conversion. `momentum` is the old statistics' share."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.momentum = 1 - momentum
            for name, low in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5), ("running_var", 0.5)):
                getattr(part, name).data.uniform_(low, low + 1, generator=generator)
    return module


# ---- weights to ours


def kernel(weight):
    """[out, in, ...] -> [..., in, out]; of a transposed convolution [in, out, ...] -> [..., out, in]."""
    array = weight.detach().numpy()
    return np.moveaxis(array, (1, 0), (-2, -1))


def convolution(layer):
    made = {"kernel": kernel(layer.weight)}
    return made | ({} if layer.bias is None else {"bias": layer.bias.detach().numpy()})


def put_norm(params, stats, name, layer):
    if isinstance(layer, nn.Identity):
        return
    params[name] = {"scale": layer.weight.detach().numpy(), "bias": layer.bias.detach().numpy()}
    stats[name] = {"mean": layer.running_mean.numpy(), "var": layer.running_var.numpy()}


def gru(layer):
    made = {}
    for i in range(layer.num_layers):
        for ours, theirs in (("input", "ih"), ("hidden", "hh")):
            made[f"{ours}_kernel_{i}"] = getattr(layer, f"weight_{theirs}_l{i}").detach().numpy().T
            made[f"{ours}_bias_{i}"] = getattr(layer, f"bias_{theirs}_l{i}").detach().numpy()
    return made


def encoder(module):
    """Params and statistics of a waveform or image encoder."""
    flat = [part for part in module.layers.modules() if not list(part.children())]
    convolutions = [part for part in flat if isinstance(part, nn.Conv1d | nn.Conv2d)]
    norms = [part for part in flat if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.Identity)]
    params, stats = {"code_conv": convolution(module.code)}, {}
    for i, (layer, after) in enumerate(zip(convolutions, norms, strict=True)):
        params[f"conv_{i}"] = convolution(layer)
        put_norm(params, stats, f"norm_{i}", after)
    return params, stats


def decoder(module):
    params, stats = {"expand": {"kernel": kernel(module.expand.weight)}}, {}
    put_norm(params, stats, "expand_norm", module.expand_norm)
    for level, part in zip(range(len(module.levels), 0, -1), module.levels, strict=True):
        joint = kernel(part.join.weight)
        drawn, skipped = np.split(joint, 2, axis=3)
        params |= {f"join_{level}": {"kernel": drawn}, f"join_skip_{level}": {"kernel": skipped}}
        params[f"double_{level}"] = {"kernel": kernel(part.widen.weight)}
        put_norm(params, stats, f"join_norm_{level}", part.join_norm)
        put_norm(params, stats, f"double_norm_{level}", part.widen_norm)
    params["output"] = {"kernel": kernel(module.output.weight)}
    if module.config.output == "residual":
        params["gain"] = module.gain.detach().numpy()
    return params, stats


def convert(module):
    """A twin's weights as flax variables of our network."""
    params, stats = {}, {}
    for name in ("audio", "identity", "image"):
        if hasattr(module, name):
            params[name], stats[name] = encoder(getattr(module, name))
    if hasattr(module, "expand"):
        params["decoder"], stats["decoder"] = decoder(module)
    for name in ("context", "noise"):
        if hasattr(module, name):
            params[name] = gru(getattr(module, name))
    for name in ("hidden", "logit"):
        if hasattr(module, name):
            layer = getattr(module, name)
            params[name] = {"kernel": layer.weight.detach().numpy().T, "bias": layer.bias.detach().numpy()}
    stats = {name: value for name, value in stats.items() if value}
    copied = {"params": params} | ({"batch_stats": stats} if stats else {})
    return _copy(copied)


def _copy(tree):
    return {k: _copy(v) for k, v in tree.items()} if isinstance(tree, dict) else np.array(tree)


def frames_to_torch(x):
    """[..., H, W, C] numpy -> [..., C, H, W] torch."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, -3)))


# ---- the training step


class TrainStep:
    """Discriminators, then generator, as the paper trains them, on prepared float inputs.

    Args:
        config: of the system.
        nets: {name: twin}.
        compiled: torch.compile each network.
        channels_last: memory format of pictures and kernels.
        autocast: torch dtype of the networks, or None.
    """

    def __init__(self, config, nets, compiled=False, channels_last=False, device="cpu", autocast=None):
        self.config, self.device, self.autocast = config, device, autocast
        self.channels_last = channels_last
        self.nets = {name: net.to(device).train() for name, net in nets.items()}
        if channels_last:
            self.nets = {name: net.to(memory_format=torch.channels_last) for name, net in self.nets.items()}
        self.run = {name: torch.compile(net) if compiled else net for name, net in self.nets.items()}
        self.params = {name: list(net.parameters()) for name, net in self.nets.items()}
        o = config.optimizers
        fused = {"fused": True} if device != "cpu" else {}
        self.adams = {
            name: torch.optim.Adam(self.params[name], getattr(o, name).learning_rate, (0.5, 0.999), **fused)
            for name in nets
        }

    def place(self, batch):
        """{name: array} of `still`, `frames` [-1, 1] NHWC, `windows`, `noise`, `weights` [B, T, H, W], `chosen`."""
        made = {}
        for name, value in batch.items():
            if name in ("still", "frames"):
                made[name] = frames_to_torch(value).to(self.device)
                if self.channels_last and name == "still":
                    made[name] = made[name].contiguous(memory_format=torch.channels_last)
            else:
                made[name] = torch.from_numpy(np.array(value)).to(self.device)
        return made

    def __call__(self, batch):
        """One step on a placed batch -> {loss name: tensor}."""
        with torch.autocast(self.device, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            return self._step(batch)

    def _step(self, b):
        fake = self.run["generator"](b["still"], b["windows"], b["noise"])
        judges = [name for name in self.nets if name != "generator"]
        losses = {}
        if judges:
            detached = fake.detach()
            for name in judges:
                real, made = self._judge(name, b["frames"], b), self._judge(name, detached, b)
                losses[f"{name}_loss"] = (F.softplus(-real.float()) + F.softplus(made.float())).mean()
            total = sum(losses.values())
            self._update(judges, total)
        difference = (fake.float() - b["frames"]).abs().mean(2)
        losses["l1"] = (difference * b["weights"]).mean()
        loss = self.config.losses.reconstruction * losses["l1"]
        for name in judges:
            loss = loss + F.softplus(-self._judge(name, fake, b).float()).mean()
        self._update(["generator"], loss)
        return {name: value.detach() for name, value in losses.items()}

    def _judge(self, name, frames, b):
        if name == "frame_discriminator":
            chosen = torch.stack([row[index] for row, index in zip(frames, b["chosen"], strict=True)])
            return self.run[name](chosen, b["still"])
        return self.run[name](frames, b["windows"])

    def _update(self, names, loss):
        params = [p for name in names for p in self.params[name]]
        for p, gradient in zip(params, torch.autograd.grad(loss, params), strict=True):
            p.grad = gradient
        for name in names:
            self.adams[name].step()
