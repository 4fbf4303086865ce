"""Requests merged into batches, and the threads that run them."""
