"""Frames per second of the rasteriser and of the whole renderer, one core: `python -m benchmarks.rasteriser`.

The head with long hair at rest, turned by 12 degrees. `rasterise` finds the triangle of every pixel (one sample per
pixel, all of the head's triangles); `render` is everything from coefficients to 8-bit frames, with 2 x 2 samples per
pixel, the identity's texture included once per 75 frames.
"""

import argparse
import dataclasses
import os
import time

import numpy as np

from benchmarks import timing
from data_pipelines.synthetic.frame_renderer import FrameRenderer, camera, head_pose
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import sample_scene
from thjax.face3d.camera import project
from thjax.face3d.rasteriser import rasterise

SIZES = (96, 128, 256)
CLIP_FRAMES = 75
BATCH = 20
"""Frames per timing of the rasteriser."""


def scene_and_person():
    """The same for every run."""
    rng = np.random.default_rng(0)
    return dataclasses.replace(sample_identity(rng), hair="long"), sample_scene(rng)


def rasteriser_run(size: int):
    """A function that rasterises `BATCH` frames of the posed head."""
    identity, scene = scene_and_person()
    renderer = FrameRenderer(identity, scene, size)
    renderer.place(np.zeros(20, np.float32), head_pose(scene, np.array([[0, 0, 0, 0, 0.2, 0]]))[0])
    points = project(renderer.vertices.astype(np.float64), camera(size))
    inverse_depth = 1 / renderer.vertices[:, 2]
    triangles = renderer.mesh.triangles

    def run():
        for _ in range(BATCH):
            rasterise(points, inverse_depth, triangles, size, size)

    return run


def clip_run(size: int):
    """A function that renders one clip of 75 frames."""
    identity, scene = scene_and_person()
    expression, pose = np.zeros((CLIP_FRAMES, 20), np.float32), np.zeros((CLIP_FRAMES, 6))
    expression[:, 14:16] = np.linspace(0, 0.6, CLIP_FRAMES)[:, None]
    pose[:, 4] = np.linspace(-0.2, 0.2, CLIP_FRAMES)
    return lambda: render_clip(identity, scene, expression, pose, size=size)


def measure(run, frames: int, rounds: int) -> dict:
    """Frames per second by the wall clock and by processor time."""
    run()
    wall, processor = [], []
    for _ in range(rounds):
        start, used = time.perf_counter(), time.process_time()
        run()
        wall.append(frames / (time.perf_counter() - start))
        processor.append(frames / (time.process_time() - used))
    return {"frames/s": timing.median(wall), "frames/s of processor time": timing.median(processor)}


def main() -> None:
    """Measures all rows on one core and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="timings per row (default: 9)")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = {}
    for size in SIZES:
        rows[f"rasterise {size} px"] = measure(rasteriser_run(size), BATCH, options.rounds)
    for size in SIZES:
        rows[f"render {size} px"] = measure(clip_run(size), CLIP_FRAMES, options.rounds)
    about = {**timing.machine(), "triangles": len(FrameRenderer(*scene_and_person(), 48).mesh.triangles)}
    path = timing.write("rasteriser", {"command": timing.command(), "about": about, "rows": rows})
    for name, row in rows.items():
        print(f"{name:18s} " + "   ".join(f"{metric} {figure['mean']:.0f}" for metric, figure in row.items()))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
