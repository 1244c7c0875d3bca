"""Names of the head's expression coefficients and the rules that turn them into action-unit labels.

An expression is `[T, E]` with `E = len(EXPRESSION_NAMES) = 20`, each value 0 (rest) to 1 (as far as the head goes). The
first 17 are OpenFace's action units; the last three are lip shapes that speech needs and OpenFace does not name.
The lips part by `AU25` (lips part), `AU26` (jaw drop) and `funnel` alone: with those three at zero they are closed,
whatever the others do. `press` pulls the lips together, so it also closes a jaw that is slightly open.
"""

import numpy as np

from data_pipelines import schema

LIP_EXTRAS = ("pucker", "press", "funnel")
"""`pucker`: lips narrowed and pushed forward (AU18). `press`: lips rolled in and pressed together (AU28 with AU24, the
closure of p, b, m). `funnel`: lips pushed forward and rounded open (AU22)."""
EXPRESSION_NAMES = schema.AU_INTENSITY + LIP_EXTRAS
EXPRESSION_INDEX = {name: index for index, name in enumerate(EXPRESSION_NAMES)}
"""Column of each name, for example `expression[:, EXPRESSION_INDEX["AU26"]]`."""
LIP_OPENING_NAMES = ("AU25", "AU26", "funnel")
"""The only coefficients that part the lips."""

AU_SCALE = 5.0
"""An action unit's label is this times its coefficient: exact in the head's own definition, not calibrated to FACS."""
PRESENCE_THRESHOLD = 1.0
"""An action unit is present from this intensity on (of 5), FACS's grade A."""
BLINK_THRESHOLD = 0.5
"""`blink` is 1 while the coefficient AU45 is above this: the lids are more than half closed."""


def action_units(expression: np.ndarray) -> np.ndarray:
    """Intensities 0 to 5 in the order of `schema.AU_INTENSITY`: `[T, 20]` -> float32 `[T, 17]`."""
    return (AU_SCALE * expression[:, : len(schema.AU_INTENSITY)]).astype(np.float32)


def action_unit_presence(expression: np.ndarray) -> np.ndarray:
    """Presences 0 or 1, order `schema.AU_PRESENCE`; AU28 (lip suck) is `press`: `[T, 20]` -> uint8 `[T, 18]`."""
    columns = ["press" if name == "AU28" else name for name in schema.AU_PRESENCE]
    intensity = AU_SCALE * expression[:, [EXPRESSION_INDEX[name] for name in columns]]
    return (intensity >= PRESENCE_THRESHOLD).astype(np.uint8)


def blink_state(expression: np.ndarray) -> np.ndarray:
    """1 while the lids are more than half closed: `[T, 20]` -> uint8 `[T]`."""
    return (expression[:, EXPRESSION_INDEX["AU45"]] > BLINK_THRESHOLD).astype(np.uint8)
