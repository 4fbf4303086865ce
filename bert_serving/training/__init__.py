"""Fine-tuning of a classifier: optimizer, distribution strategy, training loop, checkpoints, run folder."""
