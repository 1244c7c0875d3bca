"""Layers and networks named by what they are. A docstring may cite the paper that introduced one; no code depends on it."""
