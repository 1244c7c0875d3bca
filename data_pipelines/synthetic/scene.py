"""What belongs to a clip and not to the person: light, background, clothes, camera, lens blur and sensor noise."""

import dataclasses

import numpy as np

from data_pipelines.synthetic import texture
from data_pipelines.synthetic.fields import step
from data_pipelines.synthetic.noise import value_noise
from thjax.face3d import lighting

BACKGROUNDS = ("gradient", "lights", "panels", "wall")
CLOTHES = ("plain", "stripes", "v_neck", "shirt")


@dataclasses.dataclass(frozen=True)
class Scene:
    """Circumstances of one clip.

    Attributes:
        light: float32 `[9, 3]` spherical harmonics, r, g, b (`thjax.face3d.lighting`).
        key_direction: float32 `[3]`, unit, towards the main light, camera axes.
        gloss: strength of the skin's shine, 0 to 0.3.
        background: one of `BACKGROUNDS`.
        background_colours: float32 `[3, 3]`.
        clothes: one of `CLOTHES`.
        clothes_colours: float32 `[2, 3]`.
        camera_offset: float32 `[3]` mm, where the resting head stands away from the middle of the picture.
        blur: standard deviation of the lens blur, pixels of a 128-pixel frame.
        noise: standard deviation of the sensor noise at full light, 1 is white.
        seed: of the background's pattern.
        mirrored: whether background and clothes are turned left to right.
    """

    light: np.ndarray
    key_direction: np.ndarray
    gloss: float
    background: str
    background_colours: np.ndarray
    clothes: str
    clothes_colours: np.ndarray
    camera_offset: np.ndarray
    blur: float
    noise: float
    seed: int
    mirrored: bool = False

    def __post_init__(self):
        for name, known in (("background", BACKGROUNDS), ("clothes", CLOTHES)):
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(known)}")

    def mirrored_copy(self) -> "Scene":
        """The scene in the mirror."""
        turn = np.array([-1, 1, 1], np.float32)
        return dataclasses.replace(
            self,
            light=lighting.mirror_light(self.light),
            key_direction=self.key_direction * turn,
            camera_offset=self.camera_offset * turn,
            mirrored=not self.mirrored,
        )


def _sample_light(rng):
    """Ambient light, a key light from the upper front and a weak fill from the other side."""
    warmth = rng.uniform(-0.07, 0.07)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    side = rng.choice([-1.0, 1.0])
    key = np.array([side * rng.uniform(0.05, 0.95), -rng.uniform(0.15, 0.85), -1.0])
    fill = np.array([-side * rng.uniform(0.4, 1.2), -rng.uniform(-0.2, 0.3), -0.8])
    key, fill = key / np.linalg.norm(key), fill / np.linalg.norm(fill)
    strength = rng.uniform(0.48, 0.80)
    ambient = rng.uniform(0.24, 0.38) + 0.35 * (0.64 - strength)
    light = (
        lighting.ambient_light(ambient * tint[::-1])
        + lighting.distant_light(key, strength * tint)
        + lighting.distant_light(fill, rng.uniform(0.05, 0.22) * tint[::-1])
    )
    return light.astype(np.float32), key.astype(np.float32)


