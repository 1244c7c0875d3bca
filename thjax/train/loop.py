"""The training loop: the same order in every step, so that a run that was killed repeats itself to the bit."""

import dataclasses
import functools
import logging
import math

import jax

from thjax.checkpoint import store
from thjax.checkpoint.load import abstract_state, load_state
from thjax.core.errors import RunStopped, UserError
from thjax.engine import Metrics, TrainState, enter_stage
from thjax.parallel import compile_step
from thjax.parallel.mesh import replicated
from thjax.train import guard_report, resume
from thjax.train.bookkeeping import Bookkeeping, after_evaluation, patience_over
from thjax.train.checkpoint import Saver
from thjax.train.donors import load_donors
from thjax.train.feed import Feed
from thjax.train.pictures import Films
from thjax.train.run import Run, versions, write_config
from thjax.train.signals import Interruption
from thjax.train.speed import Speed
from thjax.train.validation import Validation, write_pictures
from thjax.train.writers import Logs, NoLogs

log = logging.getLogger(__name__)
UNLOGGED = ("kept", "halted")
COUNTERS = ("bad_steps", "spikes", "gradient_norm")
HALTED = 1


class Loop:
    """Trains a run from where its directory stands to its end.

    Args:
        run: see `thjax.train.run.assemble`; its directory exists.
        interruption: signals noted while it runs.
        resume_command: what to type to go on, for messages.

    Attributes:
        compilations: {stage: programs compiled for its step}.
    """

    def __init__(self, run: Run, interruption: Interruption, resume_command: str):
        self._run, self._interruption, self._command = run, interruption, resume_command
        self._config = run.config.train
        self._first = jax.process_index() == 0
        self._films = Films()
        self._origins: dict = {}
        self._saved: tuple | None = None
        self._last_seen: dict[str, float] = {}
        self._pending: tuple[int, int, Metrics] | None = None
        self.compilations: dict[str, int] = {}

    def train(self, accept_changes: bool = False) -> int:
        """Trains to the end of the last stage, or to `train.steps`.

        Returns:
            The steps that the run has now seen.

        Raises:
            RunStopped: by a signal or by the guard; the state is saved.
            UserError: the run in this directory is another one; the disk is full; the corpus does not fit.
        """
        index, state, book = self._begin(accept_changes)
        step = int(state.step)
        if self._first:
            write_config(self._run)
        self._logs = Logs(self._run.out, step, book.evaluated_step) if self._first else NoLogs()
        self._saver = Saver(self._run.out, self._config.keep)
        try:
            while True:
                if not book.ended:
                    state, book = self._stage(index, state, book)
                if self._stopped(book, int(state.step)) or index + 1 == len(self._run.stages):
                    break
                index, state, book = index + 1, self._enter(index + 1, state), Bookkeeping()
                self._last_seen = {}
        finally:
            self._logs.close()
            self._saver.close()
        step = int(state.step)
        if self._interruption.signal is not None and not self._finished(index, book):
            raise RunStopped(f"{self._interruption.signal.name}: stopped and saved at step {step} in {self._run.out}; resume "
                             f"with\n  {self._command}", self._interruption.exit_code)
        return step

    def _finished(self, index: int, book: Bookkeeping) -> bool:
        return book.ended and index + 1 == len(self._run.stages)

    def _stopped(self, book: Bookkeeping, step: int) -> bool:
        capped = self._config.steps and step >= self._config.steps
        return bool(capped) or self._interruption.signal is not None or not book.ended

    # Where the run stands ------------------------------------------------------------------------------------------

    def _begin(self, accept_changes: bool) -> tuple[int, TrainState, Bookkeeping]:
        """The stage, state and counters to continue from: of the newest intact checkpoint, or fresh ones."""
        run = self._run
        if self._first:
            store.sweep(run.out)
        record = store.newest_intact(run.out, keep_broken_in_place=not self._first)
        if record is None:
            return 0, self._enter(0, None), Bookkeeping()
        names = [stage.name for stage in run.stages]
        if record.stage not in names:
            raise UserError(f"{run.out} is in stage {record.stage!r}; the stages asked for are {names}")
        index = names.index(record.stage)
        resume.check(record, run.values(), run.manifest_hash, run.stages[index].data.batch, accept_changes)
        abstract = abstract_state(run.system, run.config, record.stage)
        directory = store.step_directory(run.out, record.step)
        state = load_state(directory, abstract, replicated(run.mesh))
        book = Bookkeeping(**record.bookkeeping)
        self._origins, self._last_seen, self._saved = record.pretrained, dict(book.last_seen), (record.step, book)
        self._say(f"resuming {run.out} at step {record.step}, stage {record.stage}")
        return index, state, book

    def _enter(self, index: int, state: TrainState | None) -> TrainState:
        """The state with which a stage starts."""
        run, stage = self._run, self._run.stages[index]
        donors, origins = load_donors(run.system, stage)
        kept = {name: self._origins[name] for name, source in stage.init.items()
                if source.kind == "previous" and name in self._origins}
        self._origins = kept | origins
        previous = run.stages[index - 1] if index else None
        enter = functools.partial(enter_stage, run.system.networks, stage, previous=previous)
        # Drawing initial weights is a large program that runs once: on CPU, optimising it costs five times its worth.
        options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
        return jax.jit(lambda state, key, donors: enter(state, key, donors), compiler_options=options)(state, run.key, donors)

    # One stage -----------------------------------------------------------------------------------------------------

    def _stage(self, index: int, state: TrainState, book: Bookkeeping) -> tuple[TrainState, Bookkeeping]:
        """Trains one stage from where it stands until it ends, is capped or interrupted."""
        run, stage, limits = self._run, self._run.stages[index], self._run.limits[index]
        self._loader = run.loaders[index]
        executor = compile_step(stage, run.config.parallel, run.config.guard, run.config.accumulate, run.mesh)
        state = executor.place_state(state)
        validation = Validation(run.system, stage, run.clips(stage) if stage.evaluate else None, run.key, run.mesh)
        step, stage_step = int(state.step), int(state.stage_step)
        feed = Feed(self._loader, executor, stage_step)
        later = sum(other.steps for other in run.limits[index + 1 :])
        last = min(limits.steps, stage_step + self._config.steps - step) if self._config.steps else limits.steps
        self._speed = Speed(stage.name, last, 0 if self._config.steps else later, self._frames(stage), not self._first)
        self._waited = lambda: feed.waited
        first = True
        try:
            while True:
                # 1. Validation comes before everything else that may happen at this step, because the end of the stage
                #    and the best checkpoint hang on it. A step saved before its validation was done begins here.
                best, due = False, self._evaluation_due(stage_step, limits.steps) and book.evaluated_step != step
                if due:
                    self._settle(stage.name)
                    evaluated = self._evaluate(validation, stage, state, book, step, stage_step)
                    due, (book, best) = evaluated is None, evaluated or (book, False)
                # 2. Is the stage over? Not while a validation is still owed.
                over = stage_step >= limits.steps or patience_over(book, limits.patience_steps, stage_step)
                book = dataclasses.replace(book, ended=over and not due)
                capped = self._config.steps and step >= self._config.steps
                stop = book.ended or capped or self._interruption.pending(step)
                # 3. Save what a later life needs; never a state whose metrics have not been looked at.
                if stop or best or (stage_step and step % self._config.checkpoint_every == 0):
                    self._settle(stage.name)
                    self._save(stage, state, book, step, stage_step)
                if stop:
                    return state, book
                # 4. One step on the device. It returns at once; the batch was prepared while the step before ran.
                batch = feed.next()
                state, metrics = executor.step(state, batch, run.key)
                step, stage_step = step + 1, stage_step + 1
                # 5. Metrics of the step before, so that the device never waits for the host.
                self._settle(stage.name)
                self._pending = (step, stage_step, metrics)
                self._speed.tick(stage_step)
                if first:
                    first = self._speed.restart(feed.waited)
                self._saver.check()
        except guard_report.Halted as halt:
            self._stop_for_guard(halt, stage, state, book, stage_step - (step - halt.step))
        finally:
            self.compilations[stage.name] = executor.compilations
            self._speed.close()
            feed.close()

    def _frames(self, stage) -> int:
        return stage.data.batch * self._loader.length

    def _evaluation_due(self, stage_step: int, last: int) -> bool:
        every = self._config.evaluate_every
        return stage_step == last or bool(every and stage_step and stage_step % every == 0)

    def _evaluate(self, validation, stage, state, book, step, stage_step) -> tuple[Bookkeeping, bool] | None:
        """Runs the evaluators and writes what they found; None where a signal came in between."""
        result = validation.run(state, lambda: self._interruption.pending(step))
        if result is None:
            return None
        metrics, samples = result
        if self._first and metrics:
            self._logs.write("validation", step, stage.name, metrics)
            strip = write_pictures(self._run.out / "evaluations" / str(step), samples, self._films, step)
            if strip is not None:
                self._logs.picture(step, strip)
            self._speed.say(f"validation at step {step}: " + ", ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
        self._speed.restart(self._waited())
        patience = stage.until.patience if metrics else None
        return after_evaluation(book, patience, metrics, step, stage_step)

    def _settle(self, stage: str) -> None:
        """Reads the metrics that are one step late: halts, warns, logs."""
        if self._pending is None:
            return
        (step, stage_step, metrics), self._pending = self._pending, None
        scalars = {name: value.item() for name, value in jax.device_get(metrics.scalars).items()}
        if not scalars["kept"]:
            self._not_kept(step, stage_step, metrics, scalars)
        self._last_seen |= {name: value for name, value in scalars.items() if math.isfinite(value) and name not in UNLOGGED}
        if step % self._config.log_every == 0:
            measured = self._speed.measure(self._waited())
            self._logs.write("train", step, stage, self._last_seen, **measured)
            losses = {name: value for name, value in self._last_seen.items() if name not in COUNTERS}
            self._speed.show(stage_step, losses, measured)

    def _not_kept(self, step: int, stage_step: int, metrics: Metrics, scalars) -> None:
        """A step was thrown away: stop the run, or say so and go on."""
        finite = math.isfinite(scalars["gradient_norm"]) and scalars["spikes"] > self._last_seen.get("spikes", 0)
        if finite:
            norm = scalars["gradient_norm"]
            text = f"step {step} is a spike: gradient norm {norm:.4g}; {scalars['spikes']} spikes so far"
        else:
            text = f"step {step} is not finite: {guard_report.blame(self._loader, stage_step - 1, metrics)}"
        if scalars["halted"]:
            raise guard_report.Halted(step, finite, text)
        self._speed.say(f"warning: {text}; skipped")

    def _stop_for_guard(self, halt, stage, state, book, stage_step) -> None:
        """Saves the state from before the bad step and ends the run."""
        before = guard_report.state_before(state, halt)
        self._saver.wait()
        if bad := guard_report.poisoned(before):
            have = store.steps(self._run.out)
            rest = (f"Before it, networks {bad} already held values that are not finite; that state is not saved. The newest "
                    f"checkpoint is {f'of step {have[-1]}' if have else 'none'}; go on from there with")
        else:
            self._save(stage, before, dataclasses.replace(book, ended=False), halt.step - 1, stage_step - 1)
            self._saver.wait()
            limit = self._run.config.guard.max_spikes
            way_out = (f"raise --guard.max_spikes ({limit} in a row were reached)" if halt.spike
                       else "mend or remove the clips, or skip such steps with --guard.on_bad skip")
            rest = (f"The state before it is intact, saved as step {halt.step - 1} in {self._run.out}. To go on, {way_out}, "
                    "and add --accept_changes:")
        raise RunStopped(f"{halt}\n{rest}\n  {self._command}", HALTED) from None

    def _save(self, stage, state, book: Bookkeeping, step: int, stage_step: int) -> None:
        """Starts to save a checkpoint, unless this very one is on the disk."""
        book = dataclasses.replace(book, last_seen=dict(self._last_seen))
        if self._saved == (step, book):
            return
        run = self._run
        self._logs.flush()
        self._saver.save(state, store.Record(
            step=step, stage=stage.name, stage_step=stage_step, position=stage_step * stage.data.batch,
            bookkeeping=book.to_dict(), config=run.values(), statistics=store.pack(run.stats),
            manifest_hash=run.manifest_hash, pretrained=self._origins, usable_cores=resume.usable_cores(),
            versions=versions(),
        ))
        self._saved = (step, book)

    def _say(self, text: str) -> None:
        if self._first:
            print(text)
