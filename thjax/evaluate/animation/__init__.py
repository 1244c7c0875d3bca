"""Evaluation of mappers: motion against motion, in action units and head pose, without a pixel."""
