"""gRPC API of TensorFlow Serving, with health checks and reflection."""
