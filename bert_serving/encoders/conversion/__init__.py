"""Checkpoints of other projects to encoder folders in TensorFlow Hub's format."""
