"""Every metric of a made clip against its truth, one module for each thing that is looked at."""

from thjax.evaluate.measures.clip import BASIC, measure_basic, measure_clip
from thjax.evaluate.measures.sheet import Measurement

__all__ = ["BASIC", "Measurement", "measure_basic", "measure_clip"]
