"""Controls of head motion: a statue, another clip's poses, an independent take of the same person.

Similarity of poses ignores time, and statues score high: without these rows it says nothing.
"""

import numpy as np

from thjax.evaluate.collected import Collected
from thjax.evaluate.controls import derangement, other_of_the_same
from thjax.evaluate.measures import Measurement
from thjax.evaluate.measures.motion import poses

STATIC, REPLAYED, INDEPENDENT = "static_pose", "replayed_pose", "independent_pose"
ROWS = (STATIC, REPLAYED, INDEPENDENT)


def add_pose_controls(collected: Collected) -> None:
    """Adds the rows, made of the true heads of all clips; no row where no judge of faces has looked."""
    label = collected.about.get("about", {}).get("judges", {}).get("face")
    numbers = [n for n in sorted(collected.clips) if collected.clips[n].angles is not None
               and len(collected.clips[n].angles)]
    if label is None or not numbers:
        return
    clips = [collected.clips[n] for n in numbers]
    # A clip whose speaker nobody knows counts as a speaker of its own.
    speakers = [clip.key if clip.speaker is None else clip.speaker for clip in clips]
    replayed = dict(enumerate(derangement(speakers, 0))) if len(clips) > 1 else {}
    independent = other_of_the_same(speakers)
    for index, (number, clip) in enumerate(zip(numbers, clips, strict=True)):
        made = {STATIC: np.repeat(clip.angles[:1], len(clip.angles), axis=0)}
        for row, partners in ((REPLAYED, replayed), (INDEPENDENT, independent)):
            if index in partners:
                made[row] = clips[partners[index]].angles
        for row, track in made.items():
            measured = Measurement()
            poses(clip.angles, track, track, clip.onsets, label, measured)
            collected.add(row, number, measured)
