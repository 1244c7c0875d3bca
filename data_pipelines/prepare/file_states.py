"""What the files of clips look like from outside: a mended film or a changed label makes its shard anew."""

import concurrent.futures
import hashlib
import os
from collections.abc import Mapping, Sequence

from data_pipelines.prepare.labels import SUFFIXES
from data_pipelines.readers.reference import ClipReference

ASKED_AT_ONCE = 256
"""Clips whose files a thread looks up in one go; threads wait for the disk, not for each other."""

Found = Mapping[str, tuple[ClipReference, bytes]]
"""Clips by key, each with a hash of what is known of it."""


def with_states(found: Found, labels: str, workers: int) -> Found:
    """The same clips, their hashes with the sizes and times of their files.

    Args:
        found: clips.
        labels: folder of the labels, "" for none.
        workers: threads.
    """
    def look(clips: Sequence[tuple[ClipReference, bytes]]) -> list[tuple[ClipReference, bytes]]:
        states = [[_state(path) for path in _files_of(clip, labels)] for clip, _ in clips]
        return [(clip, hashlib.sha256(told + repr(state).encode()).digest()[:8])
                for (clip, told), state in zip(clips, states, strict=True)]

    clips = list(found.values())
    parts = [clips[start : start + ASKED_AT_ONCE] for start in range(0, len(clips), ASKED_AT_ONCE)]
    with concurrent.futures.ThreadPoolExecutor(max(workers, 1)) as pool:
        return {clip.key: (clip, told) for part in pool.map(look, parts) for clip, told in part}


def _files_of(reference: ClipReference, labels: str) -> list[str]:
    """Everything on disk that a clip is made of."""
    media = [reference.video.path, *([reference.audio.path] if reference.audio else [])]
    return media + [f"{labels}/{reference.key}{suffix}" for suffix in SUFFIXES if labels]


def _state(path: str) -> tuple[int, int] | None:
    """Bytes of a file and when it was written: a mended one has others."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
