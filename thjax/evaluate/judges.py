"""The judges that an evaluation looks through, and the runs that they must not judge."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from thjax.core.errors import UserError
from thjax.evaluate.public_networks import LABELS, PublicNetworks
from thjax.judges.shipped import KINDS

log = logging.getLogger(__name__)
METRIC_SUFFIX = "_metric"
IDENTITY_CROP, IDENTITY_SIDE = "head", 64
"""What the judge of identity sees of a frame, and its side in pixels; they stand in names of metrics."""
SMALLEST_FRAME = 48
"""Pixels on a side that every judge needs."""


@dataclasses.dataclass(frozen=True)
class Judges:
    """The networks that measure; None leaves a network's metrics out.

    Attributes:
        sync: `embed(frames, landmarks, audio)` -> video and audio, each [N, D].
        lips: `read(frames, landmarks)` -> six words.
        identity: `embed(frames, landmarks)` -> [N, D].
        face: `measure(frames)` -> a track: landmarks [T, 68, 2] px, au [T, 17], pose [T, 6],
            lip_gap [T] in outer-eye distances, found [T].
        public: networks of others that measure beside them.
    """

    sync: Any = None
    lips: Any = None
    identity: Any = None
    face: Any = None
    public: PublicNetworks = PublicNetworks()

    @classmethod
    def load(cls, public: PublicNetworks = PublicNetworks()) -> "Judges":
        """The ones that ship with the package; those that do not are None, with one warning."""
        from thjax.judges import face, identity, lips, sync  # networks are built only where they are used

        modules = {"sync": sync, "lips": lips, "identity": identity, "face": face}
        loaded, missing = {}, []
        for kind, module in modules.items():
            try:
                loaded[kind] = module.Judge.load()
            except UserError as error:
                missing.append(str(error))
        if missing:
            log.warning("%d of %d judges are missing, and so are their metrics: %s", len(missing), len(modules),
                        missing[0])
        return cls(**loaded, public=public)

    @property
    def missing(self) -> list[str]:
        """Kinds that are not there."""
        return [kind for kind in KINDS if getattr(self, kind) is None]

    @property
    def about(self) -> dict[str, str]:
        """What measured, as tables write it down."""
        ours = {kind: self.label(kind) for kind in KINDS if getattr(self, kind) is not None}
        preset = {"sync_preset": self.public.preset} if "syncnet" in self.public.loaded else {}
        return ours | {name: LABELS[name] for name in self.public.loaded} | preset

    def label(self, kind: str) -> str:
        """The part that stands for a judge in names of metrics."""
        return getattr(self, kind).label


def refuse_circular(config: Mapping[str, Any], pretrained: Mapping[str, Any]) -> None:
    """Refuses a run that trained on a judge which would now measure it.

    Args:
        config: of the run, plain values; names under `losses` are looked at.
        pretrained: {net: where its weights came from} of its checkpoint.

    Raises:
        UserError: a `*_metric` judge served as a loss.
    """
    guilty = sorted(name for name in {*_texts(config.get("losses", {})), *_texts(pretrained)} if _is_metric(name))
    if guilty:
        kind = guilty[0].removesuffix(METRIC_SUFFIX)
        raise UserError(f"the run trained on {', '.join(guilty)}, which would now measure it: a circle. Train with "
                        f"{kind}_loss, or measure with --metrics basic, which asks no judge")


def _is_metric(text: str) -> bool:
    return any(text.rsplit("/", 1)[-1].removesuffix(".safetensors") == kind + METRIC_SUFFIX for kind in KINDS)


def _texts(tree: Any) -> set[str]:
    """Every string in nested plain values."""
    if isinstance(tree, str):
        return {tree}
    parts = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return {text for part in parts for text in _texts(part)}
