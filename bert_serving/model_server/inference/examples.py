"""The tf.Examples of a Classify or Regress request, and the signatures that take them."""

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import input_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest
from bert_serving.model_server.inference.servable import Servable, Signature
from bert_serving.model_server.inference.tensors import data_type, type_name

CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
_KINDS = {CLASSIFY_METHOD: "classification", REGRESS_METHOD: "regression"}


def example_signature(servable: Servable, name: str, method: str) -> Signature:
    """A signature by name.

    Raises:
        InvalidRequest: there is none, or it is made for another method and the server looks at that.
    """
    if name not in servable.functions:
        raise InvalidRequest(f"No signature was found with the name: {name}")
    signature = servable.signatures[name]
    if servable.check_method_names and signature.method_name != method:
        raise InvalidRequest(
            f"Expected {_KINDS[method]} signature method_name to be {method}. Was: {signature.method_name}"
        )
    return signature


def check_example_input(signature: Signature, kind: str) -> None:
    """Checks that a signature takes serialized tf.Examples as `inputs`.

    Args:
        signature: a SignatureDef.
        kind: `classification` or `regression`, for the message.

    Raises:
        InvalidRequest: it takes something else.
    """
    if contract.EXAMPLES not in signature.inputs:
        raise InvalidRequest(f"No {kind} inputs found in SignatureDef: {shown(signature)}")
    taken = signature.inputs[contract.EXAMPLES].dtype
    if taken != types_pb2.DT_STRING:
        raise InvalidRequest(f"Expects arg[0] to be {type_name(taken)} but string is provided")


def serialized_examples(given: input_pb2.Input) -> np.ndarray:
    """Serialized examples, string [B]; a context is part of each of them.

    Raises:
        InvalidRequest: there is none.
    """
    if given.WhichOneof("kind") == "example_list_with_context":
        listed = given.example_list_with_context
        # Two serialized messages after one another are their merger.
        context = listed.context.SerializeToString()
        examples = [context + example.SerializeToString() for example in listed.examples]
    else:
        examples = [example.SerializeToString() for example in given.example_list.examples]
    if not examples:
        raise InvalidRequest("Input is empty.")
    return np.array(examples, dtype=object)


def shown_shape(array: np.ndarray) -> str:
    """A shape as TensorFlow writes it."""
    return "[" + ",".join(map(str, array.shape)) + "]"


def shown_type(array: np.ndarray) -> str:
    """A data type as TensorFlow's protos name it: DT_FLOAT."""
    return types_pb2.DataType.Name(data_type(array))


def shown(signature: Signature) -> str:
    """A signature on one line."""
    return " ".join(str(signature).split())
