"""Ways to fine-tune that a run file switches on: learning rates by layer, new weights for the last layers."""
