"""`thjax train SYSTEM:VARIANT --data DIR --out DIR [--key value ...]`."""

import contextlib
import fcntl
import logging
import shlex
from pathlib import Path

from thjax.core.errors import UserError
from thjax.train import config_cli


def run(argv: list[str]) -> int:
    """Trains, resumes, or describes a run; see `thjax train --help`.

    Returns:
        0: the run is finished, or has reached `train.steps`.

    Raises:
        UserError: wrong use; DataError: the corpus cannot be used.
        RunStopped: a signal (exit code 143 or 130) or the guard (1); the state is saved.
    """
    if argv in (["-h"], ["--help"]):
        print(config_cli.USAGE)
        return 0
    request = config_cli.parse(argv)
    # Orbax tells us of its failures by raising; what it logs beside that is for its own authors.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    return _describe(request) if request.dry_run else _train(request)


# jax and the corpus are imported only below, so that a misspelt key is answered at once.


def _describe(request: config_cli.Request) -> int:
    from thjax.train.dry_run import describe
    from thjax.train.run import assemble

    for line in describe(assemble(request.config, request.data, request.out)):
        print(line, flush=True)
    return 0


def _train(request: config_cli.Request) -> int:
    """Trains a run to its end, see `thjax.train.loop.Loop`. A signal counts from here on: putting a run together
    takes seconds."""
    from thjax.train.memory import keep_freed_memory
    from thjax.train.signals import Interruption

    keep_freed_memory()
    with Interruption() as interruption:
        from thjax.train.loop import Loop
        from thjax.train.run import assemble

        assembled = assemble(request.config, request.data, request.out)
        with _alone(assembled.out):
            step = Loop(assembled, interruption, _resume_command(request.argv)).train(request.accept_changes)
    print(f"finished at step {step}: {assembled.out}")
    return 0


def _resume_command(argv: tuple[str, ...]) -> str:
    return "thjax train " + shlex.join(argument for argument in argv if argument != "--accept_changes")


@contextlib.contextmanager
def _alone(out: Path):
    """Makes and holds the run's directory: two processes that train in one would spoil each other's checkpoints."""
    import jax

    from thjax.train.run import make_directory

    if jax.process_index() != 0:
        yield
        return
    make_directory(out)
    with open(out / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process trains in {out}; wait for it, or choose another --out") from None
        yield
