"""Worker processes live no longer than the process that started them."""

import os
import signal
import threading
import time

POLL_SECONDS = 1.0


def belong_to(parent: int) -> None:
    """Called in a worker: Ctrl-C, which reaches the whole group, is left to the parent, and once the parent is gone the
    worker ends, within a second. A killed parent leaves nobody behind.

    Args:
        parent: its process number.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)
