"""Losses: pure functions of arrays and a context. They reduce by `ctx.mean` alone, so every executor agrees on them."""
