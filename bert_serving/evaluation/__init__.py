"""Metrics, baselines and pictures."""
