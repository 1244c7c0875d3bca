"""The sheet on which the measurements of one made clip are written down."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from thjax.metrics.merging import Ratio


class FeatureSource(NamedTuple):
    """Where features come from, as it stands in names of metrics: network, crop, and the crop's side in pixels."""

    network: str
    crop: str
    size: int


@dataclasses.dataclass
class Measurement:
    """What was measured of one made clip.

    Attributes:
        values: {metric: Ratio}; the metric of many clips is the sum over the sum. A plain value stands over 1.
        left_out: {metric: why it has no value}.
        features: {source: [T, D]} for distances between distributions.
    """

    values: dict[str, Ratio] = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    features: dict[FeatureSource, np.ndarray] = dataclasses.field(default_factory=dict)

    def add(self, name: str, value: float | Ratio, without: str = "it has no value") -> None:
        """Writes a value down; one that is not finite, or a ratio over nothing, is left out for the reason given."""
        ratio = value if isinstance(value, Ratio) else Ratio(float(value), 1.0)
        if ratio.below > 0 and math.isfinite(ratio.above):
            self.values[name] = ratio
        else:
            self.left_out[name] = without

    def leave_out(self, reason: str, *names: str) -> None:
        """Says why metrics have no value."""
        self.left_out |= dict.fromkeys(names, reason)


def mean_of(takes: list[Measurement]) -> Measurement:
    """The mean over takes of one clip: ratios are added and brought back to the weight of one take.

    A metric counts where every take has it; the features are those of the first take.
    """
    if len(takes) == 1:
        return takes[0]
    shared = [name for name in takes[0].values if all(name in take.values for take in takes)]
    scale = 1 / len(takes)
    values = {}
    for name in shared:
        parts = [take.values[name] for take in takes]
        if all(part.below == 1 for part in parts):
            values[name] = Ratio(float(np.mean([part.above for part in parts])), 1.0)
        else:
            values[name] = Ratio(scale * sum(part.above for part in parts), scale * sum(part.below for part in parts))
    left_out = {name: reason for take in takes for name, reason in take.left_out.items()}
    return Measurement(values, left_out, takes[0].features)
