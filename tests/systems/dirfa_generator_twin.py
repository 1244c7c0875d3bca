"""torch twin of dirfa's generator and discriminator: standard layers, submodules named as ours."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.systems.dirfa_generator_twin_layers import ConvNorm, Numbered, Residual, conv, enlarge, grid, pool

FOCAL = 3.2


def blurred(x, factor):
    """Depthwise Gaussian, zeros outside, every factor-th position."""
    if factor == 1:
        return x
    sigma = (factor - 1) / 2
    reach = round(4 * sigma)
    bell = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    kernel = (torch.outer(bell, bell) / bell.sum() ** 2).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(x, (reach,) * 4), kernel, groups=3)[:, :, ::factor, ::factor]


class Detector(Numbered):
    def __init__(self, c):
        super().__init__()
        self.c, widths = c, (3, *c.detector_channels)
        self.downs = self.add("down", [ConvNorm(2, a, b) for a, b in zip(widths, widths[1:], strict=False)])
        self.to_volume = nn.Conv2d(widths[-1], c.detector_volume * c.depth, 1)
        ups = (c.detector_volume, *(w // 2 for w in reversed(c.detector_channels)))
        self.ups = self.add("up", [ConvNorm(3, a, b) for a, b in zip(ups, ups[1:], strict=False)])
        self.score = conv(3, ups[-1], c.keypoints, 3)

    def forward(self, x):
        x = blurred(x, self.c.detector_shrink)
        for layer in self.get(self.downs):
            x = pool(layer(x))
        x = self.to_volume(x)
        x = x.reshape(len(x), -1, self.c.depth, *x.shape[2:])
        for layer in self.get(self.ups):
            x = layer(enlarge(x))
        x = self.score(x)
        share = F.softmax(x.flatten(2) / 0.1, -1)
        return share @ grid(*x.shape[2:]).reshape(-1, 3)


class Deformation(Numbered):
    def __init__(self, c):
        super().__init__()
        widths = (17, *c.deformation)
        self.names = self.add("hidden", [nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)])
        self.shift = nn.Linear(widths[-1], 3 * c.keypoints)

    def forward(self, x):
        x = x / 0.6
        for layer in self.get(self.names):
            x = F.relu(layer(x))
        return self.shift(x).reshape(len(x), -1, 3)


class Appearance(Numbered):
    def __init__(self, c):
        super().__init__()
        self.c, self.first = c, ConvNorm(2, 3, c.channels[0], 7)
        self.downs = self.add("down", [ConvNorm(2, a, b) for a, b in zip(c.channels, c.channels[1:], strict=False)])
        self.to_volume = nn.Conv2d(c.channels[-1], c.volume_channels * c.depth, 1)
        self.blocks = self.add("block", [Residual(3, c.volume_channels) for _ in range(c.volume_blocks)])

    def forward(self, x):
        x = self.first(x)
        for layer in self.get(self.downs):
            x = pool(layer(x))
        x = self.to_volume(x)
        x = x.reshape(len(x), -1, self.c.depth, *x.shape[2:])
        for layer in self.get(self.blocks):
            x = layer(x)
        return x


class Hourglass(Numbered):
    def __init__(self, taken, channels):
        super().__init__()
        widths = (taken, *channels)
        self.downs = self.add("down", [ConvNorm(3, a, b) for a, b in zip(widths, channels, strict=False)])
        ups, given = [], channels[-1]
        for width, skip in zip(reversed(channels), reversed(widths[:-1]), strict=True):
            ups.append(ConvNorm(3, given, width // 2))
            given = width // 2 + skip
        self.ups, self.last = self.add("up", ups), ConvNorm(3, given, given)
        self.given = given

    def forward(self, x):
        levels = [x]
        for layer in self.get(self.downs):
            levels.append(pool(layer(levels[-1])))
        x = levels.pop()
        for layer in self.get(self.ups):
            x = torch.cat([layer(enlarge(x)), levels.pop()], 1)
        return self.last(x)


def bells(points, *size):
    away = grid(*size)[None, None] - points[:, :, None, None, None]
    variance = torch.tensor([max(0.01, 1 / (n - 1) ** 2) for n in size[::-1]])
    return torch.exp(-(away**2 / (2 * variance)).sum(-1))


class DenseMotion(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.compress = c, ConvNorm(3, c.volume_channels, 4, 1)
        self.hourglass = Hourglass((c.keypoints + 1) * 5, c.motion_channels)
        self.mixture = conv(3, self.hourglass.given, c.keypoints + 1, c.motion_kernel)
        self.occlusion = conv(2, self.hourglass.given * c.depth, 1, c.motion_kernel)

    def forward(self, volume, source, driving):
        x, size = self.compress(volume), volume.shape[2:]
        x = pool(x) if self.c.motion_shrink == 2 else x
        own, offsets = grid(*x.shape[2:]), F.pad(source - driving, (0, 0, 1, 0))
        heat = F.pad(bells(driving, *x.shape[2:]) - bells(source, *x.shape[2:]), (0,) * 6 + (1, 0))
        seen = []
        for k in range(offsets.shape[1]):
            shifted = F.grid_sample(x, own + offsets[:, k, None, None, None], align_corners=True)
            seen += [heat[:, k : k + 1], shifted]
        x = self.hourglass(torch.cat(seen, 1))
        share = F.softmax(self.mixture(x), 1)
        shift = torch.einsum("bkdhw,bkx->bxdhw", share, offsets)
        occlusion = self.occlusion(x.flatten(1, 2))
        if self.c.motion_shrink == 2:
            shift = F.interpolate(shift, size=size, mode="trilinear")
            occlusion = F.interpolate(occlusion, size=size[1:], mode="bilinear")
        return grid(*size) + shift.movedim(1, -1), torch.sigmoid(occlusion)


class Flat(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.third = ConvNorm(2, c.volume_channels * c.depth, c.decoder_features, 3, 0.01)
        self.fourth = nn.Conv2d(c.decoder_features, c.decoder_features, 1)

    def forward(self, volume, occlusion):
        return self.fourth(self.third(volume.flatten(1, 2))) * occlusion


class Plain(Numbered):
    def __init__(self, c):
        super().__init__()
        self.blocks = self.add("block", [Residual(2, c.decoder_features) for _ in range(c.decoder_blocks)])
        widths = (c.decoder_features, *c.decoder_channels)
        self.ups = self.add("up", [ConvNorm(2, a, b) for a, b in zip(widths, widths[1:], strict=False)])
        self.last = conv(2, widths[-1], 3, 7)

    def forward(self, x):
        for layer in self.get(self.blocks):
            x = layer(x)
        for layer in self.get(self.ups):
            x = layer(enlarge(x))
        return self.last(x)


def spectral(taken, given, kernel, padding, bias=True):
    return nn.utils.spectral_norm(nn.Conv2d(taken, given, kernel, padding=padding, bias=bias))


class SpadeNorm(nn.Module):
    def __init__(self, channels, labels):
        super().__init__()
        self.hidden = conv(2, labels, 128, 3)
        self.scale, self.shift = conv(2, 128, channels, 3), conv(2, 128, channels, 3)

    def forward(self, x, labels):
        hidden = F.relu(self.hidden(F.interpolate(labels, size=x.shape[2:])))
        return F.instance_norm(x) * (1 + self.scale(hidden)) + self.shift(hidden)


class SpadeBlock(nn.Module):
    def __init__(self, taken, given, labels):
        super().__init__()
        middle = min(taken, given)
        if taken != given:
            self.norm_short, self.conv_short = SpadeNorm(taken, labels), spectral(taken, given, 1, 0, False)
        self.norm_0, self.conv_0 = SpadeNorm(taken, labels), spectral(taken, middle, 3, 1)
        self.norm_1, self.conv_1 = SpadeNorm(middle, labels), spectral(middle, given, 3, 1)

    def forward(self, x, labels):
        short = self.conv_short(self.norm_short(x, labels)) if hasattr(self, "conv_short") else x
        y = self.conv_0(F.leaky_relu(self.norm_0(x, labels), 0.2))
        return short + self.conv_1(F.leaky_relu(self.norm_1(y, labels), 0.2))


class Spade(Numbered):
    def __init__(self, c):
        super().__init__()
        labels, wide = c.decoder_features, c.spade_features
        self.first = conv(2, labels, wide, 3)
        self.blocks = self.add("block", [SpadeBlock(wide, wide, labels) for _ in range(c.decoder_blocks)])
        widths = (wide, *c.decoder_channels)
        self.ups = self.add("up", [SpadeBlock(a, b, labels) for a, b in zip(widths, widths[1:], strict=False)])
        self.last = conv(2, widths[-1], 3, 3)

    def forward(self, labels):
        x = self.first(labels)
        for layer in self.get(self.blocks):
            x = layer(x, labels)
        for layer in self.get(self.ups):
            x = layer(enlarge(x), labels)
        return self.last(F.leaky_relu(x, 0.2))


def turn(angles):
    """R = Rx Ry Rz, each written out."""
    (cx, cy, cz), (sx, sy, sz) = torch.cos(angles).T, torch.sin(angles).T
    one, no = torch.ones_like(cx), torch.zeros_like(cx)
    make = lambda *rows: torch.stack([torch.stack(row, -1) for row in rows], -2)
    return (make((one, no, no), (no, cx, -sx), (no, sx, cx)) @ make((cy, no, sy), (no, one, no), (-sy, no, cy))
            @ make((cz, -sz, no), (sz, cz, no), (no, no, one)))


def seen(points, z, source):
    """Points in half sides of the picture, projected by a camera of focal length 2 * 3.2 half sides."""
    millimetres = points * source[:, 19, None, None] / (2 * FOCAL)
    there = millimetres @ turn(z[:, 20:]).transpose(1, 2) + z[:, None, 17:20]
    flat = 2 * FOCAL * there[..., :2] / there[..., 2:]
    return torch.cat([flat, 2 * FOCAL * (there[..., 2:] / source[:, 19, None, None] - 1)], -1)


def on_face(z, height, width):
    """Where lines of sight meet the upright square of 160 mm around a point of the face, in its half sides."""
    y, x = torch.meshgrid(*((2 * torch.arange(n, dtype=z.dtype) + 1) / n - 1 for n in (height, width)), indexing="ij")
    sight = torch.stack([x, y, torch.full_like(x, 2 * FOCAL)], -1) @ turn(z[:, 20:])[:, None]
    eye = (-z[:, None, None, 17:20] @ turn(z[:, 20:])[:, None]) - torch.tensor([0.0, 22.0, -65.0])
    met = eye - sight * (eye[..., 2:] / sight[..., 2:])
    return met[..., :2] / 80


class Units(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.hidden, self.scale_and_shift = nn.Linear(17, 64), nn.Linear(64, 16 * 16 * 2 * features)

    def forward(self, x, z):
        cells = self.scale_and_shift(F.relu(self.hidden(z[:, :17] / 0.6))).reshape(len(x), 16, 16, -1).movedim(-1, 1)
        places = on_face(z, *x.shape[2:])
        scale, shift = F.grid_sample(cells, places, align_corners=True).chunk(2, 1)
        return x * (1 + scale) + shift


class Generator(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.detector, self.deformation, self.appearance = Detector(c), Deformation(c), Appearance(c)
        self.motion, self.flatten = DenseMotion(c), Flat(c)
        self.decoder = Spade(c) if c.decoder == "spade" else Plain(c)
        if c.decoder_units:
            self.units = Units(c.decoder_features)
        if c.output == "residual":
            self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, picture, source, driving):
        canonical, volume = self.detector(picture), self.appearance(picture)
        at = lambda z: seen(canonical + self.deformation(z[:, :17]), z, source)
        places, occlusion = self.motion(volume, at(source), at(driving))
        features = self.flatten(F.grid_sample(volume, places, align_corners=True), occlusion)
        logits = self.decoder(self.units(features, driving) if self.c.decoder_units else features)
        if self.c.output == "residual":
            shift = (places - grid(*places.shape[1:4]))[..., :2].mean(1).movedim(-1, 1)
            shift = F.interpolate(shift, size=picture.shape[2:], mode="bilinear").movedim(1, -1)
            copy = F.grid_sample(picture, grid(*picture.shape[2:]) + shift, padding_mode="border", align_corners=True)
            logits = self.gain * logits + torch.logit(0.5 + 0.98 * (copy - 0.5))
        return torch.sigmoid(logits)


class Discriminator(Numbered):
    def __init__(self, c):
        super().__init__()
        widths = (3, *c.channels)
        self.convs = self.add("conv", [spectral(a, b, 4, 0) for a, b in zip(widths, widths[1:], strict=False)])
        self.norms = [nn.InstanceNorm2d(width, affine=True) for width in c.channels[1:]]
        for i, norm in enumerate(self.norms, 1):
            self.add_module(f"norm_{i}", norm)
        self.logit, self.attributes = spectral(widths[-1], 1, 1, 0), nn.Linear(widths[-1], 23)

    def forward(self, x):
        for i, layer in enumerate(self.get(self.convs)):
            x = layer(x)
            x = F.leaky_relu(self.norms[i - 1](x) if i else x, 0.2)
            x = pool(x) if i < len(self.convs) - 1 else x
        return self.logit(x)[:, 0], self.attributes(x.mean((2, 3)))
