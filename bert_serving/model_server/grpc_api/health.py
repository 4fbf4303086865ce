"""gRPC's health protocol, tied to the state of the models."""

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
    """Keeps a health servicer up to date: a model by its name, the services when all models answer.

    Attributes:
        servicer: what a gRPC server registers.
    """

    def __init__(self, store: ModelStore, loop: asyncio.AbstractEventLoop):
        self.servicer = health.aio.HealthServicer()
        self._store = store
        self._loop = loop
        self._models: set[str] = set()
        self._updating = asyncio.Lock()
        store.listen(self._changed)

    async def update(self) -> None:
        """Looks at the models now."""
        async with self._updating:
            ready = _SERVING if self._store.ready else _NOT_SERVING
            for service in SERVICES:
                await self.servicer.set(service, ready)
            models = set(self._store.names())
            for name in models | self._models:
                await self.servicer.set(name, _SERVING if self._store.answers(name) else _NOT_SERVING)
            self._models = models

    async def stop(self) -> None:
        """Says NOT_SERVING for good, so that nobody sends further requests."""
        await self.servicer.enter_graceful_shutdown()

    def _changed(self) -> None:
        # Called on the threads that load models.
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self.update(), self._loop)
