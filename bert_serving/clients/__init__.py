"""gRPC and REST clients of a model server."""
