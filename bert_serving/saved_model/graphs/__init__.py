"""Serving graphs and the arithmetic of their dense layers."""
