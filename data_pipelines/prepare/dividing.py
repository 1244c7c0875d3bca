"""Which clips train, validate and test, by the named splits."""

from collections.abc import Sequence

from data_pipelines import named_splits
from data_pipelines.readers.reference import ClipReference

AUTO, ALL = "auto", "train"


def divide(clips: Sequence[ClipReference], split: str, seed: int,
           content: bool = False) -> tuple[dict[str, list[str]], dict[str, str], dict]:
    """Divides clips.

    Args:
        clips: of one corpus.
        split: of `named_splits.NAMED_SPLITS`, or a folder of lists; "train": everything trains; "auto": the corpus's
            default, or "train" where there are fewer speakers than a division takes and the corpus has no lists of its
            own.
        seed: of splits that shuffle.
        content: see `named_splits.divide`.

    Returns:
        split -> keys; key -> why it is left out; and a description for the manifest.

    Raises:
        DataError: the split is unknown, or the clips do not allow it.
    """
    speakers = sorted({clip.speaker for clip in clips})
    if split == AUTO:
        default = named_splits.DEFAULTS[clips[0].key.split("/")[0]]
        split = ALL if default == "speakers_80_10_10" and len(speakers) < len(named_splits.SPLITS) else default
    if split == ALL:
        said = {"name": ALL, "seed": seed, "by": "clip", "says": "Everything trains.", "verified": True,
                   "speakers": {ALL: speakers}, "excluded": {}}
        return {ALL: [clip.key for clip in clips]}, {}, said
    division = named_splits.divide(split, clips, seed, content)
    parts = {side: [] for side in division.speakers}
    for key, side in division.splits.items():
        parts[side].append(key)
    return parts, division.excluded, division.content()
