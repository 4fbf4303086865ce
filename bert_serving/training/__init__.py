"""Fine-tuning: optimizer, strategy, loop, checkpoints, run folder."""
