"""Words and sync: what the lips say, and whether it belongs to the sound."""

from data_pipelines.synthetic.grammar import GRID
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures.sheet import Measurement
from thjax.evaluate.truth import FEWEST_FOR_SYNC, ClipTruth, Seen
from thjax.metrics.names import metric_name
from thjax.metrics.sync import offset_error, sync
from thjax.metrics.words import wer

SYNC = ("sync_confidence", "sync_offset", "sync_offset_error", "lse_d", "lse_c")
WORDS = ("wer",)


def measure(truth: ClipTruth, seen: Seen, judges: Judges, sheet: Measurement) -> None:
    """Writes down word error rate and sync."""
    for kind, bases, function in (("lips", WORDS, _words), ("sync", SYNC, _sync)):
        if getattr(judges, kind) is None:
            sheet.leave_out(f"no judge of {kind}", *bases)
            continue
        names = {base: metric_name(base, judges.label(kind)) for base in bases}
        reason = _blind(truth.seen(judges)) or _blind(seen)
        if reason:
            sheet.leave_out(reason, *names.values())
        else:
            function(truth, seen, judges, names, sheet)


def _blind(seen: Seen) -> str:
    if not seen.large_enough:
        return "frames are too small for the judges"
    return "no frame with a face" if seen.landmarks is None else ""


def words_of(truth: ClipTruth) -> list[str]:
    """What is said, in small letters; empty where nobody wrote it down."""
    return [word.lower() for word, *_ in truth.words or ()]


def is_command(said: list[str]) -> bool:
    """Whether these words are one of GRID's commands."""
    return len(said) == len(GRID) and all(word in slot for word, slot in zip(said, GRID, strict=True))


def _words(truth: ClipTruth, seen: Seen, judges: Judges, names: dict[str, str], sheet: Measurement) -> None:
    said = words_of(truth)
    if len(truth.frames) < len(GRID):
        sheet.leave_out("fewer frames than a command has words", names["wer"])
    elif is_command(said):
        sheet.add(names["wer"], wer(said, seen.words))
    else:
        sheet.leave_out("no words are known" if not said else "not a GRID command, the lip reader's only grammar",
                        names["wer"])


def _sync(truth: ClipTruth, seen: Seen, judges: Judges, names: dict[str, str], sheet: Measurement) -> None:
    if len(truth.frames) < FEWEST_FOR_SYNC:
        sheet.leave_out(f"fewer than {FEWEST_FOR_SYNC} frames", *names.values())
        return
    real, made = sync(truth.seen(judges).curve), sync(seen.curve)
    sheet.add(names["sync_confidence"], made.confidence)
    sheet.add(names["sync_offset"], made.offset)
    sheet.add(names["sync_offset_error"], offset_error(made, real))
    sheet.add(names["lse_d"], made.distance)
    sheet.add(names["lse_c"], made.confidence)
