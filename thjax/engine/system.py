"""The protocols a paper implements: a System trains, a Sampler generates. Nothing above asks for more."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
import numpy as np

from thjax.core.config import RunConfig
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine.stage import Nets, Stage
from thjax.engine.state import Batch

Stats = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Network:
    """A Linen module and how to initialise it.

    Attributes:
        module: pure; hyper-parameters are its fields.
        init: key -> flax variables, `{"params": ..., other collections}`. Called under `jit` or `eval_shape`.
    """

    module: nn.Module
    init: Callable[[jax.Array], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluator makes of one batch: per-example values, and frames to look at.

    Attributes:
        per_example: {metric: [b]}.
        frames: [b, T, H, W, 3] uint8 generated frames, or None.
    """

    per_example: Mapping[str, jax.Array]
    frames: jax.Array | None = None


jax.tree_util.register_dataclass(Evaluation, data_fields=["per_example", "frames"], meta_fields=[])

EvaluateFn = Callable[[Nets, Batch, Rngs, Context], Evaluation]


@dataclasses.dataclass(frozen=True)
class GenerateRequest:
    """What a user asks a sampler for.

    Attributes:
        still: [H, W, 3] uint8, already cropped to the system's size.
        seed: of every random draw.
        audio: [S] int16 at 16 kHz, the whole speech when it is known beforehand; None while streaming.
    """

    still: np.ndarray
    seed: int = 0
    audio: np.ndarray | None = None


Carry = Any


class Sampler(Protocol):
    """Generates frames chunk by chunk, in constant memory. Offline and streaming generation call the same `chunk`."""

    frame_size: tuple[int, int]
    """(H, W) of a generated frame."""
    chunk_frames: int
    """Frames of a chunk: the fixed shape that `chunk` is compiled for."""
    lookahead: int
    """Audio samples needed after the end of a chunk's last frame."""
    lookbehind: int
    """Audio samples needed before the start of a chunk's first frame."""

    def plan(self, request: GenerateRequest) -> Carry:
        """Host work before the first frame. May read all audio features, never all frames."""
        ...

    def chunk(self, carry: Carry, audio: jax.Array) -> tuple[Carry, jax.Array]:
        """Jitted. audio [lookbehind + chunk_frames * 640 + lookahead] int16 -> frames [chunk_frames, H, W, 3] uint8."""
        ...

    def finish(self, carry: Carry, frames: np.ndarray) -> np.ndarray:
        """Host compositing of [n, H, W, 3] uint8 frames; may be the identity."""
        ...


class System(Protocol):
    """A paper: its networks, its stages, and how it samples. Built by `thjax.systems.build(config)`."""

    config: RunConfig
    networks: Mapping[str, Network]
    stages: tuple[Stage, ...]
    evaluators: Mapping[str, EvaluateFn]

    def statistics(self, shard_statistics: list[Mapping[str, Any]]) -> Stats:
        """Merges what `prepare` wrote per shard into what the system needs, e.g. quantiser ranges.

        Hashed into checkpoints."""
        ...

    def sampler(self, nets: Nets, stats: Stats) -> Sampler:
        """A sampler over trained networks (EMA parameters already put in place by the caller)."""
        ...
