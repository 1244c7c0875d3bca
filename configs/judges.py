"""Judges: the networks that measure lips, words, identity and faces, trained by us on the embedded corpus.

    make judges                                # all of them, and their examination on the test split
    thjax judges train sync_metric --out DIR   # one

`*_loss` may train systems, `*_metric` only measures: other seeds, hence other people, voices and sentences, and other
widths. Figures of the shipped ones: benchmarks/learning/judges.json.
"""

from collections.abc import Callable

from thjax.judge_training import face, identity, lips, sync
from thjax.judges.face import Config as FaceConfig
from thjax.judges.identity import Config as IdentityConfig
from thjax.judges.lips import Config as LipsConfig
from thjax.judges.sync import Config as SyncConfig

RECIPES: dict[str, Callable] = {}
"""{name: function that makes its recipe}, `KIND_loss` and `KIND_metric`."""


def recipe(make: Callable) -> Callable:
    """Registers a recipe under its function's name."""
    RECIPES[make.__name__] = make
    return make


def get_config(name: str):
    """The recipe of a judge.

    Raises:
        ValueError: unknown name.
    """
    if name not in RECIPES:
        raise ValueError(f"judge {name!r} is unknown; there are {', '.join(RECIPES)}")
    return RECIPES[name]()


@recipe
def face_loss() -> face.Recipe:
    """Narrower, other people and voices; all landmarks of few of them."""
    network = FaceConfig(face=(16, 32, 64, 96), mouth=(32, 64, 112))
    return face.Recipe(network=network, seed=1, pointed=0.04, steps=3200)


@recipe
def face_metric() -> face.Recipe:
    """Landmarks, action units, pose and blinks, for measuring alone."""
    return face.Recipe(seed=2)


@recipe
def identity_loss() -> identity.Recipe:
    """Narrower, other people."""
    return identity.Recipe(network=IdentityConfig(channels=(24, 48, 96, 128), code=96), seed=1)


@recipe
def identity_metric() -> identity.Recipe:
    """Whose face is this, for measuring alone."""
    return identity.Recipe(seed=2)


@recipe
def lips_loss() -> lips.Recipe:
    """Narrower, other people and sentences."""
    network = LipsConfig(front=(24, 40, 80), hidden=96, width=80)
    return lips.Recipe(network=network, seed=1, front_steps=2000)


@recipe
def lips_metric() -> lips.Recipe:
    """Which command do the lips say, for measuring alone."""
    return lips.Recipe(seed=2)


@recipe
def sync_loss() -> sync.Recipe:
    """A third narrower, other people and voices."""
    return sync.Recipe(network=SyncConfig(video_widths=(16, 32, 64), audio_widths=(16, 32), audio_hidden=160), seed=1)


@recipe
def sync_metric() -> sync.Recipe:
    """Do lips and sound belong together, for measuring alone."""
    return sync.Recipe(seed=2)
