"""thjax: audio-driven talking heads in JAX."""

import importlib

__version__ = "0.1.0"


def load(directory, which="best", ema: bool = True):
    """Loads a trained model, compiled and ready to generate.

    Args:
        directory: of a run, as given to `thjax train --out`, or of converted weights.
        which: `best` on validation, `latest`, or a step.
        ema: use the averaged weights, where the run kept them.

    Returns:
        A `thjax.generate.model.Model`: `model.generate(image, audio)`, `model.stream(image)`.

    Raises:
        thjax.core.errors.UserError: there is no such run or checkpoint, or it is broken.
    """
    # By name, not by an import statement: every room may read the version from here without leaning on rooms above it.
    return importlib.import_module("thjax.generate.load").load_model(directory, which, ema)
