"""Renders clips of the procedural head, with labels that are exactly true of every frame."""

import dataclasses

import numpy as np

from data_pipelines import schema
from data_pipelines.synthetic import shading, texture
from data_pipelines.synthetic import head as head_module
from data_pipelines.synthetic.expression import (
    EXPRESSION_INDEX,
    EXPRESSION_NAMES,
    action_unit_presence,
    action_units,
    blink_state,
)
from data_pipelines.synthetic.head import Head, Mesh
from data_pipelines.synthetic.identity import Identity, detail
from data_pipelines.synthetic.scene import Scene, paint_background, paint_clothes
from data_pipelines.synthetic.shape import SHAPE_NAMES
from thjax.face3d import lighting, rasteriser
from thjax.face3d.camera import Camera, project, rotation_matrix

SUPERSAMPLING = 2
"""Samples per pixel along each axis."""
DISTANCE_MM = 800.0
"""From the camera to the resting head."""
HALF_EXTENT_MM = 122.0
"""Half of what the frame shows at that distance: the head with its hair takes about three quarters of the height."""
HEAD_MIDDLE_MM = -6.0
"""Height of the head's frame that stands in the middle of the picture (y down)."""
MIN_SIZE, MAX_SIZE = 48, 256
TONE_GAMMA = 1.15
COEFFICIENT_NAMES = (tuple(f"shape_{name}" for name in SHAPE_NAMES) + EXPRESSION_NAMES
                     + tuple(f"albedo_{name}" for name in texture.ALBEDO_NAMES)
                     + tuple(f"light_{channel}{index}" for index in range(lighting.COEFFICIENTS) for channel in "rgb")
                     + schema.POSE + ("gaze_x", "gaze_y"))
"""Names of the columns of `RenderedClip.coefficients`: shape 22, expression 20, albedo 20, light 27, pose 6, gaze 2."""


@dataclasses.dataclass(frozen=True)
class RenderedClip:
    """Frames of one clip and what is exactly true of each of them.

    Attributes:
        frames: uint8 `[T, H, W, 3]` RGB.
        landmarks: float32 `[T, 68, 2]` x, y in pixels, pixel centres at +0.5, iBUG order; visible or not.
        au: float32 `[T, 17]`, 0 to 5, order `schema.AU_INTENSITY`.
        au_presence: uint8 `[T, 18]`, order `schema.AU_PRESENCE`.
        pose: float32 `[T, 6]`, order `schema.POSE`: where the head's frame stands in the camera's, mm and rad.
        blink: uint8 `[T]`, 1 while the lids are more than half closed.
        coefficients: float32 `[T, K]`, order `COEFFICIENT_NAMES`.
        lip_gap: float32 `[T]`, mm between the inner lips' middles in the head's frame (negative: lips overlap).
        eye_opening: float32 `[T]`, mm between the lids' middles in the head's frame, mean of both eyes.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    au: np.ndarray
    au_presence: np.ndarray
    pose: np.ndarray
    blink: np.ndarray
    coefficients: np.ndarray
    lip_gap: np.ndarray
    eye_opening: np.ndarray


def camera(size: int) -> Camera:
    """The camera of a square frame of `size` pixels."""
    return Camera(focal=size / 2 * DISTANCE_MM / HALF_EXTENT_MM, width=size, height=size)


def head_pose(scene: Scene, motion: np.ndarray) -> np.ndarray:
    """Pose of the head's frame in the camera for motion about the neck: `[T, 6]` -> float64 `[T, 6]`, order POSE."""
    motion = np.asarray(motion, np.float64)
    turned = rotation_matrix(motion[:, 3:]) @ head_module.NECK_PIVOT_MM
    translation = head_module.NECK_PIVOT_MM - turned + motion[:, :3] + rest_translation(scene)
    return np.concatenate([translation, motion[:, 3:]], 1)


def rest_translation(scene: Scene) -> np.ndarray:
    """Where the resting head's frame stands in the camera, mm `[3]`."""
    return np.array([0.0, -HEAD_MIDDLE_MM, DISTANCE_MM]) + scene.camera_offset


