"""Batching: queues of requests, merged batches, and the threads that run them."""
