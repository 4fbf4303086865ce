"""Explanation of one prediction by integrated gradients, and its page."""