def _colour(rng, low, high, saturation):
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.normal(0, saturation, 3), 0.02, 0.95)


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draws the circumstances of one clip."""
    light, key = _sample_light(rng)
    first = _colour(rng, 0.12, 0.75, 0.08)
    return Scene(
        light=light,
        key_direction=key,
        gloss=float(rng.uniform(0.03, 0.16)),
        background=BACKGROUNDS[rng.integers(len(BACKGROUNDS))],
        background_colours=np.stack(
            [
                first,
                np.clip(first * rng.uniform(0.5, 0.9) + rng.normal(0, 0.04, 3), 0.02, 0.9),
                _colour(rng, 0.2, 0.9, 0.15),
            ]
        ).astype(np.float32),
        clothes=CLOTHES[rng.integers(len(CLOTHES))],
        clothes_colours=np.stack([_colour(rng, 0.05, 0.7, 0.13), _colour(rng, 0.1, 0.85, 0.13)]).astype(np.float32),
        camera_offset=(rng.normal(0, 1, 3) * [3.0, 2.0, 18.0]).clip([-7, -5, -40], [7, 5, 40]).astype(np.float32),
        blur=float(rng.uniform(0.25, 0.60)),
        noise=float(rng.uniform(0.004, 0.016)),
        seed=int(rng.integers(2**31)),
    )


def neutral_scene() -> Scene:
    """A plain scene without noise: even light from the upper front, grey background."""
    key = np.array([0.25, -0.45, -0.86])
    key /= np.linalg.norm(key)
    white = np.ones(3)
    light = lighting.ambient_light(0.34 * white) + lighting.distant_light(key, 0.66 * white)
    return Scene(
        light=light.astype(np.float32),
        key_direction=key.astype(np.float32),
        gloss=0.08,
        background="gradient",
        background_colours=np.array([[0.45, 0.50, 0.56], [0.32, 0.36, 0.42], [0.6, 0.6, 0.6]], np.float32),
        clothes="plain",
        clothes_colours=np.array([[0.22, 0.26, 0.34], [0.5, 0.5, 0.5]], np.float32),
        camera_offset=np.zeros(3, np.float32),
        blur=0.3,
        noise=0.0,
        seed=0,
    )


def paint_background(scene: Scene, size: int) -> np.ndarray:
    """The background's light: float32 `[size, size, 3]`."""
    first, second, third = scene.background_colours
    y, x = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size, indexing="ij")
    rng = np.random.default_rng(scene.seed)
    wall = first + (second - first) * step(0.0, 1.0, 0.75 * y + 0.25 * x)[..., None]
    if scene.background == "lights":
        for _ in range(int(rng.integers(6, 14))):
            centre, radius = rng.uniform(0, 1, 2), rng.uniform(0.03, 0.11)
            disc = step(radius, 0.75 * radius, np.hypot(x - centre[0], y - centre[1]))
            wall = wall + (disc * rng.uniform(0.1, 0.55))[..., None] * (third - 0.3 * wall)
    elif scene.background == "panels":
        edges = np.sort(rng.uniform(0.05, 0.95, int(rng.integers(1, 4))))
        for index, edge in enumerate(edges):
            lit = step(edge - 0.012, edge + 0.012, x if index < 2 else y)
            wall = wall * (1 + (lit * rng.uniform(-0.35, 0.35))[..., None])
        wall = wall + 0.25 * (step(0.62, 0.66, y) * rng.integers(2))[..., None] * (third - wall)
    elif scene.background == "wall":
        noise = sum(
            value_noise(scene.seed + k, 256, 256, cells, cells) * strength
            for k, (cells, strength) in enumerate(((4, 0.06), (18, 0.05), (70, 0.04)))
        )
        index = (np.arange(size) + 0.5) * 256 / size
        wall = wall * (1 + noise[index.astype(int)][:, index.astype(int)])[..., None]
    vignette = 1 - 0.18 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    wall = np.clip(wall * vignette[..., None], 0.01, 1).astype(np.float32)
    return np.ascontiguousarray(wall[:, ::-1]) if scene.mirrored else wall


def paint_clothes(scene: Scene, atlas: np.ndarray, skin: np.ndarray) -> None:
    """Paints clothes and collar into an atlas `[320, 512, 3]`, in place; `skin` is a colour `[3]`."""
    main, accent = scene.clothes_colours
    patch, collar = texture.view(atlas, "clothes"), texture.view(atlas, "collar")
    height, width = patch.shape[:2]
    v, u = np.meshgrid((np.arange(height) - 1) / (height - 3), (np.arange(width) - 1) / (width - 3), indexing="ij")
    cloth = np.broadcast_to(main, patch.shape).copy()
    if scene.clothes == "stripes":
        cloth = cloth + (0.5 + 0.5 * np.sin(2 * np.pi * 9 * v))[..., None] ** 4 * (accent - cloth)
    if scene.clothes == "v_neck":
        opening = step(0.02, -0.02, np.abs(u - 0.5) - 0.12 * np.clip(1 - v / 0.75, 0, 1))
        cloth = cloth + opening[..., None] * (0.85 * skin - cloth)
    if scene.clothes == "shirt":
        cloth = cloth * (1 - 0.35 * step(0.012, 0.004, np.abs(u - 0.5)))[..., None]
    cloth = cloth * (1 - 0.35 * step(0.25, 0.0, v))[..., None]
    patch[:] = cloth
    bare = scene.clothes == "v_neck"
    collar[:] = 0.85 * skin if bare else (accent if scene.clothes == "shirt" else 0.85 * main)
