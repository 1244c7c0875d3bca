"""The bar that shows how far a run over clips is."""

from rich import progress as bars
from rich.console import Console


def clip_bar() -> bars.Progress:
    """Clips done of all, clips a second, time gone and to go, and the field `lost` of the task; on standard error."""
    return bars.Progress(
        bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn(), _ClipsPerSecond(),
        bars.TimeElapsedColumn(), bars.TimeRemainingColumn(), bars.TextColumn("{task.fields[lost]}"),
        console=Console(stderr=True))


def lost(reasons: dict) -> str:
    """How many clips were lost to what, the most first: " (3 no_face, 1 truncated)", or nothing."""
    said = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items(), key=lambda item: -item[1]))
    return f" ({said})" if said else ""


class _ClipsPerSecond(bars.ProgressColumn):
    """How fast it goes, over the last half minute."""

    def render(self, task: bars.Task) -> str:
        return f"{task.speed:.1f} clips/s" if task.speed else "- clips/s"
