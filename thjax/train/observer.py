"""Metrics, read one step late: logged, shown, and searched for the guard's verdict."""

import math
from collections.abc import Mapping

import jax

from thjax.engine import Metrics
from thjax.train import guard_report
from thjax.train.speed import Speed
from thjax.train.writers import Logs, NoLogs

UNLOGGED = ("kept", "halted")
HIDDEN = ("bad_steps", "spikes", "gradient_norm")


class Observer:
    """Looks at the metrics of a stage. The newest step's wait until the next one is under way.

    Args:
        stage: name of the stage.
        loader: of the stage, to name clips.
        logs: where entries go.
        speed: where lines for people go.
        log_every: steps between two entries.
        last_seen: newest value of every metric before, from a checkpoint.

    Attributes:
        last_seen: newest finite value of every metric: a phase need not run in the step that is logged.
    """

    def __init__(
        self, stage: str, loader, logs: Logs | NoLogs, speed: Speed, log_every: int, last_seen: Mapping[str, float]
    ):
        self.last_seen = dict(last_seen)
        self._stage, self._loader, self._logs, self._speed, self._every = stage, loader, logs, speed, log_every
        self._pending: tuple[int, int, Metrics] | None = None

    def note(self, step: int, stage_step: int, metrics: Metrics, waited: float) -> None:
        """A step is under way: looks at the one before it.

        Raises:
            guard_report.Halted: the guard has stopped the run at the step before.
        """
        self.settle(waited)
        self._pending = (step, stage_step, metrics)

    def settle(self, waited: float) -> None:
        """Looks at whatever was not yet looked at; waits for it. Raises as `note` does."""
        if self._pending is None:
            return
        (step, stage_step, metrics), self._pending = self._pending, None
        scalars = {name: value.item() for name, value in jax.device_get(metrics.scalars).items()}
        if not scalars["kept"]:
            self._thrown_away(step, stage_step, metrics, scalars)
        finite = {name: value for name, value in scalars.items() if math.isfinite(value)}
        self.last_seen |= {name: value for name, value in finite.items() if name not in UNLOGGED}
        if step % self._every == 0:
            measured = self._speed.measure(waited)
            self._logs.write("train", step, self._stage, self.last_seen, **measured)
            shown = {name: value for name, value in self.last_seen.items() if name not in HIDDEN}
            self._speed.show(stage_step, shown, measured)

    def _thrown_away(self, step: int, stage_step: int, metrics: Metrics, scalars: Mapping[str, float]) -> None:
        """The guard kept the weights of the step before: the run stops, or says so and goes on."""
        spike = scalars["spikes"] > self.last_seen.get("spikes", 0)
        if spike:
            norm, count = scalars["gradient_norm"], scalars["spikes"]
            text = f"step {step} is a spike: gradient norm {norm:.4g}; {count} spikes so far"
        else:
            text = f"step {step} is not finite: {guard_report.blame(self._loader, stage_step - 1, metrics)}"
        if scalars["halted"]:
            raise guard_report.Halted(step, spike, text)
        self._speed.say(f"warning: {text}; skipped")
