"""Frozen features of an encoder, their map in two dimensions, and its page."""
