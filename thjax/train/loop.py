"""The run as a whole: stage after stage, from where its directory stands to the end."""

import errno
import os

import jax

from thjax.core.errors import RunStopped, UserError
from thjax.train.checkpoint import Saver
from thjax.train.pictures import Films
from thjax.train.run import Run, write_config
from thjax.train.signals import Interruption
from thjax.train.stage_loop import StageLoop, Tools
from thjax.train.start import Standing, begin, enter
from thjax.train.writers import Logs, NoLogs

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


class Loop:
    """Trains a run.

    Args:
        run: see `thjax.train.run.assemble`; its directory exists.
        interruption: signals noted while it runs.
        resume_command: what to type to go on, for messages.

    Attributes:
        compilations: {stage: programs compiled for its step}.
    """

    def __init__(self, run: Run, interruption: Interruption, resume_command: str):
        self._run, self._interruption, self._command = run, interruption, resume_command
        self._last = len(run.stages) - 1
        self.compilations: dict[str, int] = {}

    def train(self, accept_changes: bool = False) -> int:
        """Trains to the end of the last stage, or to `train.steps`.

        Returns:
            The steps that the run has now seen.

        Raises:
            RunStopped: by a signal or by the guard; the state is saved.
            UserError: the run in this directory is another one; the disk is full; the corpus does not fit.
        """
        try:
            return self._resume_and_train(accept_changes)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            raise UserError(
                f"{self._run.out} could not be written: {os.strerror(error.errno)}. Mend that and give the same "
                "command again: it goes on from the newest checkpoint"
            ) from error

    def _resume_and_train(self, accept_changes: bool) -> int:
        run, first = self._run, jax.process_index() == 0
        standing = begin(run, accept_changes)
        step = int(standing.state.step)
        if first:
            write_config(run)
        # A stage begins with nothing evaluated, and after all that the stages before it evaluated.
        evaluated_step = max(standing.book.evaluated_step, step - int(standing.state.stage_step))
        logs = Logs(run.out, step, evaluated_step) if first else NoLogs()
        saver = Saver(run.out, run.config.train.keep, saved=(step, standing.book) if step else None)
        tools = Tools(run, self._interruption, logs, saver, Films(), self._command)
        try:
            standing = self._train(tools, standing)
        finally:
            try:
                saver.close()
            finally:
                logs.close()
        step = int(standing.state.step)
        if self._interruption.signal is not None and not self._finished(standing):
            raise RunStopped(
                f"{self._interruption.signal.name}: stopped and saved at step {step} in {run.out}; resume with\n"
                f"  {self._command}",
                self._interruption.exit_code,
            )
        return step

    def _train(self, tools: Tools, standing: Standing) -> Standing:
        """Stage after stage; stops within one where the cap or a signal says so, or the guard raises."""
        while True:
            if not standing.book.ended:
                stage = StageLoop(tools, standing)
                try:
                    standing = stage.train()
                finally:
                    self.compilations[stage.name] = stage.compilations
            if self._finished(standing) or not standing.book.ended or tools.stop_at(int(standing.state.step)):
                return standing
            standing = enter(self._run, standing.index + 1, standing)

    def _finished(self, standing: Standing) -> bool:
        return standing.book.ended and standing.index == self._last
