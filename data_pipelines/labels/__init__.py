"""Labels from face trackers: `thjax label`. A tracker is imported in an environment of its own and nowhere else."""
