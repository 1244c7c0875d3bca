"""Draws a photograph in motion: encoded once, then frame after frame from animation vectors."""

from collections.abc import Sequence

import jax
import numpy as np

from thjax.core.errors import UserError
from thjax.engine import GenerateRequest, NetState
from thjax.systems.dirfa_generator.config import Config
from thjax.systems.dirfa_generator.geometry import CHANNELS, TRANSLATION, moved
from thjax.systems.dirfa_generator.inputs import to_pixels, to_unit
from thjax.systems.dirfa_generator.networks import Generator, Source


class Animator:
    """The generator at work. It hears nothing: a mapper gives it the motion.

    Args:
        config: of the run.
        generator: its module.
        net: its weights, averaged ones where wanted.
    """

    def __init__(self, config: Config, generator: Generator, net: NetState):
        self.frame_size = (config.data.crop.height, config.data.crop.width)
        self._variables = {"params": net.params, **net.variables}

        def encode(variables, picture, z):
            return generator.apply(variables, to_unit(picture)[None], z[None], method="encode")

        def draw(variables, source, z):
            return to_pixels(generator.apply(variables, source, z[None], method="draw").frames[0])

        self._encode, self._draw = jax.jit(encode), jax.jit(draw)

    def encode(self, picture: np.ndarray, z: np.ndarray) -> Source:
        """The photograph, once for all frames.

        Args:
            picture: [H, W, 3] uint8 of `frame_size`.
            z: [23] its own labels, see `geometry.CHANNELS`; translation in mm of the stored crop.

        Raises:
            UserError: a picture of another size, labels that are not finite, or a head behind the camera.
        """
        picture, z = np.asarray(picture), np.asarray(z, np.float32)
        if picture.shape != (*self.frame_size, 3) or picture.dtype != np.uint8:
            raise UserError(f"photograph {picture.dtype} {picture.shape}; this generator takes uint8 "
                            f"{(*self.frame_size, 3)}, cropped as it was trained")
        if z.shape != (len(CHANNELS),) or not np.isfinite(z).all():
            raise UserError(f"labels of the photograph {z.tolist()}; give {len(CHANNELS)} finite numbers: "
                            f"{', '.join(CHANNELS)}")
        if z[TRANSLATION][2] <= 0:
            raise UserError(f"the photograph's labels put the head {z[TRANSLATION][2]:g} mm in front of the camera; "
                            "Tz has to be above 0")
        return self._encode(self._variables, picture, z)

    def frames(self, source: Source, vectors: Sequence[np.ndarray], rest: np.ndarray) -> np.ndarray:
        """Frames of a motion.

        Args:
            source: of `encode`.
            vectors: [n, 23] animation vectors; translation in mm from anywhere.
            rest: [3] translation of the motion that leaves the head where the photograph has it, its first one.

        Returns:
            [n, H, W, 3] uint8.
        """
        own = np.asarray(source.z[0])
        wanted = np.asarray(moved(own, np.asarray(vectors, np.float32), np.asarray(rest, np.float32)))
        drawn = [np.asarray(self._draw(self._variables, source, z)) for z in wanted]
        return np.stack(drawn) if drawn else np.zeros((0, *self.frame_size, 3), np.uint8)

    def plan(self, request: GenerateRequest):
        """A generator alone cannot speak.

        Raises:
            UserError: always, with the way out.
        """
        raise UserError("this run is a generator: it animates a photograph by action units and head pose and hears "
                        "nothing; name the run of a mapper as well, --checkpoint MAPPER --checkpoint GENERATOR")
