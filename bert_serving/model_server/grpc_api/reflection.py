"""gRPC server reflection, from which clients such as grpcurl read the services."""

import contextlib
import importlib

import grpc
from grpc_reflection.v1alpha import reflection

SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "grpc.health.v1.Health")

_MODULES = ("tensorflow_serving.apis.prediction_service_pb2", "tensorflow_serving.apis.model_service_pb2")


def add_reflection(server: grpc.aio.Server) -> None:
    """Adds reflection of the services of a model server."""
    for module in _MODULES:
        # Old generated code: it registers its descriptors, and then fails on the present protobuf.
        with contextlib.suppress(AttributeError):
            importlib.import_module(module)
    reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME), server)
