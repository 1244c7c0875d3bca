"""Timings beside peers and roofs, and learning results beside controls. One command each; results are committed."""
