"""The mapper once more in torch, written from the description and not from our code; and its weights as ours."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FREE = [7, 9, 11, 12, 13, 14, 15, 16]
"""Channels that may grow by themselves: AU10, 14, 17, 20, 23, 25, 26 of the lips and AU45 of the lids."""


class TwinMapper(nn.Module):
    """Tokens: the frame before by table or waves, plus what is heard; pre-LN transformer; one linear head."""

    def __init__(self, c, readout=False):
        super().__init__()
        self.c, w = c, c.width
        if c.history == "table":
            self.table, width_in = nn.Embedding(23 * c.categories, c.table_features), 23 * c.table_features
        else:
            self.history_in, width_in = nn.Linear(23 * 17, w), w
        self.history_out = nn.Linear(width_in, w)
        self.begin = nn.Parameter(torch.zeros(w))
        self.audio_in, self.audio_out = nn.Linear(c.audio_bands * c.audio_columns, w), nn.Linear(w, w)
        self.blocks = nn.ModuleList(nn.ModuleDict({
            "attention_norm": nn.LayerNorm(w, eps=1e-6), "qkv": nn.Linear(w, 3 * w), "out": nn.Linear(w, w),
            "forward_norm": nn.LayerNorm(w, eps=1e-6), "widen": nn.Linear(w, 4 * w), "narrow": nn.Linear(4 * w, w),
        }) for _ in range(c.layers))
        self.norm = nn.LayerNorm(w, eps=1e-6)
        says = {"categorical": c.categories, "mixture": 3 * c.components, "regression": 1}[c.head]
        self.say = nn.Linear(w, 23 * says)
        if c.head == "mixture":
            self.follow = nn.Parameter(torch.ones(23, c.components // 2))
            self.first = nn.Parameter(torch.zeros(23, 1))
            self.centre = nn.Parameter(torch.zeros(23, 1))
            self.anchor = nn.Parameter(torch.zeros(23, c.components - c.components // 2))
        if readout:
            self.lips = nn.Linear(w, 7)

    def forward(self, history, audio, first, attended):
        c = self.c
        heard = self.audio_out(F.gelu(self.audio_in(2 * audio - 1)))
        mean = torch.full((*first.shape, 6), 0.5)
        if c.pose == "relative":
            mean = slow_mean(history[..., 17:], attended & ~first)
            history = torch.cat([history[..., :17], history[..., 17:] - mean + 0.5], -1)
        if c.history == "table":
            bins = (history * c.categories).long().clamp(0, c.categories - 1) + c.categories * torch.arange(23)
            told = self.table(bins).flatten(-2)
        else:
            angles = math.pi * history[..., None, :] * 2.0 ** torch.arange(8)[:, None]
            told = torch.cat([2 * history, angles.sin().flatten(-2), angles.cos().flatten(-2)], -1)
            told = F.gelu(self.history_in(told - torch.cat([torch.ones(23), torch.zeros(23 * 16)])))
        x = heard + torch.where(first[..., None], self.begin, self.history_out(told))
        frames = x.shape[1]
        if c.positions == "sinusoidal":
            rates = 10_000 ** (-torch.arange(0, c.width, 2) / c.width)
            angles = torch.arange(frames)[:, None] * rates
            x = x + torch.cat([angles.sin(), angles.cos()], -1)
        bias = self.bias(frames, attended)
        for b in self.blocks:
            q, k, v = (part.unflatten(-1, (c.heads, -1)).transpose(1, 2)
                       for part in b["qkv"](b["attention_norm"](x)).chunk(3, -1))
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            x = x + b["out"](mixed.transpose(1, 2).flatten(-2))
            x = x + b["narrow"](F.gelu(b["widen"](b["forward_norm"](x))))
        return self.head(self.say(self.norm(x)).unflatten(-1, (23, -1)), history, mean, first), (
            self.lips(heard) if hasattr(self, "lips") else None)

    def bias(self, frames, attended):
        """[B, heads, T, T], added behind the scaling."""
        c, age = self.c, torch.arange(frames)[:, None] - torch.arange(frames)
        slopes = torch.tensor([slope(i, c.heads) for i in range(c.heads)])[:, None, None]
        penalty = {"alibi": 1.0, "alibi_inside": (c.width // c.heads) ** -0.5, "sinusoidal": 0.0}[c.positions]
        seen = (age >= 0) & (age < c.reach) & (attended[:, None, :] | (age == 0))
        return torch.where(seen[:, None], -penalty * slopes * age, torch.tensor(-1e9))

    def head(self, said, history, mean, first):
        c = self.c
        if c.head != "mixture":
            return said
        weights, moves, scales = said.chunk(3, -1)
        before = torch.where(first[..., None, None], self.first, history[..., None])
        most = torch.full((23, 1), 0.99).index_fill(0, torch.tensor(FREE), float("inf"))
        followed = self.centre + torch.minimum(self.follow, most) * (before - self.centre)
        anchors = torch.cat([followed, self.anchor.expand(*before.shape[:-1], -1)], -1)
        usual = torch.tensor([0.02] * (c.components // 2) + [0.1] * (c.components - c.components // 2))
        scales = (scales + usual.log()).clamp(math.log(0.25 / c.categories), 0).exp()
        locations = anchors + 0.1 * moves
        shift = F.pad(0.985 * (mean - 0.5), (17, 0))[..., None]  # nothing for action units
        return torch.cat([weights, locations + shift, scales], -1)


def slow_mean(pose, known):
    """[B, T, 6]: up to 50 frames the mean of what is known, then exponential."""
    mean, count, found = torch.full((len(pose), 6), 0.5), torch.zeros(len(pose)), []
    for t in range(pose.shape[1]):
        count = count + known[:, t]
        rate = torch.clamp(1 / count.clamp(min=1), min=1 / 50)[:, None]
        mean = torch.where(known[:, t, None], mean + rate * (pose[:, t] - mean), mean)
        found.append(mean)
    return torch.stack(found, 1)


def slope(index, heads):
    """ALiBi's slope of a head, as the paper's prose has it."""
    power = 2 ** math.floor(math.log2(heads))
    if index < power:
        return 2 ** (-8 * (index + 1) / power)
    return 2 ** (-8 * (2 * (index - power) + 1) / (2 * power))


def nats(c, said, target):
    """Negative log likelihood [B, T, 23]; the mixture's in double precision."""
    if c.head == "categorical":
        return F.cross_entropy(said.movedim(-1, 1), target.long(), reduction="none")
    weights, locations, scales = said.double().chunk(3, -1)
    below = torch.where(target == 0, -10.0, target / c.categories)[..., None]
    above = torch.where(target == c.categories - 1, 10.0, (target + 1) / c.categories)[..., None]
    below, above = (below - locations) / scales, (above - locations) / scales
    right = below + above > 0  # in the right tail 1 - 1 is all that a CDF leaves
    low, high = torch.where(right, -above, below), torch.where(right, -below, above)
    top = torch.special.log_ndtr(high)
    mass = top + torch.log1p(-torch.exp(torch.special.log_ndtr(low) - top))
    return -torch.logsumexp(weights.log_softmax(-1) + mass, -1)


