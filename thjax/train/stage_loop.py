"""The training loop: the same order in every step, so that a run that was killed repeats itself to the bit."""

import dataclasses

import jax

from thjax import systems
from thjax.checkpoint import store
from thjax.core.errors import RunStopped
from thjax.engine import TrainState
from thjax.parallel import compile_step
from thjax.train import guard_report, resume
from thjax.train.bookkeeping import Bookkeeping, after_evaluation, patience_over
from thjax.train.checkpoint import Saver
from thjax.train.feed import Feed
from thjax.train.observer import Observer
from thjax.train.pictures import Films
from thjax.train.run import Run, versions
from thjax.train.signals import Interruption
from thjax.train.speed import Speed
from thjax.train.start import Standing
from thjax.train.validation import Validation, write_pictures
from thjax.train.writers import Logs, NoLogs

GUARD_STOPPED = 1


@dataclasses.dataclass(frozen=True)
class Tools:
    """What all stages of a run use."""

    run: Run
    interruption: Interruption
    logs: Logs | NoLogs
    saver: Saver
    films: Films
    resume_command: str

    def stop_at(self, step: int) -> bool:
        """Whether the cap is reached, or a signal has come."""
        cap = self.run.config.train.steps
        return bool(cap and step >= cap) or self.interruption.pending(step)


class StageLoop:
    """Trains one stage from where it stands until it ends, is capped or interrupted.

    Args:
        tools: of the run.
        standing: within the stage, or at its beginning.
    """

    def __init__(self, tools: Tools, standing: Standing):
        run, index = tools.run, standing.index
        self._tools, self._run, self._config = tools, run, run.config.train
        self._stage, self._limits, self._standing = run.stages[index], run.limits[index], standing
        self._executor = compile_step(
            self._stage, run.config.parallel, run.config.guard, run.config.accumulate, run.mesh,
            systems.logical_axes(run.config.system),
        )
        clips = run.clips(self._stage) if self._stage.evaluate else None
        self._validation = Validation(run.system, self._stage, clips, run.key, run.mesh)
        # The host counts by itself: asking the device would wait for it.
        self._step, self._stage_step = int(standing.state.step), int(standing.state.stage_step)
        self._feed = Feed(run.loaders[index], self._executor, self._stage_step)
        self._speed = self._new_speed(index)
        self._observer = Observer(
            self._stage.name,
            run.loaders[index],
            tools.logs,
            self._speed,
            self._config.log_every,
            {"spikes": int(standing.state.guard.spikes)} | standing.book.last_seen,
        )

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self._stage.name

    @property
    def compilations(self) -> int:
        """Programs compiled for the step so far."""
        return self._executor.compilations

    def train(self) -> Standing:
        """Trains. Returns where the run then stands: at the end of the stage, or within it where it was stopped.

        Raises:
            RunStopped: by the guard; the state from before the bad step is saved.
            UserError: a checkpoint could not be written.
        """
        self._state, book = self._executor.place_state(self._standing.state), self._standing.book
        try:
            while True:
                # 1. Validation comes before everything else that may happen at this step, since the end of the stage
                #    and the best checkpoint hang on it. A state saved while it was still owed begins here.
                book, best, owed = self._validate(book)
                # 2. Is the stage over? Not while a validation is owed.
                book = dataclasses.replace(book, ended=self._over(book) and not owed)
                stop = book.ended or self._tools.stop_at(self._step)
                # 3. Save what a later life needs; never a state whose metrics have not been looked at.
                if stop or best or (self._stage_step and self._step % self._config.checkpoint_every == 0):
                    self._observer.settle(self._feed.waited)
                    self._save(self._state, book, self._step, self._stage_step)
                if stop:
                    return dataclasses.replace(self._standing, state=self._state, book=book)
                # 4. One step. The call returns at once, and the batch was decoded while the step before ran.
                self._train_step()
        except guard_report.Halted as halt:
            self._stop_for_guard(halt, book)
        finally:
            self._speed.close()
            self._feed.close()

    def _train_step(self) -> None:
        """Sends one step off, then reads the metrics of the step before: the device never waits for the host."""
        compiling = not self.compilations
        batch = self._feed.next()
        self._state, metrics = self._executor.step(self._state, batch, self._run.key)
        self._step, self._stage_step = self._step + 1, self._stage_step + 1
        self._observer.note(self._step, self._stage_step, metrics, self._feed.waited)
        self._speed.tick(self._stage_step)
        if compiling:
            self._speed.restart(self._feed.waited)
        self._tools.saver.check()

    def _over(self, book: Bookkeeping) -> bool:
        limits = self._limits
        return self._stage_step >= limits.steps or patience_over(book, limits.patience_steps, self._stage_step)

    def _validate(self, book: Bookkeeping) -> tuple[Bookkeeping, bool, bool]:
        """Validates where this step asks for it: (counters, whether this is the best, whether it is still owed)."""
        every = self._config.evaluate_every
        due = self._stage_step == self._limits.steps or bool(
            every and self._stage_step and self._stage_step % every == 0
        )
        if not due or book.evaluated_step == self._step:
            return book, False, False
        self._observer.settle(self._feed.waited)
        result = self._validation.run(self._state, lambda: self._tools.interruption.pending(self._step))
        if result is None:
            return book, False, True
        metrics, samples = result
        if metrics and jax.process_index() == 0:
            self._tools.logs.write("validation", self._step, self.name, metrics)
            strip = write_pictures(self._run.out, self._step, samples, self._tools.films)
            if strip is not None:
                self._tools.logs.picture(self._step, strip)
            values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            self._speed.say(f"validation at step {self._step}: {values}")
        self._speed.restart(self._feed.waited)
        patience = self._stage.until.patience if metrics else None
        return *after_evaluation(book, patience, metrics, self._step, self._stage_step), False

    def _save(self, state: TrainState, book: Bookkeeping, step: int, stage_step: int) -> None:
        """Starts to save a checkpoint."""
        run = self._run
        self._tools.logs.flush()
        book = dataclasses.replace(book, last_seen=self._observer.last_seen)
        record = store.Record(
            step=step,
            stage=self.name,
            stage_step=stage_step,
            position=stage_step * self._stage.data.batch,
            bookkeeping=dataclasses.asdict(book),
            config=run.values(),
            statistics=store.pack(run.stats),
            manifest_hash=run.manifest_hash,
            pretrained=self._standing.origins,
            usable_cores=resume.usable_cores(),
            versions=versions(),
        )
        self._tools.saver.save(state, record)

    def _stop_for_guard(self, halt: guard_report.Halted, book: Bookkeeping) -> None:
        """Saves the state from before the bad step, where that is sound, and ends the run."""
        late = self._step - (halt.step - 1)
        before = guard_report.state_before(self._state, halt)
        bad = guard_report.poisoned(before)
        if not bad:
            self._save(before, dataclasses.replace(book, ended=False), self._step - late, self._stage_step - late)
        self._tools.saver.wait()
        newest = store.steps(self._run.out)[-1:]
        advice = guard_report.advice(halt, bad, newest, self._run.config.guard.max_spikes)
        raise RunStopped(f"{halt}\n{advice}\n  {self._tools.resume_command}", GUARD_STOPPED) from None

    def _new_speed(self, index: int) -> Speed:
        steps, cap = self._limits.steps, self._config.steps
        later = 0 if cap else sum(limits.steps for limits in self._run.limits[index + 1 :])
        last = min(steps, self._stage_step + cap - self._step) if cap else steps
        frames = self._stage.data.batch * self._run.loaders[index].length
        return Speed(self.name, last, later, frames, quiet=jax.process_index() != 0)
