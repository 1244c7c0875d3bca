"""Judges: small networks trained by us on the embedded corpus, so that lips, words and faces are measured without a
download. Each exists twice, `*_loss` and `*_metric`, from different seeds, speakers and widths.

Here are the networks and what they do with a video. How they are trained stands in `thjax.judge_training`.
"""
