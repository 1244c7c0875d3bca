"""A process that makes clips, one at a time, so that a decoder that hangs or dies costs one clip."""

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import ClipReference
from data_pipelines.schema import DataError

Make = Callable[[ClipReference], dict]
START_SECONDS = 600
TRIES = 2  # a process may die of something else than its clip, such as a machine short of memory


def bad_clip_of(make: Make, reference: ClipReference) -> dict | BadClip:
    """A clip, or why there is none. Nothing that a clip does wrong passes."""
    try:
        return make(reference)
    except BadClip as bad:
        return bad
    except MemoryError:
        return BadClip("failed", f"{reference.video}: does not fit into memory")
    except Exception as error:  # a clip that breaks the program must not end a run of weeks
        return BadClip("failed", f"{reference.video}: {type(error).__name__}: {error}")


class ClipProcess:
    """Makes clips in a process of its own, started when first needed and again when it had to be given up.

    Args:
        make: reference -> clip; sent to the process, so a function of a module.
        timeout: seconds that a clip may take.
    """

    def __init__(self, make: Make, timeout: float):
        self._make, self._timeout = make, timeout
        self._process, self._pipe = None, None

    def __call__(self, reference: ClipReference) -> dict | BadClip:
        """A clip, or why there is none."""
        for _ in range(TRIES):
            try:
                self._start()
                self._pipe.send(reference)
                if not self._pipe.poll(self._timeout):
                    self.close()
                    return BadClip("decode_hung", f"{reference.video}: not done after {self._timeout:g} s; raise "
                                                  "--timeout if the machine is slow")
                return self._pipe.recv()
            except (EOFError, OSError):
                code = self._end()
        return BadClip("decode_crashed", f"{reference.video}: its process ended with status {code}, {TRIES} times")

    def close(self) -> None:
        """Ends the process."""
        self._end()

    def _start(self) -> None:
        if self._process is not None:
            return
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._make), daemon=True)
        self._process.start()
        other.close()
        if not self._pipe.poll(START_SECONDS):
            self._end()
            raise DataError(f"a process that makes clips did not start within {START_SECONDS} s; the machine is too "
                            "busy: use fewer --workers")
        self._pipe.recv()  # it is ready: how long a start takes is no part of any clip

    def _end(self) -> int | None:
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is None:
            return None
        pipe.close()
        process.join(0.5)
        process.kill()
        process.join()
        return process.exitcode


class Makers:
    """Processes that make clips, lent to threads. A context manager that ends them.

    Args:
        make: reference -> clip.
        isolated: False makes clips in the thread that asks, where a decoder that dies ends the run.
        timeout: seconds that a clip may take.
    """

    def __init__(self, make: Make, isolated: bool, timeout: float):
        self._make, self._isolated, self._timeout = make, isolated, timeout
        self._lock, self._free, self._all = threading.Lock(), [], []

    def __call__(self, reference: ClipReference) -> dict | BadClip:
        """A clip, or why there is none; from any thread."""
        if not self._isolated:
            return bad_clip_of(self._make, reference)
        with self._lock:
            if not self._free:
                self._free.append(ClipProcess(self._make, self._timeout))
                self._all += self._free
            process = self._free.pop()
        try:
            return process(reference)
        finally:
            with self._lock:
                self._free.append(process)

    def __enter__(self) -> "Makers":
        return self

    def __exit__(self, *exception) -> None:
        for process in self._all:
            process.close()


def _serve(pipe: Connection, make: Make) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        pipe.send("ready")
        while True:
            pipe.send(bad_clip_of(make, pipe.recv()))