class FrameRenderer:
    """Draws frames of one identity in one scene at one size; holds the buffers.

    Attributes:
        mesh: the head with the identity's hair.
        ids: int32 `[2 * size, 2 * size]`, triangle of each sample of the last frame, -1 for background.
        vertices: float32 `[N, 3]` of the last frame, camera axes, mm.
    """

    def __init__(self, identity: Identity, scene: Scene, size: int):
        self.mesh: Mesh = Head.load().mesh(identity.hair)
        self.scene, self.size, self.samples = scene, size, SUPERSAMPLING
        self.camera = camera(size * self.samples)
        model = self.mesh.model
        self.neutral = shading.combine(model.mean, model.identity, identity.shape)
        self.deforming = np.ascontiguousarray(model.expression[:, : self.mesh.deforming])
        self._prepare_texture(identity)
        side = size * self.samples
        self.ids, self.depth = np.empty((side, side), np.int32), np.empty((side, side))
        self.vertices, self.normals = np.empty_like(self.neutral), np.empty_like(self.neutral)
        self.lights = np.empty((len(self.neutral), 4), np.float32)
        self.background = paint_background(scene, size)
        self.picture, self.scratch = np.empty_like(self.background), np.empty_like(self.background)
        self._prepare_light()
        self.blur_weights = _blur_weights(scene.blur * size / 128)
        self.tone = (np.linspace(0, 1, 4096) ** (1 / TONE_GAMMA) * 255 + 0.5).astype(np.uint8)
        self.solid = np.concatenate([self.mesh.triangles[: self.mesh.two_sided[1]],
                                     self.mesh.triangles[slice(*self.mesh.interior)]])

    def _prepare_texture(self, identity):
        atlas = texture.linear_atlas(identity.albedo)
        skin = texture.view(atlas, "neck")[-2, 48]
        paint_clothes(self.scene, atlas, skin.copy())
        atlas *= detail(identity)
        np.clip(atlas, 0.0, 1.3, out=atlas)
        wrinkles, uv = texture.wrinkle_masks(), self.mesh.uv
        texels_per_sample = 256 / (2 * texture.FACE_X * head_module.HEAD_UNIT_MM * head_module.PROPORTIONS[0]) * (
            2 * HALF_EXTENT_MM / (self.size * self.samples))
        self.level = 1
        while texels_per_sample / self.level > 1.5:
            atlas, wrinkles = _halve(atlas), _halve(wrinkles)
            uv = uv / 2 - np.float32(0.25)
            self.level *= 2
        self.atlas, self.wrinkles, self.uv = atlas, wrinkles, np.ascontiguousarray(uv)
        self.eye_patch = np.array(texture.PATCHES["eye"], np.float32)

    def _prepare_light(self):
        self.light = _unpacked_light(self.scene.light)
        half = self.scene.key_direction + np.array([0, 0, -1], np.float32)
        self.half_vector = (half / np.linalg.norm(half)).astype(np.float32)

    def place(self, expression: np.ndarray, pose: np.ndarray) -> None:
        """Deforms the mesh by `[20]` and moves it to the camera by an absolute pose `[6]`; fills `vertices`."""
        self.vertices[:] = self.neutral
        self.vertices[: self.mesh.deforming] = shading.combine(self.neutral[: self.mesh.deforming], self.deforming, expression)
        rotation = rotation_matrix(pose[3:])
        shading.pose_vertices(self.vertices, rotation, pose[:3], rest_translation(self.scene), self.mesh.follows_head)

    def visible(self) -> None:
        """Rasterises the placed mesh into `ids`: the head, then the mouth's inside where the opening is seen."""
        mesh = self.mesh
        points = project(self.vertices.astype(np.float64), self.camera)
        self.snapped = rasteriser.snap(points)
        self.inverse_depth = 1 / self.vertices[:, 2].astype(np.float64)
        self.ids.fill(rasteriser.EMPTY)
        self.depth.fill(0)
        everywhere = (rasteriser.ANY, 0)
        for part, two_sided in ((mesh.one_sided, False), (mesh.two_sided, True), ((mesh.eye_left[0], mesh.mouth[1]), False)):
            self._draw(part, two_sided, everywhere)
        opening = (mesh.mouth[0], mesh.interior[1])
        self.depth[(self.ids >= opening[0]) & (self.ids < opening[1])] = 0
        self._draw(mesh.interior, True, opening)

    def _draw(self, part, two_sided, only):
        rasteriser.draw(self.snapped, self.inverse_depth, self.mesh.triangles[part[0] : part[1]], part[0], two_sided,
                        only[0], only[1], self.ids, self.depth)

    def colour(self, expression: np.ndarray, pose: np.ndarray, gaze: np.ndarray) -> None:
        """Colours the rasterised mesh over the background into `picture`, before lens and sensor."""
        mesh, scene = self.mesh, self.scene
        rasteriser.vertex_normals(self.vertices, self.solid, self.normals)
        shading.light_vertices(self.normals, self.light, self.half_vector, np.float32(scene.gloss), mesh.face, self.lights)
        self.picture[:] = self.background
        view = np.array([self.camera.focal, self.camera.width / 2, self.camera.height / 2, head_module.EYEBALL_RADIUS_MM],
                        np.float32)
        membranes = np.array([*mesh.eye_left, *mesh.eye_right, *mesh.mouth])
        shading.shade(self.ids, (self.snapped / rasteriser.SUBPIXELS).astype(np.float32),
                      self.inverse_depth.astype(np.float32), mesh.triangles, self.uv, self.lights, self.atlas, self.wrinkles,
                      wrinkle_weights(expression), membranes, view, self._eyes(pose, gaze), self.eye_patch / self.level,
                      self.light, self.half_vector, self.samples, self.picture)

    def _eyes(self, pose, gaze):
        """Both eyes as `shading` wants them: camera-to-eye rotation, centre, the head's downward axis: `[2, 5, 3]`."""
        head = rotation_matrix(pose[3:])
        look = rotation_matrix(np.array([0.0, -gaze[0], 0.0])) @ rotation_matrix(np.array([gaze[1], 0.0, 0.0]))
        eyes = np.empty((2, 5, 3), np.float32)
        eyes[:, :3] = (head @ look).T
        eyes[:, 3] = self.vertices[self.mesh.eye_centres]
        eyes[:, 4] = head[:, 1]
        return eyes

    def develop(self, seed: int, index: int) -> np.ndarray:
        """Lens blur, sensor noise and tone curve of frame `index`: -> uint8 `[H, W, 3]`."""
        if len(self.blur_weights) > 1:
            shading.blur(self.picture, self.blur_weights, self.scratch)
        frame = np.empty(self.picture.shape, np.uint8)
        key = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
        shading.develop(self.picture, np.float32(self.scene.noise), key, self.tone, frame)
        return frame


