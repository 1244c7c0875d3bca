"""The mapper's sampling in torch, written for speed: a ring of keys and values, no gradient, nothing allocated a frame.

The peer of benchmarks/sampling.py. Weights are the twin's of tests/systems/dirfa_twin.py, categorical head.
"""

import torch
import torch.nn.functional as F

from tests.systems.dirfa_twin import TwinMapper, slope

CHANNELS = 23


class RingSampler:
    """Draws frame by frame.

    Args:
        twin: of a config with `history: table`, `head: categorical`, `positions: alibi`.
    """

    def __init__(self, twin: TwinMapper):
        self._twin, c = twin.eval(), twin.c
        self._keys = torch.zeros(c.layers, c.heads, c.reach, c.width // c.heads)
        self._values = torch.zeros_like(self._keys)
        self._slopes = torch.tensor([slope(i, c.heads) for i in range(c.heads)])[:, None, None]
        self._slots, self._rows = torch.arange(c.reach), c.categories * torch.arange(CHANNELS)

    @torch.inference_mode()
    def draw(self, features: torch.Tensor, seed: int) -> torch.Tensor:
        """Features [T, A] -> categories [T, 23] of one motion."""
        twin, c = self._twin, self._twin.c
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.zeros(len(features), CHANNELS, dtype=torch.long)
        uniform = torch.rand(len(features), CHANNELS, 1, generator=generator)
        # What depends on the sound alone is done for all frames at once, as ours may not: it streams.
        heard = twin.audio_out(F.gelu(twin.audio_in(2 * features - 1)))
        told = twin.begin
        for frame in range(len(features)):
            x = heard[frame] + told
            for layer, block in enumerate(twin.blocks):
                x = self._block(x, layer, block, frame)
            said = twin.say(twin.norm(x)).view(CHANNELS, c.categories)
            reached = said.softmax(-1).cumsum(-1)
            places = torch.searchsorted(reached, uniform[frame] * reached[:, -1:])[:, 0]
            drawn[frame] = places.clamp(max=c.categories - 1)
            told = twin.history_out(twin.table(drawn[frame] + self._rows).flatten())
        return drawn

    def _block(self, x, layer, block, frame):
        c = self._twin.c
        query, key, value = block["qkv"](block["attention_norm"](x)).view(3, c.heads, 1, -1)
        slot = frame % c.reach
        self._keys[layer, :, slot], self._values[layer, :, slot] = key[:, 0], value[:, 0]
        age = (frame - self._slots) % c.reach
        bias = torch.where(age <= frame, -self._slopes * age, -1e9)
        mixed = F.scaled_dot_product_attention(query, self._keys[layer], self._values[layer], attn_mask=bias)
        x = x + block["out"](mixed.flatten())
        return x + block["narrow"](F.gelu(block["widen"](block["forward_norm"](x))))
