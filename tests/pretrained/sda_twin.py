"""The public speech-driven-animation networks in torch, as their description gives them, and files of their layout.

Only names and shapes matter for the files: three modules whose state dicts carry the public keys. Widths are free, so
that tests stay small.
"""

import math

import torch
from torch import nn


def factors(n: int) -> list[int]:
    """Prime factors in increasing order."""
    found, divisor = [], 2
    while n > 1:
        while n % divisor == 0:
            found.append(divisor)
            n //= divisor
        divisor += 1
    return found


class Waveform(nn.Module):
    """Windows of samples -> codes: 5 ms kernels every 1 ms, then a stride per prime factor, the last as one kernel."""

    def __init__(self, rate: int, window: int, first: int, code: int):
        super().__init__()
        strides = [rate // 1000]
        strides += factors(window // strides[0])
        self.cl, self.activations = nn.ModuleList(), nn.ModuleList()
        inputs, outputs, length = 1, first, window
        for i, stride in enumerate(strides[:-1]):
            kernel = rate // 200 if i == 0 else 2 * stride
            pad = math.ceil((kernel - stride) / 2)
            self.cl.append(nn.Conv1d(inputs, outputs, kernel, stride, pad))
            self.activations.append(nn.Sequential(nn.BatchNorm1d(outputs), nn.ReLU()))
            length = (length + 2 * pad - kernel) // stride + 1
            inputs, outputs = outputs, 2 * outputs
        self.cl.append(nn.Conv1d(inputs, code, length))
        self.activations.append(nn.Tanh())

    def forward(self, x):
        for conv, activation in zip(self.cl, self.activations, strict=True):
            x = activation(conv(x))
        return x[..., 0]


class Speech(nn.Module):
    """Windows [B, T, window] -> context [B, T, F]: the waveform encoder and a GRU of two layers."""

    def __init__(self, rate, window, first, code, context):
        super().__init__()
        self.encoder = Waveform(rate, window, first, code)
        self.rnn = nn.GRU(code, context, 2, batch_first=True)

    def forward(self, windows):
        clips, frames, length = windows.shape
        codes = self.encoder(windows.reshape(clips * frames, 1, length))
        return self.rnn(codes.reshape(clips, frames, -1))[0]


class Still(nn.Module):
    """A picture -> code, and the maps of all halving layers."""

    def __init__(self, size, channels, code):
        super().__init__()
        self.cl, inputs = nn.ModuleList(), 3
        for width in channels:
            conv = nn.Conv2d(inputs, width, 4, 2, 1, bias=False)
            self.cl.append(nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU()))
            inputs = width
        left = tuple(side >> len(channels) for side in size)
        self.cl.append(nn.Sequential(nn.Conv2d(inputs, code, left, bias=False), nn.Tanh()))

    def forward(self, x):
        maps = []
        for layer in self.cl[:-1]:
            x = layer(x)
            maps.append(x)
        return self.cl[-1](x)[..., 0, 0], maps


class Block(nn.Module):
    """Joins a map with its skip, then doubles it."""

    def __init__(self, wide, narrow):
        super().__init__()
        self.dcl1 = nn.ConvTranspose2d(2 * wide, wide, 3, 1, 1, bias=False)
        self.activation1 = nn.Sequential(nn.BatchNorm2d(wide), nn.ReLU())
        self.dcl2 = nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)
        self.activation2 = nn.Sequential(nn.BatchNorm2d(narrow), nn.ReLU())

    def forward(self, x, skip):
        return self.activation2(self.dcl2(self.activation1(self.dcl1(torch.cat([x, skip], 1)))))


class Frames(nn.Module):
    """Context, noise and identity -> frames."""

    def __init__(self, size, channels, latent, noise, sequential):
        super().__init__()
        if sequential:
            self.rnn_noise = nn.GRU(noise, noise, batch_first=True)
        self.sequential, deep = sequential, channels[-1]
        left = tuple(side >> len(channels) for side in size)
        head = nn.Sequential(nn.ConvTranspose2d(latent, deep, left, bias=False), nn.BatchNorm2d(deep), nn.ReLU())
        blocks = [Block(wide, wide // 2) for wide in reversed(channels[1:])]
        self.dcl = nn.ModuleList([head, *blocks, nn.ConvTranspose2d(channels[0], 3, 4, 2, 1, bias=False)])

    def forward(self, context, noise, identity, maps):
        if self.sequential:
            noise = torch.tanh(self.rnn_noise(noise)[0])
        clips, frames = context.shape[:2]
        x = torch.cat([context, noise, identity[:, None].expand(-1, frames, -1)], 2)
        x = self.dcl[0](x.reshape(clips * frames, -1, 1, 1))
        for block, skip in zip(self.dcl[1:-1], reversed(maps), strict=False):
            x = block(x, skip.repeat_interleave(frames, 0))
        return torch.tanh(self.dcl[-1](x)).reshape(clips, frames, 3, *[2 * n for n in x.shape[-2:]])


class Twin(nn.Module):
    """All three networks with random weights and random running statistics."""

    def __init__(self, size=(128, 96), rate=50_000, window=10_000, channels=(4, 8, 16, 32, 64), first=4, code=24,
                 context=20, identity=12, noise=10, sequential=True, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.size, self.rate, self.window, self.noise, self.sequential = size, rate, window, noise, sequential
        self.sizes = {"id_enc_dim": identity, "rnn_gen_dim": context, "aud_enc_dim": code}
        self.encoder = Speech(rate, window, first, code, context)
        self.encoder_id = Still(size, channels, identity)
        self.generator = Frames(size, channels, context + noise + identity, noise, sequential)
        for module in self.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)
                nn.init.normal_(module.running_mean, 0, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        nn.init.normal_(self.generator.dcl[-1].weight, 0, 0.2)  # frames that use the whole range
        self.eval()

    @torch.no_grad()
    def forward(self, still, windows, noise):
        """[B, 3, H, W], [B, T, window], [B, T, noise] -> [B, T, 3, H, W]."""
        identity, maps = self.encoder_id(still)
        return self.generator(self.encoder(windows), noise, identity, maps)

    def content(self) -> dict:
        """What a public file holds."""
        return {
            "img_size": tuple(self.size), "audio_rate": self.rate, "video_rate": 25,
            "audio_feat_len": self.window / self.rate, "audio_feat_samples": self.window, **self.sizes,
            "aux_latent": self.noise, "sequential_noise": self.sequential, "encoder": self.encoder.state_dict(),
            "encoder_id": self.encoder_id.state_dict(), "generator": self.generator.state_dict(),
        }

    def save(self, path, zipped: bool = False, **changes):
        """Writes a file of the public layout, by default in torch's format of 2018-19."""
        torch.save(self.content() | changes, path, _use_new_zipfile_serialization=zipped)
        return path


def windows_of(samples: torch.Tensor, window: int, stride: int) -> torch.Tensor:
    """[S] -> [T, window]: zeros before and after, `window - stride` in all, half of them on the left."""
    padding = window - stride
    padded = nn.functional.pad(samples, (padding // 2, padding - padding // 2))
    return padded.unfold(0, window, stride)
