"""Contact sheets of the head: people, expressions, poses. `python -m data_pipelines.synthetic.preview OUT.png`."""

import argparse
from pathlib import Path

import numpy as np

from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import sample_scene

COLUMNS = (
    ({}, {}),
    ({"AU26": 0.6, "AU25": 0.5}, {"Ry": 0.15}),
    ({"AU20": 0.8, "AU25": 0.6}, {"Ry": 0.35}),
    ({"pucker": 1.0, "AU25": 0.3}, {"Ry": -0.35, "gaze_x": 0.3}),
    ({"AU45": 1.0, "press": 1.0}, {"Rx": 0.1}),
    ({"AU12": 1.0, "AU06": 0.7, "AU25": 0.7}, {"Rx": -0.15, "Rz": 0.1}),
    ({"AU01": 1.0, "AU02": 1.0, "AU26": 0.9, "AU25": 0.8}, {"Rx": 0.15}),
    ({"AU04": 1.0, "press": 1.0}, {"Ry": -0.2, "gaze_y": 0.2}),
)
"""Expression and pose of each column of the sheet."""
POSE_COLUMN = {"Rx": 3, "Ry": 4, "Rz": 5}
GAZE_COLUMN = {"gaze_x": 0, "gaze_y": 1}


def columns() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expression `[8, 20]`, pose `[8, 6]` and gaze `[8, 2]` of the sheet's columns."""
    expression = np.zeros((len(COLUMNS), len(EXPRESSION_NAMES)), np.float32)
    pose, gaze = np.zeros((len(COLUMNS), 6)), np.zeros((len(COLUMNS), 2))
    for row, (units, turns) in enumerate(COLUMNS):
        for name, value in units.items():
            expression[row, EXPRESSION_INDEX[name]] = value
        for name, value in turns.items():
            if name in POSE_COLUMN:
                pose[row, POSE_COLUMN[name]] = value
            else:
                gaze[row, GAZE_COLUMN[name]] = value
    return expression, pose, gaze


def contact_sheet(people: int, size: int, seed: int) -> np.ndarray:
    """A row for each person, the columns of `COLUMNS`: -> uint8 `[people * size, 8 * size, 3]`."""
    rows = []
    for person in range(people):
        rng = np.random.default_rng([seed, person])
        clip = render_clip(sample_identity(rng), sample_scene(rng), *columns(), size=size, seed=person)
        rows.append(np.concatenate(list(clip.frames), 1))
    return np.concatenate(rows)


def main() -> None:
    """Writes a sheet."""
    parser = argparse.ArgumentParser(description="Contact sheet of the embedded corpus's heads.")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--people", type=int, default=6, help="rows (default: 6)")
    parser.add_argument("--size", type=int, default=128, help="pixels of a frame, 48 to 256 (default: 128)")
    parser.add_argument("--seed", type=int, default=0, help="which people (default: 0)")
    options = parser.parse_args()
    from PIL import Image

    Image.fromarray(contact_sheet(options.people, options.size, options.seed)).save(options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
