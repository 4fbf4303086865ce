"""A request that was checked against its signature and can be run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from google.protobuf.message import Message

from bert_serving.errors import InvalidRequest
from bert_serving.model_server.inference.servable import Servable

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Inference(Generic[T]):
    """One run of one signature, and the answer that its outputs make.

    Attributes:
        servable: the version that answers.
        signature: name of the signature.
        inputs: arrays by input name, of the signature's data types; strings are object arrays of
            bytes.
        outputs: names of the outputs to compute.
        answer: makes the response out of the outputs.
        request: the request message, for the request log; None for JSON.
    """

    servable: Servable
    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: tuple[str, ...]
    answer: Callable[[Mapping[str, np.ndarray]], T]
    request: Message | None = None

    def check_nesting(self) -> None:
        """Checks that strings are not nested deeper than declared: a graph may take them for rows.

        Numbers are left to the graph, as in TensorFlow Serving.

        Raises:
            InvalidRequest: they are.
        """
        declared = self.servable.signatures[self.signature].inputs
        for name, array in self.inputs.items():
            shape = declared[name].tensor_shape
            if array.dtype == object and not shape.unknown_rank and array.ndim > len(shape.dim):
                raise InvalidRequest(
                    f"Input {name} is nested {array.ndim} deep, with the shape {list(array.shape)}; the signature "
                    f"{self.signature} takes a depth of {len(shape.dim)}: send one string for each row"
                )

    def run(self) -> T:
        """Runs on the calling thread.

        Raises:
            RequestError: the outputs do not fit the method of the request.
            tf.errors.OpError: an operation refused its input.
        """
        return self.answer(self.servable.run(self.signature, self.inputs, self.outputs))
