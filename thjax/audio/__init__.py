"""Audio features in jax.numpy, computed on the device inside the step."""
