"""A decoder that does what decoders may do."""

import os
import signal
import time


def hang_or_die(reference):
    """Hangs, dies, errs, or makes a clip, as the key asks."""
    if reference.key.endswith("hangs"):
        time.sleep(600)
    if reference.key.endswith("dies"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if reference.key.endswith("errs"):
        raise ZeroDivisionError("nobody foresaw this")
    return {"key": reference.key, "process": os.getpid()}