def wrinkle_weights(expression: np.ndarray) -> np.ndarray:
    """How deep each of `texture.WRINKLES` is: expression `[20]` -> float32 `[4]`."""
    unit = {name: expression[index] for name, index in EXPRESSION_INDEX.items()}
    return np.array([max(unit["AU01"], unit["AU02"]), unit["AU04"], 0.5 * unit["AU06"] + 0.5 * unit["AU12"],
                     min(1.0, unit["AU12"] + 0.6 * unit["AU09"] + 0.4 * unit["AU10"])], np.float32)


def _halve(image):
    height, width, channels = image.shape
    return np.ascontiguousarray(image.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3)))


def _unpacked_light(light):
    """Multiplies the harmonics' constants into the coefficients, as the kernels want them: `[9, 3]` -> `[9, 3]`."""
    return (light * np.array(lighting.CONSTANTS)[:, None]).astype(np.float32)


def _blur_weights(sigma: float) -> np.ndarray:
    """Gaussian from the middle outwards, to three standard deviations; sums to 1 over both sides."""
    radius = int(np.ceil(3 * sigma)) if sigma > 0.15 else 0
    weights = np.exp(-0.5 * (np.arange(radius + 1) / max(sigma, 1e-6)) ** 2)
    return (weights / (2 * weights.sum() - weights[0])).astype(np.float32)


