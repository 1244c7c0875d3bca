"""Checkpoints on disk: what is in one, whether it is whole, and how a trained run is loaded. Training writes them."""

from thjax.checkpoint.load import LoadedRun, load_run

__all__ = ["LoadedRun", "load_run"]
