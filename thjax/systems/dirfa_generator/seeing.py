"""What looks at drawn and at true frames for the perceptual loss: VGG-19, or the judge of faces that may train."""

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.crops import CANONICAL, STABLE_LANDMARKS
from thjax.blocks.norm import Norm
from thjax.blocks.warp3d import warp3d
from thjax.judges import face, shipped
from thjax.judges.face_alignment import FACE_BOX, FACE_SIDE, FINDER_SIDE
from thjax.judges.regions import MOUTH_BOX, MOUTH_SIDE
from thjax.losses.features import Look
from thjax.pretrained import vgg19

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
FACE_JUDGE = "face_loss"
JUDGE_SIZES = face.Config(face=(16, 32, 64, 96), mouth=(32, 64, 112))
"""Of `face_loss` in configs/judges.py."""
READING_UNIT = 0.15
"""Of a coefficient of expression, beside features that are normalised."""


def weights_of(judge: str) -> str:
    """The file of a judge: the one that ships under that name, or the path itself."""
    return str(shipped.FOLDER / f"{judge}.safetensors") if judge in shipped.shipped_names() else judge


def vgg_look(module: vgg19.VGG19, net) -> Look:
    """Pictures [b, H, W, 3] in [0, 1] -> features of VGG-19, at the first layer of each of its stages."""

    def look(pictures):
        """[b, H, W, 3] in [0, 1] -> {layer: [b, h, w, C]}."""
        found = module.apply({"params": net.params}, vgg19.normalise(pictures))
        return {layer: found[layer] for layer in LAYERS}

    return look


def face_look(module: face.Network, net, points: jax.Array) -> Look:
    """Pictures -> what the judge of faces sees of them: every normalised layer, expression and blink.

    Args:
        module: its network.
        net: its weights.
        points: [b, 68, 2] true landmarks of the pictures, pixels; where they are not known it sees something that no
            picture changes.
    """

    def look(pictures):
        """[b, H, W, 3] in [0, 1] -> {layer or reading: [b, ...]}."""
        views = [_view(255 * pictures, points, box, side) for box, side in ((FACE_BOX, FACE_SIDE),
                                                                            (MOUTH_BOX, MOUTH_SIDE))]
        said, seen = module.apply(
            {"params": net.params, **net.variables}, *views, method="read",
            capture_intermediates=lambda part, method: isinstance(part, Norm) and method == "__call__",
            mutable=["intermediates"],
        )
        layers = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(seen)}
        return layers | {"expression": said["expression"] / READING_UNIT, "blink": said["blink"]}

    return look


def _view(pictures, points, box, side):
    stable = points[:, list(STABLE_LANDMARKS)]
    found = jnp.isfinite(stable).all((1, 2))[:, None, None]
    view = upright(pictures, jnp.where(found, stable, CANONICAL), box, side)
    # A view of one colour would have no gradient: the judge divides by its deviation.
    nobody = jnp.broadcast_to(jnp.arange(side, dtype=view.dtype)[:, None], view.shape[1:])
    return jnp.where(found[..., None], view, nobody)


def judge_inputs() -> list[np.ndarray]:
    """Blank pictures of the three sides that the judge is initialised on."""
    return [np.zeros((1, side, side, 3), np.float32) for side in (FINDER_SIDE, FACE_SIDE, MOUTH_SIDE)]


def upright(pictures: jax.Array, stable: jax.Array, box: tuple[float, float, float], side: int) -> jax.Array:
    """The part of a face in a box of the canonical crop, as `face_alignment.reader_views` cuts it, differentiable.

    Args:
        pictures: [b, H, W, 3].
        stable: [b, 5, 2] points of `STABLE_LANDMARKS`, pixels, centres at +0.5.
        box: left, top and side in 64ths of the canonical crop's height.
        side: pixels of the result.

    Returns:
        [b, side, side, 3]; bilinear, the border repeated outside.
    """
    left, top, extent = box
    template = (CANONICAL.astype(np.float64) * 64 - (left, top)) * (side / extent)
    rest = template.mean(axis=0)
    target, middle = template - rest, stable.mean(axis=1)
    source = stable - middle[:, None]
    # Of points as complex numbers the least-squares map is z -> a z + b; a = cos + i sin.
    size = jnp.square(source).sum((1, 2))
    cos = (source * target).sum((1, 2)) / size
    sin = (source[..., 0] * target[:, 1] - source[..., 1] * target[:, 0]).sum(1) / size
    own = np.arange(side) + 0.5
    x, y = np.meshgrid(own - rest[0], own - rest[1])
    cos, sin = cos[:, None, None], sin[:, None, None]
    back = cos**2 + sin**2
    across = (cos * x + sin * y) / back + middle[:, 0, None, None]
    down = (cos * y - sin * x) / back + middle[:, 1, None, None]
    height, width = pictures.shape[1:3]
    places = jnp.stack([2 * across / width - 1, 2 * down / height - 1, jnp.zeros_like(down)], axis=-1)
    return warp3d(pictures[:, None], places.astype(pictures.dtype), align_corners=False, padding="border")
