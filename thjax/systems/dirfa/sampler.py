"""Motion from audio, chunk by chunk. A live stream and a whole file run the same compiled function."""

from functools import partial

import jax
import numpy as np

from thjax.engine import GenerateRequest, NetState
from thjax.systems.dirfa.animation import Quantiser
from thjax.systems.dirfa.config import Config
from thjax.systems.dirfa.networks import Mapper
from thjax.systems.dirfa.preview import PREVIEW_SIZE, Preview
from thjax.systems.dirfa.sampling import Carry, make_draw_motion, make_start


class MotionSampler:
    """The mapper alone as a `thjax.engine.Sampler`: it draws animation vectors, and `finish` shows them as a preview.

    Args:
        config: of the run.
        module: the mapper.
        net: its weights, averaged ones where wanted.
        quantiser: of the corpus that it was trained on.
    """

    def __init__(self, config: Config, module: Mapper, net: NetState, quantiser: Quantiser):
        mel = config.mapper.mel
        self.frame_size = (PREVIEW_SIZE, PREVIEW_SIZE)
        self.chunk_frames = config.chunk_frames
        self.lookbehind, self.lookahead = mel.behind, mel.ahead
        self._variables = {"params": net.params}
        self._preview: Preview | None = None
        draw_motion = make_draw_motion(config, module)

        def chunk(variables, carry, audio):
            carry, drawn = draw_motion(variables, carry, mel(audio))
            values = quantiser.values(drawn) if config.mapper.head == "regression" else quantiser.decode(drawn)
            return carry, values

        self._chunk = jax.jit(chunk)
        self._start = partial(jax.jit, static_argnums=1)(make_start(config, module))

    def plan(self, request: GenerateRequest) -> Carry:
        """The carry of one motion. The still is not looked at: a mapper draws no face."""
        return self.start(request.seed)

    def start(self, seed: int, motions: int = 1) -> Carry:
        """The carry of several motions of one audio. Motion s of a seed is the same however many are drawn."""
        return self._start(seed, motions)

    def chunk(self, carry: Carry, audio: jax.Array) -> tuple[Carry, jax.Array]:
        """Audio [lookbehind + chunk_frames * 640 + lookahead] int16 -> animation vectors [chunk_frames, S, 23].

        Order and units of `animation.CHANNELS`: intensities 0 to 5, mm from the clip's start, rad.
        """
        return self._chunk(self._variables, carry, audio)

    def finish(self, carry: Carry, frames: np.ndarray) -> np.ndarray:
        """Animation vectors [n, S, 23] -> preview of the first motion, [n, H, W, 3] uint8."""
        if self._preview is None:
            self._preview = Preview()
        return self._preview.draw(frames[:, 0])
