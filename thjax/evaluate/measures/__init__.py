"""Every metric of a made clip against its truth, one module for each thing that is looked at."""

from thjax.evaluate.measures.clip import BASIC, features_of, measure_basic, measure_clip
from thjax.evaluate.measures.sheet import FeatureSource, Measurement

__all__ = ["BASIC", "FeatureSource", "Measurement", "features_of", "measure_basic", "measure_clip"]
