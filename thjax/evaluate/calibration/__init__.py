"""Calibration of metrics: planted faults of known size, and the matrix of what each metric must make of each."""
