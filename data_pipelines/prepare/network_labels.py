"""Labels that other networks than the tracker made of a clip: coefficients of a face model, and who it is.

In a clip's npz file, beside what data_pipelines/prepare/labels.py asks for:
    coefficients         float32 [M, K] of a morphable face model at `times`, stored as they are, whatever the crop
    coefficient_names    K names, such as `schema.FACE_MODEL`
    coefficients_source  str: network and weights, such as "Deep3DFaceRecon_pytorch epoch_20"
    identity             float32 [512], an embedding of the clip's person, stored with length 1
    identity_source      str: network and weights, such as "arcface_r100"
"""

import dataclasses
from pathlib import Path

import numpy as np

from data_pipelines import schema
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.shard_content import SEVERAL

_BESIDE = {"coefficients": ("coefficient_names", "coefficients_source"), "identity": ("identity_source",)}


@dataclasses.dataclass(frozen=True)
class NetworkLabels:
    """What an npz file holds of them.

    Attributes:
        values: perhaps `coefficients`, float32 `[M, K]`.
        sources: field to the network that made it.
        coefficient_names: K names, None without coefficients.
        identity: float32 `[512]` of length 1, None if there is none.
    """

    values: dict[str, np.ndarray]
    sources: dict[str, str]
    coefficient_names: list[str] | None
    identity: np.ndarray | None


def read(path: Path, content: dict[str, np.ndarray], found: np.ndarray) -> NetworkLabels:
    """Checks what is there.

    Args:
        path: of the npz file, for messages.
        content: of the file.
        found: bool `[M]`, where a face was found.

    Raises:
        BadClip: `label_mismatch`: something does not say where it comes from, or has not the form above.
    """
    sources = {name: _source(path, content, name) for name in _BESIDE if name in content}
    values, names, identity = {}, None, None
    if "coefficients" in content:
        names = [str(name) for name in np.atleast_1d(content["coefficient_names"])]
        values["coefficients"] = _coefficients(path, content["coefficients"], names, found)
    if "identity" in content:
        identity = _unit(path, content["identity"])
    return NetworkLabels(values, sources, names, identity)


def _source(path: Path, content: dict[str, np.ndarray], name: str) -> str:
    if missing := [entry for entry in _BESIDE[name] if entry not in content]:
        raise BadClip("label_mismatch", f"{path}: {name} must have {', '.join(missing)} beside it")
    source = str(content[f"{name}_source"]).strip()
    if not source or SEVERAL.strip() in source:
        raise BadClip("label_mismatch", f"{path}: {name}_source is {source!r}, must be a network and its weights, "
                                        "without a comma")
    return source


def _coefficients(path: Path, values: np.ndarray, names: list[str], found: np.ndarray) -> np.ndarray:
    wanted = (len(found), len(names))
    if values.shape != wanted or values.dtype.kind not in "fiu":
        raise BadClip("label_mismatch", f"{path}: coefficients are {values.dtype} {values.shape}; {wanted[0]} times "
                                        f"and {wanted[1]} names need numbers {wanted}")
    if len(set(names)) < len(names):
        raise BadClip("label_mismatch", f"{path}: two of the {len(names)} coefficient_names are equal")
    bad = found & ~np.isfinite(values).all(1)
    if bad.any():
        raise BadClip("label_mismatch", f"{path}: coefficients at time {int(bad.argmax())} are not finite; run the "
                                        "network again, or set face_ok to 0 there")
    return np.where(found[:, None], values, 0).astype(np.float32)


def _unit(path: Path, values: np.ndarray) -> np.ndarray:
    """An embedding with length 1."""
    wanted = (schema.IDENTITY_SIZE,)
    length = np.linalg.norm(values) if values.shape == wanted and values.dtype.kind in "fiu" else np.nan
    if not np.isfinite(length) or length == 0:
        raise BadClip("label_mismatch", f"{path}: identity is {values.dtype} {values.shape} of length {length:g}; must "
                                        f"be {wanted} finite numbers that are not all 0, of the whole clip")
    return (values / length).astype(np.float32)
