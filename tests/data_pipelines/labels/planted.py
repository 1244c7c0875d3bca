"""A tracker that finds white boxes, and films of white boxes whose place is known."""

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import scipy.ndimage

from data_pipelines.labels import trackers
from data_pipelines.labels.head_pose import mean_landmarks
from data_pipelines.media import write_mp4
from data_pipelines.schema import SAMPLES_PER_FRAME

HEIGHT, WIDTH = 96, 128
FACE = (48, 40)
"""Rows and columns of a white box."""
PLACE = ("tests.data_pipelines.labels.planted", "Boxes")
SLOW = "PLANTED_TRACKER_SECONDS"


class Boxes:
    """A `Tracker`: every white box is a face that fills it."""

    version = "boxes 1"
    calls = 0

    def faces(self, image):
        Boxes.calls += 1
        time.sleep(float(os.environ.get(SLOW, 0)))
        parts, _ = scipy.ndimage.label(image.min(-1) > 128)
        boxes = [(rows.start, columns.start, rows.stop, columns.stop)
                 for rows, columns in scipy.ndimage.find_objects(parts)]
        return [landmarks(*box) for box in boxes if box[2] - box[0] > 20]


def landmarks(top, left, bottom, right):
    """The mean face's points from the front, in a box: float32 `[68, 2]`."""
    flat = mean_landmarks()[:, :2]
    low, high = flat.min(0), flat.max(0)
    return ((flat - low) / (high - low) * (right - left, bottom - top) + (left, top)).astype(np.float32)


@contextlib.contextmanager
def instead_of(name="mediapipe"):
    """Puts the planted tracker in the place of a real one."""
    from data_pipelines.labels import clip

    before = trackers.TRACKERS.places[name]
    trackers.TRACKERS.places[name] = PLACE
    clip._loaded.cache_clear()
    try:
        yield
    finally:
        trackers.TRACKERS.places[name] = before
        clip._loaded.cache_clear()


def film(path: Path, lefts, top: int = 20, others=None) -> Path:
    """A film with sound of a box whose left edge is at `lefts[t]`, None where it is away.

    Args:
        path: of the mp4.
        lefts: for each frame.
        top: row of the box's upper edge.
        others: for each frame, left edges of further boxes of the same size.
    """
    frames = np.random.default_rng(0).integers(20, 60, (1, HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    frames = frames.repeat(8, 1).repeat(8, 2).repeat(len(lefts), 0)
    for frame, left, more in zip(frames, lefts, others or [()] * len(lefts), strict=True):
        for edge in (left, *more):
            if edge is not None:
                frame[top : top + FACE[0], edge : edge + FACE[1]] = 255
    sound = 3000 * np.sin(np.arange(len(lefts) * SAMPLES_PER_FRAME) / 9)
    write_mp4(path, frames, sound.astype(np.int16))
    return path
