"""Diversity: how much the heads differ that one audio gets from sixteen seeds."""

from collections.abc import Callable

import numpy as np

from data_pipelines.loader import Clips
from thjax.evaluate.collected import Collected
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import Measurement
from thjax.evaluate.passes import Shard, shown_numbers
from thjax.evaluate.truth import ANGLES, Seen, nearest_found
from thjax.metrics.head_motion import SAMPLES, diversity
from thjax.metrics.names import metric_name

TRAINING_CLIPS = 12
"""True clips whose heads give each channel its unit."""


def add_diversity(collected: Collected, source, training: Clips, judges: Judges, shard: Shard, seed: int,
                  report: Callable[[str], None]) -> None:
    """Writes `diversity` of the run down for a few clips of the shard; pose and action units are the channels.

    Args:
        collected: takes the values.
        source: a `RunSource`.
        training: true clips of the training split.
        judges: that of faces is asked.
        shard: which clips are this one's.
        seed: sample k draws its noise from `seed + k`.
        report: called with what is done next.
    """
    numbers = sorted(number for block in shard.blocks(source.total) for number in block
                     if number in shown_numbers(source.total))
    if judges.face is None or not numbers:
        return
    report("diversity over seeds")
    spread = max(1, len(training) // TRAINING_CLIPS)
    examples = (training[number] for number in range(0, len(training), spread))
    tracks = [_track(example["frames"][example["valid"] > 0], judges) for example in examples]
    seen = [track for track in tracks if track is not None]
    deviation = np.concatenate(seen).std(axis=0) if seen else np.zeros(0)
    moving = deviation > 0
    for number, truth in source.truths(numbers).items():
        measured = Measurement()
        name = metric_name("diversity", judges.label("face"))
        sound = np.stack([source.sound([number])[0]] * SAMPLES)
        made = source.synthesiser(np.stack([truth.still] * SAMPLES), sound, [seed + k for k in range(SAMPLES)])
        samples = [_track(take[: len(truth.frames)], judges) for take in made]
        if not moving.any() or any(sample is None for sample in samples):
            measured.leave_out("no face in a sample" if moving.any() else "no motion in the training clips", name)
        else:
            measured.add(name, diversity(np.stack(samples)[..., moving], deviation[moving]))
        collected.add("ours", number, measured)


def _track(frames: np.ndarray, judges: Judges) -> np.ndarray | None:
    """[T, K] angles and action units; frames without a face take the nearest one's; None where no frame has one."""
    seen = Seen(frames, np.zeros(0, np.int16), judges)
    if seen.track is None or not seen.found.any():
        return None
    channels = np.concatenate([np.asarray(seen.track.pose)[:, ANGLES], np.asarray(seen.track.au)], axis=1)
    return channels[nearest_found(seen.found)]
