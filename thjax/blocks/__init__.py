"""Layers and networks named by what they are. A docstring may cite a paper, no code depends on one."""
