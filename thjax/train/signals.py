"""SIGTERM and Ctrl-C: noted when they come, acted on between two steps."""

import signal

import jax
from jax.experimental import multihost_utils

EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


class Interruption:
    """Notes the first signal; a second one ends the process the ordinary way, at once.

    Use as a context manager, in the main thread.
    """

    def __init__(self):
        self.signal: signal.Signals | None = None
        self._before = {}
        self._asked = -1

    def __enter__(self):
        # With several processes jax agrees on one step for all of them, and needs SIGTERM for itself.
        taken = (signal.SIGINT,) if jax.process_count() > 1 else tuple(EXIT_CODES)
        self._before = {number: signal.signal(number, self._note) for number in taken}
        return self

    def __exit__(self, *_):
        self._restore()

    def _note(self, number, frame):
        self.signal = signal.Signals(number)
        self._restore()

    def _restore(self):
        while self._before:
            signal.signal(*self._before.popitem())

    def pending(self, step: int) -> bool:
        """Whether the run should stop after `step`; the same answer in every process."""
        if jax.process_count() > 1 and step > self._asked:
            self._asked = step
            if multihost_utils.reached_preemption_sync_point(step):
                self.signal = self.signal or signal.SIGTERM
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """143 after SIGTERM, 130 after Ctrl-C."""
        return EXIT_CODES[self.signal]
