"""A mapper's motion on the embedded head: what a mapper shows before there is a generator, stamped as preview."""

import numpy as np
from PIL import Image, ImageDraw

from data_pipelines.schema import AU_INTENSITY
from data_pipelines.synthetic.expression import AU_SCALE, EXPRESSION_NAMES
from data_pipelines.synthetic.frame_renderer import FrameRenderer, head_pose
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.scene import neutral_scene

PREVIEW_SIZE = 128
STAMP = "PREVIEW"
_PERSON = 4


class Preview:
    """Draws animation vectors with one fixed person in an even light."""

    def __init__(self):
        self._scene = neutral_scene()
        self._renderer = FrameRenderer(sample_identity(np.random.default_rng(_PERSON)), self._scene, PREVIEW_SIZE)
        # The rest place: where a clip that tells no absolute translation is taken to begin.
        self._rest = head_pose(self._scene, np.zeros((1, 6)))[0]

    def draw(self, vectors: np.ndarray) -> np.ndarray:
        """Animation vectors [n, 23], order `animation.CHANNELS` -> [n, 128, 128, 3] uint8.

        The head deforms by the action units alone: the embedded corpus's lip shapes that no unit names stay at rest.
        """
        vectors = np.asarray(vectors, np.float64)
        units = len(AU_INTENSITY)
        expression = np.zeros((len(vectors), len(EXPRESSION_NAMES)), np.float32)
        expression[:, :units] = np.clip(vectors[:, :units] / AU_SCALE, 0, 1)
        pose = vectors[:, units:].copy()
        pose[:, :3] += self._rest[:3]
        made = [self._frame(one, place) for one, place in zip(expression, pose, strict=True)]
        return np.stack(made) if made else np.zeros((0, PREVIEW_SIZE, PREVIEW_SIZE, 3), np.uint8)

    def _frame(self, expression: np.ndarray, pose: np.ndarray) -> np.ndarray:
        self._renderer.place(expression, pose)
        self._renderer.visible()
        self._renderer.colour(expression, np.zeros(2))
        picture = Image.fromarray(self._renderer.develop(0, 0))
        ImageDraw.Draw(picture).text((4, 2), STAMP, fill=(255, 255, 255))
        return np.asarray(picture)
