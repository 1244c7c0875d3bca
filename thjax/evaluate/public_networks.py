"""Public networks that a user has converted and gives to an evaluation: the rulers of the papers' own tables."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT
from thjax.core.errors import UserError
from thjax.evaluate import devices
from thjax.metrics import sync
from thjax.pretrained import (
    arcface,
    arcface_align,
    inception,
    lipnet_read,
    networks,
    openface_align,
    syncnet_crop,
    syncnet_score,
)

LABELS = {"lpips": "alex-0.1", "syncnet": "syncnet", "lipnet": "lipnet", "arcface": "arcface-r100",
          "openface": "openface-nn4.small2", "inception": "inception-2015"}
"""{network: what stands for it in names of metrics}: the ones of `thjax weights list` that measure."""
ALIGNED = {"arcface": arcface.SIDE, "openface": openface_align.SIDE}
"""Pixels of a side of the aligned face."""
AT_ONCE = 15
"""Pictures in a batch; the last batch is filled up, so that one program serves every clip."""


@dataclasses.dataclass(frozen=True, eq=False)
class PublicNetworks:
    """Networks by name; an empty one measures nothing.

    Attributes:
        loaded: {name: (module, variables)}.
        preset: of `metrics.sync.PRESETS`: what SyncNet sees.
    """

    loaded: Mapping[str, tuple[Any, Any]] = dataclasses.field(default_factory=dict)
    preset: str = "lrs"
    _placed: dict[tuple[str, Any], Any] = dataclasses.field(default_factory=dict, init=False, repr=False)
    _placing: threading.Lock = dataclasses.field(default_factory=threading.Lock, init=False, repr=False)

    @classmethod
    def load(cls, given: Sequence[str], preset: str = "lrs") -> "PublicNetworks":
        """Reads converted files.

        Args:
            given: `NETWORK=FILE` of each, FILE as `thjax weights convert` wrote it.
            preset: of `metrics.sync.PRESETS`.

        Raises:
            UserError: another form, a network that measures nothing or comes twice; a file that cannot be read.
        """
        loaded: dict[str, tuple[Any, Any]] = {}
        for text in given:
            name, _, path = text.partition("=")
            if not path:
                raise UserError(f"network {text!r} must be NETWORK=FILE, for example lpips=lpips.safetensors")
            if name not in LABELS:
                raise UserError(f"network {name!r} measures nothing here; these do: {', '.join(LABELS)}")
            if name in loaded:
                raise UserError(f"network {name!r} is given twice; one file is enough")
            loaded[name] = networks.load(name, path)
        return cls(loaded, preset)

    def __contains__(self, name: str) -> bool:
        return name in self.loaded

    def on_device(self, name: str) -> tuple[Any, Any]:
        """A network and its variables on the device that this thread computes on, where they stay."""
        place = name, devices.current()
        with self._placing:  # many threads begin with the same network
            if place not in self._placed:
                self._placed[place] = jax.device_put(self.loaded[name][1], place[1])
        return self.loaded[name][0], self._placed[place]

    def call(self, name: str, *pictures: np.ndarray, prepare: Callable = lambda x: x) -> np.ndarray:
        """What a network makes of pictures [N, H, W, 3], in batches; `prepare` is part of the program."""
        net, variables = self.on_device(name)
        count, parts = len(pictures[0]), []
        for start in range(0, count, AT_ONCE):
            rows = np.minimum(np.arange(start, start + AT_ONCE), count - 1)
            parts.append(np.asarray(_forward(net, prepare, variables, *(part[rows] for part in pictures))))
        return np.concatenate(parts)[:count]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(net, prepare, variables, *pictures):
    return net.apply(variables, *map(prepare, pictures))


def unit_range(frames: jax.Array) -> jax.Array:
    """uint8 to [-1, 1]."""
    return frames.astype(np.float32) / 127.5 - 1


class PublicSight:
    """A clip through public networks: each looks once, when it is first asked.

    Args:
        public: the networks.
        frames: [T, H, W, 3] uint8.
        audio: [T * 640 + 6400] int16.
        landmarks: [T, 68, 2] pixels, or None where no frame shows a face.
    """

    def __init__(self, public: PublicNetworks, frames: np.ndarray, audio: np.ndarray, landmarks: np.ndarray | None):
        self._public, self._frames, self._audio, self._landmarks = public, frames, audio, landmarks

    @functools.cached_property
    def curve(self) -> np.ndarray:
        """SyncNet's distances over shifts, as the public script computes them.

        Raises:
            UserError: fewer than six frames; no face to be tracked.
        """
        preset = sync.PRESETS[self._public.preset]
        if preset.crop == "frame":  # the public script of LRS evaluations writes JPEG before it resizes
            frames = syncnet_score.jpeg_pass(self._frames) if preset.jpeg else self._frames
            pictures = syncnet_crop.whole_frames(frames)
        elif self._landmarks is None:
            raise UserError("no frame with a face")
        else:
            pictures = syncnet_crop.face_track(self._frames, self._landmarks)
        heard = self._audio[AUDIO_CONTEXT:-AUDIO_CONTEXT]
        net, variables = self._public.on_device("syncnet")
        lossless = preset.crop == "frame" or not preset.jpeg
        return sync.distance_curve(*syncnet_score.embed(net, variables, pictures, heard, lossless))

    @functools.cached_property
    def sentence(self) -> str:
        """What LipNet reads, with GRID's dictionary.

        Raises:
            UserError: the mouth crop leaves the picture.
        """
        return lipnet_read.read_lips(*self._public.on_device("lipnet"), self._frames, self._landmarks)

    @functools.cached_property
    def arcface(self) -> np.ndarray:
        """[T, 512] of length one."""
        aligned = arcface_align.align(self._frames, arcface_align.five_points(self._landmarks))
        return np.asarray(arcface.unit(self._public.call("arcface", aligned)))

    @functools.cached_property
    def openface(self) -> np.ndarray:
        """[T, 128] of length one."""
        return self._public.call("openface", openface_align.align(self._frames, self._landmarks))

    @functools.cached_property
    def inception(self) -> np.ndarray:
        """[T, 2048] of whole frames."""
        return self._public.call("inception", self._frames, prepare=inception.prepare)
