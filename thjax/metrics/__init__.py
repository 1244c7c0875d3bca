"""Metrics: definitions with units, range and direction. A metric takes arrays and knows no model and no file."""
