"""Metrics: definitions with units, range and direction. A metric takes arrays and knows no model and no file.

`catalogue` lists them all. A value of a clip is a float; what is pooled over clips is a sum that `+` merges.
"""
