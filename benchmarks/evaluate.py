"""How long it takes to judge a system: 200 clips of 75 frames at 128 px, one row, every metric, no controls.

    python -m benchmarks.evaluate [--clips 200]

Clips are rendered first, which is not timed: a few, judged again and again as new ones. What the row holds is the truth
with noise, measured by the judges that ship. Writes benchmarks/results/evaluate.json.
"""

import argparse
import os
import sys
import time

import numpy as np

from benchmarks import timing

LIMIT_SECONDS = 180.0
"""For 200 clips on two cores."""
CLIPS, RENDERED = 200, 8
FRAME_SIZE = 128
NOISE = 6.0


class Repeated:
    """A source of clips: the rendered ones over and over, and one row of theirs with noise."""

    def __init__(self, clips: list[dict], total: int):
        self._clips, self.total = clips, total
        rng = np.random.default_rng(0)
        self._made = [np.clip(clip["frames"] + rng.normal(0, NOISE, clip["frames"].shape), 0, 255).astype(np.uint8)
                      for clip in clips]

    def truths(self, numbers):
        """The clips of these numbers, {number: ClipTruth}; a number past the last clip starts over."""
        from data_pipelines.schema import AUDIO_CONTEXT
        from thjax.evaluate.truth import ClipTruth

        truths = {}
        for number in numbers:
            clip = self._clips[number % len(self._clips)]
            spans = {name: [tuple(span) for span in clip[name]] for name in ("words", "phonemes")}
            truths[number] = ClipTruth(
                f"{number}", clip["speaker"], clip["frames"], clip["frames"][0], np.pad(clip["audio"], AUDIO_CONTEXT),
                np.ones(len(clip["frames"]), bool), clip["landmarks"], **spans)
        return truths

    def rows(self, truths):
        yield "ours", lambda: [[self._made[number % len(self._made)] for number in truths]]


def render(count: int) -> list[dict]:
    """Spoken clips of the embedded corpus, three seconds each."""
    from data_pipelines.synthetic.corpus import make_clip
    from data_pipelines.synthetic.espeak import Espeak
    from data_pipelines.synthetic.settings import Corpus, Place

    corpus = Corpus(speakers=3, clips=count, size=FRAME_SIZE, motion="natural", sentences="grid", seed=0)
    with Espeak() as espeak:
        return [make_clip(corpus, Place("test", number, 0), espeak) for number in range(count)]


def measure(clips: list[dict], total: int) -> dict:
    """Seconds of the whole, and of its parts by metric group."""
    from thjax.evaluate.collected import Collected
    from thjax.evaluate.judges import Judges
    from thjax.evaluate.measures import measure_clip
    from thjax.evaluate.passes import Shard, collect
    from thjax.evaluate.result import result_of

    judges = Judges.load()

    def whole(count: int) -> tuple[float, float]:
        collected = Collected({"config_hash": "", "seeds": [0], "about": {"judges": judges.about}}, count)
        start = time.perf_counter()
        collect(Repeated(clips, count), lambda row, truth, made: measure_clip(truth, made, judges), judges, Shard(),
                collected)
        measured = time.perf_counter()
        result_of(collected, "")
        return measured - start, time.perf_counter() - measured

    whole(len(clips))  # compiles
    seconds, table = whole(total)
    return {"ours": {
        "seconds_for_200": timing.number((seconds + table) * CLIPS / total), "seconds_per_clip": timing.number(
            seconds / total), "table_seconds": timing.number(table),
    }} | parts(clips, judges)


def parts(clips: list[dict], judges) -> dict:
    """Processor seconds of one clip on one thread by what is looked at, the truth's own part included."""
    from thjax.evaluate.measures import faces, lips, motion, picture, words
    from thjax.evaluate.measures.sheet import Measurement
    from thjax.evaluate.truth import Seen

    source = Repeated(clips, len(clips))
    truths = source.truths(range(len(clips)))
    made = next(iter(source.rows(truths)))[1]()[0]
    spent: dict[str, list[float]] = {}
    for truth, frames in zip(truths.values(), made, strict=True):
        seen, sheet = Seen(frames, truth.audio, judges, truth.landmarks), Measurement()
        steps = {
            "picture": lambda t=truth, f=frames, s=sheet: picture.measure(t, f, judges, None, s),
            "judge_of_faces": lambda t=truth, m=seen: (t.seen(judges).points, m.points),
            "lips": lambda t=truth, m=seen, s=sheet: lips.measure(t, t.seen(judges), m, s),
            "identity": lambda t=truth, m=seen, s=sheet: faces.identity(t, m, judges, s),
            "action_units": lambda t=truth, m=seen, s=sheet: faces.action_units(t, t.seen(judges), m, s),
            "words": lambda t=truth, m=seen, s=sheet: words.measure(t, m, judges, s),
            "motion": lambda t=truth, m=seen, s=sheet: motion.measure(t, t.seen(judges), m, s),
        }
        for name, step in steps.items():
            start = time.process_time()
            step()
            spent.setdefault(name, []).append(time.process_time() - start)
    return {name: {"cpu_seconds_per_clip": timing.median(seconds)} for name, seconds in spent.items()}


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; 1 where it takes longer than `LIMIT_SECONDS`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=CLIPS, help="clips that are timed (default: %(default)s)")
    arguments = parser.parse_args(argv)
    rows = measure(render(RENDERED), arguments.clips)
    seconds = rows["ours"]["seconds_for_200"]["mean"]
    about = timing.machine() | {"clips": arguments.clips}
    path = timing.write("evaluate", {
        "command": timing.command(), "about": about, "config_hash": "", "seeds": [0], "rows": rows,
    })
    for row, figures in rows.items():
        print(f"{row}: " + ", ".join(f"{name} {figure['mean']:.3g}" for name, figure in figures.items()))
    too_long = seconds > LIMIT_SECONDS
    print(f"wrote {path}; {CLIPS} clips in {seconds:.0f} s, " + (f"over {LIMIT_SECONDS:g}" if too_long else "in time"))
    return int(too_long)


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
