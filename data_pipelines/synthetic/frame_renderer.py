"""Draws single frames: deforms, poses, rasterises, colours and develops the head of one identity in one scene."""

import numpy as np

from data_pipelines.synthetic import film, shading, texture
from data_pipelines.synthetic import head as head_module
from data_pipelines.synthetic.expression import EXPRESSION_INDEX
from data_pipelines.synthetic.head import Head, Mesh
from data_pipelines.synthetic.identity import Identity, detail
from data_pipelines.synthetic.scene import Scene, paint_background, paint_clothes
from thjax.face3d import lighting, rasteriser
from thjax.face3d.camera import Camera, project, rotation_matrix

SUPERSAMPLING = 2
"""Samples per pixel along each axis."""
DISTANCE_MM = 800.0
"""From the camera to the resting head."""
HALF_EXTENT_MM = 125.0
"""Half of what the frame shows at that distance: the head with its hair takes about three quarters of the height."""
HEAD_MIDDLE_MM = -9.0
"""Height of the head's frame that stands in the middle of the picture (y down)."""
MAX_ALBEDO = 1.3
MAX_TEXELS_PER_SAMPLE = 1.5
"""Where more texels than this meet a sample, the atlas is halved."""
BLUR_SIZE = 128
"""Frame size that `Scene.blur` is given for."""


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
        self.blur_weights, self.tone = film.blur_weights(scene.blur * size / BLUR_SIZE), film.tone_curve()
        self.solid = np.concatenate(
            [self.mesh.triangles[: self.mesh.two_sided[1]], self.mesh.triangles[slice(*self.mesh.interior)]]
        )

    def _prepare_texture(self, identity):
        atlas = texture.linear_atlas(identity.albedo)
        skin = texture.view(atlas, "neck")[-2, 48]
        paint_clothes(self.scene, atlas, skin.copy())
        atlas *= detail(identity)
        np.clip(atlas, 0.0, MAX_ALBEDO, out=atlas)
        wrinkles = texture.wrinkle_masks()
        self.level = 1
        while texture.TEXELS_PER_UNIT / _samples_per_unit(self.camera) / self.level > MAX_TEXELS_PER_SAMPLE:
            atlas, wrinkles = _halve(atlas), _halve(wrinkles)
            self.level *= 2
        self.atlas, self.wrinkles = atlas, wrinkles
        self.uv = (self.mesh.uv + np.float32(0.5)) / np.float32(self.level) - np.float32(0.5)
        top, left, height, width = texture.PATCHES["eye"]
        corner = (np.array([top, left]) + 1.5) / self.level - 0.5
        self.eye_patch = np.array([*corner, (height - 3) / self.level, (width - 3) / self.level], np.float32)

    def _prepare_light(self):
        """The light with the harmonics' constants multiplied in, and the direction between key light and viewer."""
        self.light = (self.scene.light * np.array(lighting.CONSTANTS)[:, None]).astype(np.float32)
        half = self.scene.key_direction + np.array([0, 0, -1], np.float32)
        self.half_vector = (half / np.linalg.norm(half)).astype(np.float32)

    def place(self, expression: np.ndarray, pose: np.ndarray) -> None:
        """Deforms the mesh by `[20]` and moves it to the camera by an absolute pose `[6]`; fills `vertices`."""
        self.vertices[:] = self.neutral
        self.vertices[: self.mesh.deforming] = shading.combine(
            self.neutral[: self.mesh.deforming], self.deforming, expression
        )
        self.rotation = rotation_matrix(pose[3:])
        shading.pose_vertices(
            self.vertices, self.rotation, pose[:3], rest_translation(self.scene), self.mesh.follows_head
        )

    def visible(self) -> None:
        """Rasterises the placed mesh into `ids`: the head, then the mouth's inside where the opening is seen."""
        mesh = self.mesh
        points = project(self.vertices.astype(np.float64), self.camera)
        self.snapped = rasteriser.snap(points)
        self.inverse_depth = 1 / self.vertices[:, 2].astype(np.float64)
        self.ids.fill(rasteriser.EMPTY)
        self.depth.fill(0)
        everywhere = (rasteriser.ANY, 0)
        self._draw(mesh.one_sided, False, everywhere)
        self._draw(mesh.two_sided, True, everywhere)
        self._draw((mesh.eye_left[0], mesh.mouth[1]), False, everywhere)
        opening = (mesh.mouth[0], mesh.interior[1])
        self.depth[(self.ids >= opening[0]) & (self.ids < opening[1])] = 0
        self._draw(mesh.interior, True, opening)

    def _draw(self, part, two_sided, only):
        triangles = self.mesh.triangles[part[0] : part[1]]
        rasteriser.draw(self.snapped, self.inverse_depth, triangles, part[0], two_sided, *only, self.ids, self.depth)

    def colour(self, expression: np.ndarray, gaze: np.ndarray) -> None:
        """Colours the rasterised mesh over the background into `picture`, before lens and sensor."""
        mesh, scene = self.mesh, self.scene
        rasteriser.vertex_normals(self.vertices, self.solid, self.normals)
        gloss = np.float32(scene.gloss)
        shading.light_vertices(self.normals, self.light, self.half_vector, gloss, mesh.face, self.lights)
        self.picture[:] = self.background
        middle = (self.camera.width / 2, self.camera.height / 2)
        view = np.array([self.camera.focal, *middle, head_module.EYEBALL_RADIUS_MM], np.float32)
        membranes = np.array([*mesh.eye_left, *mesh.eye_right, *mesh.mouth])
        points = (self.snapped / rasteriser.SUBPIXELS).astype(np.float32)
        surface = (points, self.inverse_depth.astype(np.float32), mesh.triangles, self.uv, self.lights)
        wrinkles = (self.wrinkles, wrinkle_weights(expression))
        eyes = (view, self._eyes(gaze), self.eye_patch, self.light, self.half_vector)
        shading.shade(self.ids, *surface, self.atlas, *wrinkles, membranes, *eyes, self.samples, self.picture)

    def _eyes(self, gaze):
        """Both eyes as `shading` wants them: camera-to-eye rotation, centre, the head's downward axis: `[2, 5, 3]`."""
        look = rotation_matrix(np.array([gaze[1], -gaze[0], 0.0]))
        eyes = np.empty((2, 5, 3), np.float32)
        eyes[:, :3] = (self.rotation @ look).T
        eyes[:, 3] = self.vertices[self.mesh.eye_centres]
        eyes[:, 4] = self.rotation[:, 1]
        return eyes

    def develop(self, seed: int, index: int) -> np.ndarray:
        """Lens blur, sensor noise and tone curve of frame `index`: -> uint8 `[H, W, 3]`."""
        if len(self.blur_weights) > 1:
            film.blur(self.picture, self.blur_weights, self.scratch)
        frame = np.empty(self.picture.shape, np.uint8)
        key = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
        film.develop(self.picture, np.float32(self.scene.noise), key, self.tone, frame)
        return frame


def wrinkle_weights(expression: np.ndarray) -> np.ndarray:
    """How deep each of `texture.WRINKLES` is: expression `[20]` -> float32 `[4]`."""
    unit = {name: expression[index] for name, index in EXPRESSION_INDEX.items()}
    eye_corners = 0.5 * unit["AU06"] + 0.5 * unit["AU12"]
    cheek_folds = min(1.0, unit["AU12"] + 0.6 * unit["AU09"] + 0.4 * unit["AU10"])
    return np.array([max(unit["AU01"], unit["AU02"]), unit["AU04"], eye_corners, cheek_folds], np.float32)


def _samples_per_unit(view: Camera) -> float:
    """Picture points per head unit at the resting head's distance."""
    return view.focal * head_module.HEAD_UNIT_MM / DISTANCE_MM


def _halve(image):
    height, width, channels = image.shape
    return np.ascontiguousarray(image.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3)))
