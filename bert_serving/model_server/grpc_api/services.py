"""PredictionService and ModelService of TensorFlow Serving."""

# ruff: noqa: N802
# The names of methods are those of the services.

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import (
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from bert_serving.errors import Cancelled, DeadlineExceeded, RequestError
from bert_serving.model_server.grpc_api.handlers import CheckedRegistry
from bert_serving.model_server.inference.examples import (
    multi_inference_spec,
    prepare_classify,
    prepare_multi_inference,
    prepare_regress,
)
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.metadata import check_metadata_request, model_metadata
from bert_serving.model_server.inference.predict import prepare_predict
from bert_serving.model_server.inference.servable import Servable
from bert_serving.model_server.inference.status_code import Status, status_of
from bert_serving.model_server.inference.tensors import declared_bytes
from bert_serving.model_server.models.reload import reload_config
from bert_serving.model_server.models.status import model_status
from bert_serving.model_server.models.store import ModelStore
from bert_serving.model_server.observability.events import RequestEvent, now
from bert_serving.model_server.requests import RequestHandler
from bert_serving.model_server.thread_pool import Workers

T = TypeVar("T")

# Longer messages do not fit into HTTP/2 headers everywhere (grpc_status_util.cc of TensorFlow
# Serving).
_MAX_MESSAGE_BYTES = 1024
# A request up to this size is unpacked on the event loop, where it costs less than on a thread.
_SMALL_BYTES = 1 << 17
_DEADLINE_SLACK = 0.02


def _with_status(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Answers with the status of an error that a method raises."""

    @wraps(method)
    async def answer(service: Any, request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await method(service, request, context)
        except Exception as error:  # noqa: BLE001  any error becomes a status
            status = status_of(error)
        return await _abort(context, status)

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Inference and metadata."""

    def __init__(self, store: ModelStore, workers: Workers, handler: RequestHandler, *, tensor_content: bool = False):
        """Sets up the service.

        Args:
            store: the models.
            workers: threads that unpack large requests.
            handler: runs the inferences.
            tensor_content: answer Predict with `tensor_content` instead of the typed fields of
                TensorProto.
        """
        self._store = store
        self._workers = workers
        self._handler = handler
        self._tensor_content = tensor_content

    async def Predict(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Answers a PredictRequest."""
        prepare = partial(prepare_predict, tensor_content=self._tensor_content)
        return await self._infer(context, "Predict", prepare, request)

    async def Classify(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Answers a ClassificationRequest."""
        return await self._infer(context, "Classify", prepare_classify, request)

    async def Regress(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Answers a RegressionRequest."""
        return await self._infer(context, "Regress", prepare_regress, request)

    async def MultiInference(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Answers a MultiInferenceRequest, its tasks in parallel."""
        call = self._handler.start("GRPC", "MultiInference", multi_inference_spec(request).name, context.peer())
        return await self._answered(context, call, self._run_tasks(call, request))

    @_with_status
    async def GetModelMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: ARG002  gRPC passes it
        """Answers a GetModelMetadataRequest."""
        spec = _spec(request)
        if spec is not None:
            check_metadata_request(request)
        return model_metadata(self._store.resolve(spec))

    async def _infer(
        self,
        context: grpc.aio.ServicerContext,
        method: str,
        prepare: Callable[[Servable, Any], Inference[Any]],
        request: Any,
    ) -> Any:
        call = self._handler.start("GRPC", method, request.model_spec.name, context.peer())
        return await self._answered(context, call, self._run(call, prepare, request))

    async def _answered(self, context: grpc.aio.ServicerContext, call: RequestEvent, response: Awaitable[Any]) -> Any:
        """Waits for a response and reports how the call ended."""
        try:
            answer = await response
            self._handler.finish(call, answer)
            return answer
        except asyncio.CancelledError:
            self._handler.fail(call, _cancellation(call, context))
            raise
        except Exception as error:  # noqa: BLE001  any error becomes a status
            status = self._handler.fail(call, error)
        return await _abort(context, status)

    async def _run(self, call: RequestEvent, prepare: Callable[[Servable, Any], Inference[Any]], request: Any) -> Any:
        return await self._handler.run(call, await self._prepared(prepare, _spec(request), request))

    async def _run_tasks(self, call: RequestEvent, request: Any) -> inference_pb2.MultiInferenceResponse:
        inferences = await self._prepared(prepare_multi_inference, multi_inference_spec(request), request)
        results = await asyncio.gather(*(self._handler.run(call, inference) for inference in inferences))
        call.request = request
        return inference_pb2.MultiInferenceResponse(results=results)

    async def _prepared(self, prepare: Callable[[Servable, Any], T], spec: Any, request: Any) -> T:
        """Checks and unpacks a request, a large one on a thread."""
        declared = _declared(request)
        self._handler.limits.check_declared(declared)
        unpacked = sum(size for _, size in declared.values())

        def resolve_and_prepare() -> T:
            return prepare(self._store.resolve(spec), request)

        if max(request.ByteSize(), unpacked) <= _SMALL_BYTES:
            return resolve_and_prepare()
        return await self._workers.run(resolve_and_prepare)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """State of the models, and their configuration."""

    def __init__(self, store: ModelStore):
        """Takes the models."""
        self._store = store

    @_with_status
    async def GetModelStatus(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: ARG002  gRPC passes it
        """Answers a GetModelStatusRequest."""
        return model_status(self._store, _spec(request))

    @_with_status
    async def HandleReloadConfigRequest(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Answers a ReloadConfigRequest once new models have loaded."""
        # On a thread of its own: it may wait for models to load, which must not delay inference.
        return await asyncio.to_thread(reload_config, self._store, request, timeout=context.time_remaining())


def add_services(
    server: grpc.aio.Server,
    store: ModelStore,
    workers: Workers,
    handler: RequestHandler,
    *,
    tensor_content: bool,
    most_calls: int = 0,
) -> None:
    """Registers both services with a server.

    Args:
        server: the server.
        store: see `PredictionService`, as for the next three.
        workers: threads that unpack large requests.
        handler: runs the inferences.
        tensor_content: answer Predict with `tensor_content`.
        most_calls: calls of both services that may be in flight; 0 is no limit.
    """
    prediction = PredictionService(store, workers, handler, tensor_content=tensor_content)
    registry = CheckedRegistry(server, most_calls)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, registry)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(store), registry)


def _declared(request: Any) -> dict[str, tuple[int, int]]:
    """Declared rows and bytes of the inputs of a PredictRequest; others hold no tensors."""
    if not isinstance(request, predict_pb2.PredictRequest):
        return {}
    return {
        name: (proto.tensor_shape.dim[0].size if proto.tensor_shape.dim else 1, declared_bytes(proto))
        for name, proto in request.inputs.items()
    }


def _spec(request: Any) -> Any:
    return request.model_spec if request.HasField("model_spec") else None


def _cancellation(call: RequestEvent, context: grpc.aio.ServicerContext) -> RequestError:
    """Why gRPC cancels a call: its deadline is over, or its client does not wait any more."""
    remaining = context.time_remaining()
    # At its deadline a client cancels a little before the server's clock says so: the deadline
    # arrives rounded up by as much as a hundredth, and later.
    if remaining is not None and remaining <= _DEADLINE_SLACK + (now() - call.started) / 50:
        return DeadlineExceeded("The client's deadline is over")
    return Cancelled("The client has gone")


async def _abort(context: grpc.aio.ServicerContext, status: Status) -> Any:
    return await context.abort(grpc.StatusCode[status.code], _truncated(status.message))


def _truncated(message: str) -> str:
    encoded = message.encode("utf-8", errors="replace")
    if len(encoded) <= _MAX_MESSAGE_BYTES:
        return message
    return encoded[:_MAX_MESSAGE_BYTES].decode("utf-8", errors="ignore") + "...TRUNCATED"
