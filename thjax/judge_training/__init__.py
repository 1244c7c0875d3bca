"""How judges are trained on the embedded corpus and examined on speakers, voices and sentences they never met.

One module a kind (sync, lips, identity, face), each with `Recipe`, `train(recipe, folder, report)` and
`examine(variables, recipe, folder, split)`. The values of the recipes stand in `configs/judges.py`.
"""
