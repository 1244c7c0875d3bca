"""Sound that is longer than what a mapper was trained on, and what its lips do there."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, FPS, SAMPLES_PER_FRAME
from thjax.checkpoint import LoadedRun
from thjax.evaluate.animation import lips
from thjax.evaluate.animation.clips import UNITS, MotionClip, MotionClips
from thjax.evaluate.animation.measures import LIPS
from thjax.evaluate.animation.run import Drawer
from thjax.metrics.bootstrap import bootstrap
from thjax.metrics.mouth import correlation_in_speech

JOINED = 4
"""Clips of one speaker that are spoken in one go: sixteen seconds and more, most of them."""
TALK_SECONDS = 16
"""Talks are cut to this length, so that one compiled program draws them all."""


def talks(run: LoadedRun, clips: MotionClips, seed: int) -> dict[str, dict]:
    """Lips of long talks, on frames as far from the start as training went, and beyond: {part: {metric: interval}}."""
    window = run.config.data.window
    parts = {f"frames 0 to {window - 1} of a talk": slice(0, window), f"frames {window} and on": slice(window, None)}
    draw = Drawer(run.system.sampler(run.nets, run.stats))
    found = {name: {metric: [] for metric in LIPS} for name in parts}
    speakers = []
    for number, talk in enumerate(talks_of(clips)):
        speakers.append(talk[0].speaker)
        drawn = lips.of_units(draw(joined(talk, TALK_SECONDS)[None], [seed + number])[0][..., UNITS])
        true = lips.of_units(np.concatenate([clip.vectors for clip in talk])[: TALK_SECONDS * FPS, UNITS])
        speech = np.concatenate([clip.speech for clip in talk])[: TALK_SECONDS * FPS]
        for name, part in parts.items():
            for metric, made, truth in zip(LIPS, drawn, true, strict=True):
                r = correlation_in_speech(truth[part], made.mean(axis=0)[part], speech[part])
                found[name][metric].append(r)
    return {name: {metric: bootstrap(np.array(r), np.array(speakers)).as_json() for metric, r in metrics.items()}
            for name, metrics in found.items()}


def talks_of(clips: MotionClips) -> Iterator[Sequence[MotionClip]]:
    """Groups of clips of one speaker that together last `TALK_SECONDS`, none twice."""
    for _, numbers in itertools.groupby(range(len(clips)), lambda number: clips.speakers[number]):
        while group := tuple(itertools.islice(numbers, JOINED)):
            talk = [clips[number] for number in group]
            if sum(clip.frames for clip in talk) >= TALK_SECONDS * FPS:
                yield talk


def joined(clips: Sequence[MotionClip], seconds: int) -> np.ndarray:
    """[seconds * 16000 + 6400] int16: clip after clip, from the start again where they end."""
    spoken = np.concatenate([clip.audio[AUDIO_CONTEXT : AUDIO_CONTEXT + clip.frames * SAMPLES_PER_FRAME]
                             for clip in clips])
    return np.pad(np.resize(spoken, seconds * FPS * SAMPLES_PER_FRAME), AUDIO_CONTEXT)
