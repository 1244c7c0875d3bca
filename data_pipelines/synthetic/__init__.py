"""The embedded corpus: a procedural talking head with exact labels, speech from espeak-ng, motion that follows it."""
