"""A decoder that does what decoders may do."""

import os
import signal
import time

from data_pipelines.prepare.clip import Settings, make_clip


def hang_or_die(reference):
    """Hangs, dies, errs, or makes a clip, as the key asks."""
    if reference.key.endswith("hangs"):
        time.sleep(600)
    if reference.key.endswith("dies"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if reference.key.endswith("errs"):
        raise ZeroDivisionError("nobody foresaw this")
    return {"key": reference.key, "process": os.getpid()}


def hang_die_or_film(reference, settings: Settings):
    """The clip, but of one speaker's second film, which hangs, and another's third, which kills the process."""
    if reference.key.endswith("a/c1"):
        time.sleep(600)
    if reference.key.endswith("d/c2"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return make_clip(reference, settings)
