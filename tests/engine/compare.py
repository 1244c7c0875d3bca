"""DESIGN's one rule for numerical equality, for pytrees."""

import jax
import numpy as np


def leaves(tree):
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(jax.random.key_data(x) if is_key(x) else x) for path, x in flat}


def is_key(x) -> bool:
    return jax.dtypes.issubdtype(getattr(x, "dtype", np.float32), jax.dtypes.prng_key)


def assert_same_bits(a, b):
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    different = [name for name in a if a[name].dtype != b[name].dtype or a[name].tobytes() != b[name].tobytes()]
    assert not different, different


def assert_float64_close(a, b):
    """|a - b| <= 1e-10 * max(1, max|b|), every floating array being float64."""
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].shape == b[name].shape and np.isfinite(b[name]).all(), name
        largest = np.max(np.abs(b[name]), initial=0)
        error = np.max(np.abs(a[name].astype(np.float64) - b[name]), initial=0)
        assert error <= 1e-10 * max(1, largest), (name, error, largest)


def assert_float32_close(a, b):
    """|a - b| <= 1e-3 * max|b| + 1e-6 * the largest of all tensors."""
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    overall = max(float(np.max(np.abs(x), initial=0)) for x in b.values())
    for name in a:
        assert np.isfinite(b[name]).all(), name
        largest = float(np.max(np.abs(b[name]), initial=0))
        error = float(np.max(np.abs(a[name].astype(np.float64) - b[name]), initial=0))
        assert error <= 1e-3 * largest + 1e-6 * overall, (name, error, largest, overall)
