"""Inference on a loaded version, whatever the protocol: checks a request, runs it and makes its answer."""
