"""gRPC health checks that follow the state of the models."""

import asyncio

from grpc_health.v1 import health, health_pb2

from bert_serving.model_server.models.store import ModelStore

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

# TensorFlow Serving reports its services by their bare names.
SERVICES = (
    "",
    "PredictionService",
    "ModelService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class Health:
    """Health of the services, which serve when all models answer, and of every model, by its name.

    Attributes:
        servicer: servicer for a gRPC server.
    """

    def __init__(self, store: ModelStore, loop: asyncio.AbstractEventLoop):
        """Updates the health on `loop` whenever the state of a version changes."""
        self.servicer = health.aio.HealthServicer()
        self._store = store
        self._loop = loop
        self._models: set[str] = set()
        self._updating = asyncio.Lock()
        store.listen(self._changed)

    async def update(self) -> None:
        """Sets the health from the present state of the models."""
        async with self._updating:
            ready = _SERVING if self._store.ready else _NOT_SERVING
            for service in SERVICES:
                await self.servicer.set(service, ready)
            models = set(self._store.names())
            for name in models | self._models:
                await self.servicer.set(name, _SERVING if self._store.answers(name) else _NOT_SERVING)
            self._models = models

    async def stop(self) -> None:
        """Reports NOT_SERVING from now on, so that load balancers send no further requests."""
        await self.servicer.enter_graceful_shutdown()

    def _changed(self) -> None:
        # Called on the threads that load and unload versions.
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self.update(), self._loop)
