"""What the public LipNet program says of a clip: crop, network, beam search, spelling."""

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from thjax.pretrained.ctc_beam import beam_search
from thjax.pretrained.lipnet import ALPHABET, BLANK, LipNet
from thjax.pretrained.lipnet_crop import crop_mouths
from thjax.pretrained.spelling import correct, grid_dictionary

BEAM = 200


def read_lips(
    net: LipNet, variables: Mapping[str, Any], frames: np.ndarray, landmarks: np.ndarray,
    dictionary: Mapping[str, float] | None = None,
) -> str:
    """The sentence that a clip seems to say.

    Args:
        net, variables: from `thjax.pretrained.networks.load("lipnet", ...)`.
        frames, landmarks: as in `crop_mouths`.
        dictionary: {word: frequency}; None is that of GRID.

    Raises:
        UserError: as `crop_mouths`.
    """
    mouths = crop_mouths(frames, landmarks)
    return decode(np.asarray(_probabilities(net, variables, mouths[None])[0]), dictionary)


def decode(probabilities: np.ndarray, dictionary: Mapping[str, float] | None = None) -> str:
    """[T, 28] probabilities -> a sentence of the dictionary (None: GRID's).

    The public program merges repeated letters of the best sequence, a default of the TensorFlow of its time that turns
    "three" into "thre", and leaves it to the dictionary to restore them.
    """
    labels = beam_search(probabilities, BLANK, BEAM)[0][0]
    text = "".join(ALPHABET[label] for label, _ in itertools.groupby(labels))
    return correct(text, grid_dictionary() if dictionary is None else dictionary)


@functools.partial(jax.jit, static_argnums=0)
def _probabilities(net, variables, x):
    return net.apply(variables, x)
