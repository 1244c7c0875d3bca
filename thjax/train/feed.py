"""Batches on their way from the loader to the devices."""

import time

from thjax.engine import Batch


class Feed:
    """Places the batches of a loader and measures how long the loop waited for them.

    Args:
        loader: of the stage.
        executor: whose `place_batch` puts rows on the devices.
        stage_step: position to start from.
    """

    def __init__(self, loader, executor, stage_step: int):
        self._batches = loader.iterate(stage_step)
        self._place = executor.place_batch
        self.waited = 0.0

    def next(self) -> Batch:
        """The next batch on the devices. The step before still runs meanwhile."""
        start = time.perf_counter()
        local = next(self._batches)
        self.waited += time.perf_counter() - start
        return self._place(local)

    def close(self) -> None:
        """Ends the loader's threads and processes."""
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()
