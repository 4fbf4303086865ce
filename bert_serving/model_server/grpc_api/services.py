"""PredictionService and ModelService of TensorFlow Serving."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import (
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from bert_serving.errors import Cancelled, DeadlineExceeded, RequestError
from bert_serving.model_server.grpc_api.handlers import TolerantRegistry
from bert_serving.model_server.inference.examples import (
    multi_inference_spec,
    prepare_classify,
    prepare_multi_inference,
    prepare_regress,
)
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.metadata import check_metadata_request, model_metadata
from bert_serving.model_server.inference.predict import prepare_predict
from bert_serving.model_server.inference.status_code import status_of
from bert_serving.model_server.inference.tensors import declared_bytes
from bert_serving.model_server.models.reload import reload_config
from bert_serving.model_server.models.status import model_status
from bert_serving.model_server.models.store import ModelStore
from bert_serving.model_server.observability.events import RequestEvent, now
from bert_serving.model_server.requests import RequestHandler
from bert_serving.model_server.thread_pool import Workers

T = TypeVar("T")

# grpc_status_util.cc of TensorFlow Serving; longer texts do not fit into HTTP/2 headers everywhere.
_LONGEST_MESSAGE = 1024


# A request up to this size is decoded on the event loop, where it costs less than the way to a thread.
_SMALL = 1 << 17
_DEADLINE_SLACK = 0.02


class _Service:
    def __init__(self, store: ModelStore, workers: Workers):
        self._store = store
        self._workers = workers

    async def _answer(self, context: grpc.aio.ServicerContext, work: Callable[[Any], Any], request: Any) -> Any:
        try:
            return work(request)
        except Exception as error:
            status = status_of(error)
        return await context.abort(grpc.StatusCode[status.code], _cut(status.message))


class PredictionService(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Inference."""

    def __init__(self, store: ModelStore, workers: Workers, handler: RequestHandler, *, tensor_content: bool = False):
        super().__init__(store, workers)
        self._handler = handler
        self._tensor_content = tensor_content

    async def Predict(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        return await self._infer(context, "Predict", self._predict, request)

    async def Classify(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        return await self._infer(context, "Classify", self._classify, request)

    async def Regress(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        return await self._infer(context, "Regress", self._regress, request)

    async def MultiInference(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        name = request.tasks[0].model_spec.name if request.tasks else ""
        call = self._handler.start("GRPC", "MultiInference", name, context.peer())
        return await self._answered(context, call, self._run_tasks(call, request))

    async def GetModelMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        return await self._answer(context, self._metadata, request)

    async def _infer(
        self,
        context: grpc.aio.ServicerContext,
        method: str,
        prepare: Callable[[Any], Inference[Any]],
        request: Any,
    ) -> Any:
        call = self._handler.start("GRPC", method, request.model_spec.name, context.peer())
        return await self._answered(context, call, self._run(call, prepare, request))

    async def _answered(self, context: grpc.aio.ServicerContext, call: RequestEvent, work: Awaitable[Any]) -> Any:
        try:
            response = await work
            self._handler.finish(call, response)
            return response
        except asyncio.CancelledError:
            self._handler.fail(call, _ending(call, context))
            raise
        except Exception as error:
            status = self._handler.fail(call, error)
        return await context.abort(grpc.StatusCode[status.code], _cut(status.message))

    async def _run(self, call: RequestEvent, prepare: Callable[[Any], Inference[Any]], request: Any) -> Any:
        return await self._handler.run(call, await self._prepared(prepare, request))

    async def _run_tasks(self, call: RequestEvent, request: Any) -> inference_pb2.MultiInferenceResponse:
        inferences = await self._prepared(self._multi_inference, request)
        results = await asyncio.gather(*(self._handler.run(call, each) for each in inferences))
        call.request = request
        return inference_pb2.MultiInferenceResponse(results=results)

    async def _prepared(self, prepare: Callable[[Any], T], request: Any) -> T:
        declared = _declared(request)
        self._handler.limits.check_declared(declared)
        unpacked = sum(size for _, size in declared.values())
        small = max(request.ByteSize(), unpacked) <= _SMALL
        return prepare(request) if small else await self._workers.run(prepare, request)

    def _predict(self, request: Any) -> Inference[Any]:
        servable = self._store.resolve(_spec(request))
        return prepare_predict(servable, request, tensor_content=self._tensor_content)

    def _classify(self, request: Any) -> Inference[Any]:
        return prepare_classify(self._store.resolve(_spec(request)), request)

    def _regress(self, request: Any) -> Inference[Any]:
        return prepare_regress(self._store.resolve(_spec(request)), request)

    def _multi_inference(self, request: Any) -> list[Inference[Any]]:
        return prepare_multi_inference(self._store.resolve(multi_inference_spec(request)), request)

    def _metadata(self, request: Any) -> Any:
        spec = _spec(request)
        if spec is not None:
            check_metadata_request(request)
        return model_metadata(self._store.resolve(spec))


class ModelService(_Service, model_service_pb2_grpc.ModelServiceServicer):
    """State of the models."""

    async def GetModelStatus(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        return await self._answer(context, self._status, request)

    async def HandleReloadConfigRequest(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        # On a thread of its own: it may wait for models to load, and inference must not wait for it.
        try:
            return await asyncio.to_thread(reload_config, self._store, request, timeout=context.time_remaining())
        except Exception as error:
            status = status_of(error)
        return await context.abort(grpc.StatusCode[status.code], _cut(status.message))

    def _status(self, request: Any) -> Any:
        return model_status(self._store, _spec(request))


def add_services(
    server: grpc.aio.Server, store: ModelStore, workers: Workers, handler: RequestHandler, *, tensor_content: bool
) -> None:
    """Registers both services."""
    prediction = PredictionService(store, workers, handler, tensor_content=tensor_content)
    registry = TolerantRegistry(server)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, registry)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(store, workers), registry)


def _declared(request: Any) -> dict[str, tuple[int, int]]:
    """Rows and bytes that the inputs of a PredictRequest will have; other requests hold no tensors."""
    if not isinstance(request, predict_pb2.PredictRequest):
        return {}
    return {
        name: (proto.tensor_shape.dim[0].size if proto.tensor_shape.dim else 1, declared_bytes(proto))
        for name, proto in request.inputs.items()
    }


def _spec(request: Any) -> Any:
    return request.model_spec if request.HasField("model_spec") else None


def _ending(call: RequestEvent, context: grpc.aio.ServicerContext) -> RequestError:
    """Why gRPC cancels a call: its deadline is over, or its client no longer waits."""
    left = context.time_remaining()
    # At the end of its time a client says that it cancels, a little before this side's clock: the deadline comes rounded up by
    # as much as a hundredth, and later.
    if left is not None and left <= _DEADLINE_SLACK + (now() - call.started) / 50:
        return DeadlineExceeded("The client's deadline is over")
    return Cancelled("The client has gone")


def _cut(message: str) -> str:
    encoded = message.encode("utf-8", errors="replace")
    if len(encoded) <= _LONGEST_MESSAGE:
        return message
    return encoded[:_LONGEST_MESSAGE].decode("utf-8", errors="ignore") + "...TRUNCATED"
