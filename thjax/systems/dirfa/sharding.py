"""Names of the axes of the mapper's parameters, by which `thjax.parallel.sharding` cuts them."""

AXES = {
    "(history_in|audio_in)/kernel": (None, "embed"),
    "(history_out|audio_out)/kernel": (None, "embed"),
    r"blocks_\d+/attention/qkv/kernel": ("embed", "heads"),
    r"blocks_\d+/attention/out/kernel": ("heads", "embed"),
    r"blocks_\d+/widen/kernel": ("embed", "mlp"),
    r"blocks_\d+/narrow/kernel": ("mlp", "embed"),
    "say/kernel": ("embed", "categories"),
}
"""{end of a parameter's path: a name for each of its axes}. Biases, norms and the table of categories are small and
whole everywhere."""
