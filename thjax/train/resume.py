"""What may change when a run is resumed: keys of speed and reporting freely, all others only on demand."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from thjax.checkpoint.config_io import flatten
from thjax.checkpoint.store import Record
from thjax.core.config import FREE_ON_RESUME
from thjax.core.errors import UserError

log = logging.getLogger(__name__)


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{dotted key: (old, new)} of the keys that differ and are not free."""
    old, new = flatten(old), flatten(new)
    missing = "(absent)"
    return {
        key: (old.get(key, missing), new.get(key, missing))
        for key in sorted(old.keys() | new.keys())
        if key not in FREE_ON_RESUME and old.get(key, missing) != new.get(key, missing)
    }


def check(record: Record, config: Mapping[str, Any], manifest_hash: str, batch: int, accept_changes: bool) -> bool:
    """Compares the run that a checkpoint is from with the run that is asked for.

    Args:
        record: of the checkpoint.
        config: plain values of the config asked for.
        manifest_hash: of the corpus asked for.
        batch: examples per step of the checkpoint's stage.
        accept_changes: the user said so.

    Returns:
        Whether something differs that decides about the weights.

    Raises:
        UserError: a key that decides about the weights differs, or the data position contradicts the step.
    """
    changed = changed_keys(record.config, config)
    if record.manifest_hash != manifest_hash:
        changed["the corpus (hash of its manifest)"] = (record.manifest_hash[:12], manifest_hash[:12])
    lines = "\n".join(f"  {key}: {old} -> {new}" for key, (old, new) in changed.items())
    if changed and not accept_changes:
        raise UserError(
            f"this run was started with other values:\n{lines}\nGive the old values, another --out, or "
            "--accept_changes to go on with the new ones"
        )
    if changed:
        log.warning("going on with changed values, as --accept_changes says:\n%s", lines)
    elif record.position != record.stage_step * batch:
        raise UserError(
            f"the checkpoint of step {record.step} has consumed {record.position} examples, but {record.stage_step} "
            f"steps of {batch} are {record.stage_step * batch}; delete that checkpoint to resume from the one before"
        )
    if record.usable_cores != usable_cores():
        log.warning(
            "this run used %d CPU cores and now has %d: it continues, but on CPU not bit for bit",
            record.usable_cores,
            usable_cores(),
        )
    return bool(changed)
