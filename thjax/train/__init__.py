"""Training: the loop, checkpoints and resuming, validation, logs, the command."""
