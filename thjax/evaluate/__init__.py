"""Corpus-wide tables: a run's videos beside the controls that say what a figure is worth."""
