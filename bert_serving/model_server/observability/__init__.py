"""Metrics and logs of a model server."""
