"""Inference on a loaded version: checks a request, runs it and makes its answer."""
