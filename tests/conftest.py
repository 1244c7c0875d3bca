"""Settings that every test shares."""

import os

# Tests are small: two threads a process leave room for the other test process.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
