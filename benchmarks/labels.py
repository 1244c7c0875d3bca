"""How far real trackers are off: rendered people who talk, encoded, labelled by `thjax label`, beside the truth.

    .venv-track/bin/python -m benchmarks.labels [--people 8] [--frames 75] [--size 256]

In an environment with the extras `speech`, `media` and `track`. Rows are trackers; of each, mean over the people of
* `pose`: absolute error of pitch, yaw and roll, degrees; `steady`: the same with the clip's median error taken off;
* the parts of the face: distance from the true landmarks, shares of the distance of the outer lids;
* action units that are read: r with the truth within the clip, of people who make them.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np

from data_pipelines import schema
from data_pipelines.labels import command
from data_pipelines.labels.geometric_au import UNSEEN
from data_pipelines.labels.trackers import TRACKERS
from data_pipelines.media import write_mp4
from data_pipelines.synthetic import corpus, frame_renderer
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.render import RenderedClip, render_clip
from data_pipelines.synthetic.scene import sample_scene
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.settings import Corpus, Place

PARTS = {"jaw": slice(0, 17), "brows": slice(17, 27), "nose": slice(27, 36), "eyes": slice(36, 48),
         "mouth": slice(48, 68)}
MADE = 0.05
"""Deviation of an intensity within a clip from which the person makes the unit."""


def films(root: pathlib.Path, people: int, frames: int, size: int) -> list[RenderedClip]:
    """Writes a film of each person and returns what was rendered."""
    settings = Corpus(speakers=people, clips=1, size=size, motion="natural", sentences="free", validation_speakers=0,
                      test_speakers=0)
    clips = []
    with Espeak() as espeak:
        for person in range(people):
            place = Place("train", person, 0)
            moved = corpus.make_motion(settings, place, corpus.make_speech(settings, place, espeak))
            clips.append(render_clip(corpus.make_identity(settings, place), sample_scene(generator(0, "scene", person)),
                                     moved.expression[:frames], moved.pose[:frames], moved.gaze[:frames], size=size,
                                     seed=person))
            write_mp4(root / f"p{person:03}" / "c.mp4", clips[-1].frames)
    return clips


def errors(path: pathlib.Path, truth: RenderedClip) -> dict[str, float]:
    """What one clip's labels are off by."""
    with np.load(path) as made:
        found = made["face_ok"] > 0
        landmarks, pose, units = (made[name][found] for name in ("landmarks", "pose", "au"))
    away = np.degrees(pose[:, 3:] - truth.pose[found, 3:])
    steady = away - np.median(away, 0)
    row = {"found": float(found.mean())}
    for column, name in enumerate(("pitch", "yaw", "roll")):
        row |= {f"pose {name}": float(np.abs(away[:, column]).mean()),
                f"steady {name}": float(np.abs(steady[:, column]).mean())}
    eyes = np.linalg.norm(truth.landmarks[:, 36] - truth.landmarks[:, 45], axis=1)[found]
    distance = np.linalg.norm(landmarks - truth.landmarks[found], axis=2) / eyes[:, None]
    row |= {name: float(distance[:, part].mean()) for name, part in PARTS.items()}
    for column, unit in enumerate(schema.AU_INTENSITY):
        true, read = truth.au[found, column], units[:, column]
        if unit not in UNSEEN and true.std() > MADE:
            row[unit] = float(np.corrcoef(true, read)[0, 1]) if read.std() else 0.0
    return row


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labels")
    for name, value in (("people", 8), ("frames", 75), ("size", 256)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options, rows = parser.parse_args(), {}
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        clips = films(root / "films", options.people, options.frames, options.size)
        for tracker in TRACKERS:
            out = root / tracker
            command.run(["--tracker", tracker, "--corpus", "folder", "--root", str(root / "films"), "--out", str(out),
                         "--focal", str(frame_renderer.camera(options.size).focal), "--workers", "1"])
            made = [errors(out / "folder" / f"p{person:03}" / "c.npz", clip) for person, clip in enumerate(clips)]
            names = list(dict.fromkeys(name for row in made for name in row))
            rows[tracker] = {name: float(np.mean([row[name] for row in made if name in row])) for name in names}
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
