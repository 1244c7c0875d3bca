"""Motion from audio, chunk by chunk. A live stream and a whole file run the same compiled function."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.schema import SAMPLES_PER_FRAME
from thjax.engine import Batch, GenerateRequest, NetState
from thjax.systems.dirfa.animation import CHANNELS, Quantiser
from thjax.systems.dirfa.config import Config
from thjax.systems.dirfa.evaluators import score_clips
from thjax.systems.dirfa.networks import Mapper
from thjax.systems.dirfa.preview import PREVIEW_SIZE, Preview
from thjax.systems.dirfa.sampling import Carry, make_draw_motion, make_start


class MotionSampler:
    """The mapper alone as a `thjax.engine.Sampler`: it draws animation vectors, and `finish` shows them as a preview.

    Control: `chunk` takes values that replace what is drawn, and tells them to the frames after as if they had been
    drawn, so that the rest of the face goes along. It is an input of fixed shape, read frame by frame: one compiled
    program serves every control, and chunks of any size make the same motion. Factors and offsets have no place here:
    told to the frames after, they would act again on what they have already changed, and a factor of 2 would double
    the channel at every frame. They are edits of the finished motion (`thjax.generate.control`).

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
        self.channels = CHANNELS
        self.categories = 0 if config.mapper.head == "regression" else config.mapper.categories
        self._quantiser = quantiser
        self._preview: Preview | None = None
        draw_motion, continuous = make_draw_motion(config, module), config.mapper.head == "regression"

        def chunk(variables, carry, audio, replace):
            carry, drawn = draw_motion(variables, carry, mel(audio), in_history(quantiser, replace, continuous))
            values = quantiser.values(drawn) if continuous else quantiser.decode(drawn)
            replace = replace[:, None]
            return carry, jnp.where(jnp.isnan(replace), values, replace)

        self._chunk = jax.jit(chunk)
        self._score = jax.jit(partial(score_clips, config, quantiser, module))
        self._start = partial(jax.jit, static_argnums=1)(make_start(config, module))

    def plan(self, request: GenerateRequest) -> Carry:
        """The carry of one motion. The still is not looked at: a mapper draws no face."""
        return self.start(request.seed)

    def start(self, seed: int, motions: int = 1) -> Carry:
        """The carry of several motions of one audio. Motion s of a seed is the same however many are drawn."""
        return self._start(seed, motions)

    def chunk(self, carry: Carry, audio: jax.Array, replace: np.ndarray | None = None) -> tuple[Carry, jax.Array]:
        """Draws the next frames of all motions.

        Args:
            carry: of `start`, or of the chunk before.
            audio: [lookbehind + chunk_frames * 640 + lookahead] int16.
            replace: [chunk_frames, 23] f32, values that take the place of what is drawn, in all motions; NaN leaves
                the channel to the mapper at that frame. None leaves all.

        Returns:
            The carry, and animation vectors [chunk_frames, S, 23]. Order and units of `animation.CHANNELS`:
            intensities 0 to 5, mm from the clip's start, rad.
        """
        if replace is None:
            frames = (audio.shape[0] - self.lookbehind - self.lookahead) // SAMPLES_PER_FRAME
            replace = np.full((frames, len(CHANNELS)), np.nan, np.float32)
        return self._chunk(self._variables, carry, audio, replace)

    def score(self, batch: Batch) -> dict[str, jax.Array]:
        """How well the mapper foresees whole clips, teacher-forced: {metric: [B]}, see `evaluators`.

        Args:
            batch: `audio`, `au`, `pose`, `start_pose`, `start_frame` (0) and `valid` of clips from their starts.
        """
        return self._score(self._variables, batch)

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Animation vectors [..., 23] -> int32 categories [..., 23] of the nearest centroids."""
        return np.asarray(self._quantiser.encode(vectors))

    def finish(self, carry: Carry, frames: np.ndarray) -> np.ndarray:
        """Animation vectors [n, S, 23] -> preview of the first motion, [n, H, W, 3] uint8."""
        if self._preview is None:
            self._preview = Preview()
        return self._preview.draw(frames[:, 0])


def in_history(quantiser: Quantiser, replace: jax.Array, continuous: bool) -> jax.Array:
    """Values [N, 23], NaN where there is none -> the unit coordinates that later frames are told, NaN likewise.

    They are told as training tells the truth: the centroid of the nearest category. A regression has no categories, its
    values are only held within their ranges: it knows nothing of what lies beyond.
    """
    told = jnp.clip(quantiser.unit(replace), 0, 1) if continuous else quantiser.centroid(quantiser.encode(replace))
    return jnp.where(jnp.isnan(replace), jnp.nan, told)
