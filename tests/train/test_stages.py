"""Epochs and patience in steps."""

import dataclasses

from thjax.core.data_spec import DataSpec
from thjax.engine import Patience, Stage, Until
from thjax.train.stages import resolve, to_dict

STAGE = Stage("s", DataSpec(), (), Until(steps=1), {})


def test_whichever_limit_comes_first():
    for until, steps, patience in [
        (Until(steps=100), 100, None),
        (Until(epochs=2.5), 18, None),
        (Until(steps=10, epochs=2), 10, None),
        (Until(steps=100, epochs=2, patience=Patience("l1", 1.5)), 14, 11),
    ]:
        resolved = resolve(dataclasses.replace(STAGE, until=until), batches_per_epoch=7)
        assert (resolved.steps, resolved.patience_steps) == (steps, patience)
    assert to_dict((resolved,)) == {"s": {"batches_per_epoch": 7, "steps": 14, "patience_steps": 11}}
