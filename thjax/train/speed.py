"""How fast the run goes and when it will be done; a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SHOWN = 4


class Speed:
    """Measures one stage.

    Args:
        stage: its name.
        last_step: of the stage, at the latest.
        steps_after: of later stages, at most; for the time that is left.
        frames_per_step: of the whole batch.
        quiet: print nothing: every process but the first.
    """

    def __init__(self, stage: str, last_step: int, steps_after: int, frames_per_step: int, quiet: bool):
        self._stage, self._last, self._after, self._frames = stage, last_step, steps_after, frames_per_step
        self._console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self._bar = None
        if self._console.is_terminal and not quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[note]}"),
            )
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task(stage, total=last_step, note="compiling")
            self._bar.start()
        self._step_seconds = 0.0
        self.restart()

    def restart(self, waited: float = 0.0) -> None:
        """Starts a new interval: after the first step, which compiles, and after an evaluation."""
        self._start, self._steps, self._waited = time.perf_counter(), 0, waited

    def tick(self, stage_step: int) -> None:
        """A step was sent off."""
        self._steps += 1
        if self._bar:
            self._bar.update(self._task, completed=stage_step)

    def measure(self, waited: float) -> dict[str, float]:
        """Ends an interval.

        Args:
            waited: seconds that the loop waited for data, since the run began.

        Returns:
            `frames_per_second`, and `data_wait`, the share of the interval spent waiting for data; empty where no
            whole step fell into it.
        """
        seconds, steps, waiting = time.perf_counter() - self._start, self._steps, waited - self._waited
        self.restart(waited)
        if not steps:
            return {}
        self._step_seconds = seconds / steps
        return {
            "frames_per_second": round(self._frames * steps / seconds, 2),
            "data_wait": round(min(1.0, waiting / seconds), 4),
        }

    def show(self, stage_step: int, scalars: Mapping[str, float], measured: Mapping[str, float]) -> None:
        """Tells where the run stands."""
        note = ""
        if measured:
            left = (self._last - stage_step + self._after) * self._step_seconds
            note = f"{measured['frames_per_second']:.0f} frames/s, ETA {clock(left)}"
        if self._bar:
            self._bar.update(self._task, completed=stage_step, note=note)
            return
        values = ", ".join(f"{name} {value:.4g}" for name, value in list(scalars.items())[:SHOWN])
        self._console.print(f"{self._stage} {stage_step}/{self._last}: {values}{'; ' if note else ''}{note}")

    def say(self, text: str) -> None:
        """A line of its own, above the bar."""
        self._console.print(text, markup=False)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._bar:
            self._bar.stop()


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03, 2:03."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
