"""The ground every room stands on: shape letters, contexts, random streams, precision, configuration.

Imports jax and `flax.struct` only, knows no network, no mesh and no file.

Shape letters used in every docstring of thjax:

    B  clips (examples) of a batch        T  frames of a window, 25 per second
    H  rows of a frame                    W  columns of a frame
    C  channels                           S  audio samples, 16,000 per second
    L  landmarks (68)                     K  coefficients or categories
"""