def randomise(twin, seed=0):
    """Weights drawn large enough that everything in it matters."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in twin.named_parameters():
            if "norm.weight" in name:
                value.copy_(1 + 0.3 * torch.randn_like(value))
            elif value.ndim == 2 and "table" not in name and name not in ("follow", "first", "centre", "anchor"):
                value.copy_(torch.randn_like(value) * value.shape[1] ** -0.5)
            elif name == "follow":
                value.copy_(0.8 + 0.3 * torch.randn_like(value))  # some beyond what is kept
            else:
                value.copy_(0.3 * torch.randn_like(value))
    return twin


def convert(twin, gradients=False):
    """Parameters of the twin, or their gradients, as the mapper's tree."""
    tree = {}
    for name, value in twin.named_parameters():
        array = (value.grad if gradients else value.detach()).numpy()
        path = name.split(".")
        if path[0] == "blocks":
            inner = ["attention", path[2]] if path[2] in ("qkv", "out") else [path[2]]
            path = [f"blocks_{path[1]}", *inner, path[3]]
        if path[-1] == "weight":
            path[-1] = "embedding" if path[0] == "table" else "scale" if "norm" in path[-2] else "kernel"
            array = array.T if path[-1] == "kernel" else array
        place = tree
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = np.array(array)
    return tree
