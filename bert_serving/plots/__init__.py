"""Plots of data, training and results, as PNG files."""