def _check(expression, pose, gaze, size):
    frames = len(expression)
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size is {size} pixels, must be {MIN_SIZE} to {MAX_SIZE}")
    for name, array, columns in (("expression", expression, len(EXPRESSION_NAMES)), ("pose", pose, 6), ("gaze", gaze, 2)):
        if array.shape != (frames, columns):
            raise ValueError(f"{name} has shape {array.shape}, must be ({frames}, {columns})")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
    if frames and not (expression.min() >= 0 and expression.max() <= 1):
        raise ValueError(f"expression runs from {expression.min()} to {expression.max()}, must lie in 0 to 1")


def render_clip(identity: Identity, scene: Scene, expression, pose, gaze=None, size: int = 128, seed: int = 0) -> RenderedClip:
    """Renders a clip.

    Args:
        identity: from `identity.sample_identity(rng)`.
        scene: from `scene.sample_scene(rng)`: light, background, clothes, camera, blur and noise of this clip.
        expression: `[T, 20]`, 0 to 1, order `EXPRESSION_NAMES` (blinks are AU45).
        pose: `[T, 6]`, order `schema.POSE`: motion from the scene's rest place, mm and rad, turning about the neck. Zero
            faces the camera; positive Rx nods down, positive Ry turns to the image's left, positive Rz tilts clockwise.
        gaze: `[T, 2]` rad in the head's frame, positive to the image's right and down; None looks straight ahead.
        size: pixels of the square frame, 48 to 256.
        seed: of the sensor noise.

    Raises:
        ValueError: a shape, a range or the size is wrong.
    """
    expression = np.ascontiguousarray(expression, np.float32)
    pose = np.asarray(pose, np.float64)
    gaze = np.zeros((len(expression), 2)) if gaze is None else np.asarray(gaze, np.float64)
    _check(expression, pose, gaze, size)
    renderer = FrameRenderer(identity, scene, size)
    absolute = head_pose(scene, pose)
    frames = np.empty((len(expression), size, size, 3), np.uint8)
    landmarks = np.empty((len(expression), schema.LANDMARKS, 2), np.float32)
    for index in range(len(expression)):
        renderer.place(expression[index], absolute[index])
        renderer.visible()
        renderer.colour(expression[index], absolute[index], gaze[index])
        frames[index] = renderer.develop(seed, index)
        landmarks[index] = project(renderer.vertices[renderer.mesh.landmarks].astype(np.float64), camera(size))
    lip_gap, eye_opening = _measures(renderer, expression)
    repeated = [np.broadcast_to(part, (len(expression), part.size)) for part in
                (identity.shape, identity.albedo, scene.light.reshape(-1))]
    coefficients = np.concatenate([repeated[0], expression, repeated[1], repeated[2], absolute, gaze], 1)
    return RenderedClip(frames, landmarks, action_units(expression), action_unit_presence(expression),
                        absolute.astype(np.float32), blink_state(expression), coefficients.astype(np.float32), lip_gap,
                        eye_opening)


def _measures(renderer, expression):
    """Lip gap and eye opening in mm, in the head's frame: float32 `[T]` each."""
    marks = renderer.mesh.landmarks
    picked = renderer.neutral[marks] + np.einsum("te,evc->tvc", expression, renderer.mesh.model.expression[:, marks])
    lip_gap = picked[:, 66, 1] - picked[:, 62, 1]
    uppers, lowers = picked[:, [37, 38, 43, 44], 1], picked[:, [41, 40, 47, 46], 1]
    return lip_gap.astype(np.float32), (lowers - uppers).mean(1).astype(np.float32)
