"""One loaded version of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  its operations must be registered before a SavedModel is loaded
from tensorflow.python.tools import saved_model_utils
from tensorflow_serving.apis import model_pb2

from bert_serving import contract
from bert_serving.model_server.config.batching import BatchingParameters
from bert_serving.model_server.inference.session import Functions, load_in_session

# Protos and TensorFlow come without types.
Signature: TypeAlias = Any  # SignatureDef
Tensor: TypeAlias = Any  # tf.Tensor or np.ndarray


@dataclass(frozen=True, eq=False)
class Servable:
    """A SavedModel in memory, ready to run.

    Attributes:
        name: name of the model.
        version: number of the version folder.
        signatures: SignatureDefs by name, as stored in the SavedModel.
        functions: callables by signature name.
        holder: the loaded object; it owns the variables that the callables read.
        batching: how requests are merged; None runs them one by one.
        check_method_names: refuse a signature whose method name is not that of the request.
        classes: class names in the order of the probabilities; empty for a version without a labels
            file.
        warmup_seconds: running time of its warmup requests; None without any.
    """

    name: str
    version: int
    signatures: Mapping[str, Signature]
    functions: Mapping[str, Callable[..., Mapping[str, tf.Tensor]]]
    holder: Any
    batching: BatchingParameters | None = None
    check_method_names: bool = False
    classes: tuple[str, ...] = ()
    warmup_seconds: float | None = None

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        name: str,
        version: int,
        tags: Sequence[str] = (contract.SERVING_TAG,),
        batching: BatchingParameters | None = None,
        check_method_names: bool = False,
    ) -> Self:
        """Loads a SavedModel.

        Raises:
            OSError, ValueError, RuntimeError, tf.errors.OpError: as TensorFlow's loader does.
        """
        if not any(
            (path / file).is_file() for file in (contract.GRAPH_FILE, contract.TEXT_GRAPH_FILE, "saved_model.cpb")
        ):
            raise FileNotFoundError(
                f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
            )
        meta_graph = saved_model_utils.get_meta_graph_def(str(path), ",".join(tags))
        holder, functions = _load(path, tags, meta_graph)
        return cls(
            name=name,
            version=version,
            signatures=dict(meta_graph.signature_def),
            functions=functions,
            holder=holder,
            batching=batching,
            check_method_names=check_method_names,
            classes=_classes(path),
        )

    def spec(self, signature: str = "") -> model_pb2.ModelSpec:
        """Name, version and signature in the form of an answer."""
        spec = model_pb2.ModelSpec(name=self.name, signature_name=signature)
        spec.version.value = self.version
        return spec

    def run(self, signature: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: name of a signature that has a callable.
            inputs: a tensor of the signature's data type for every input, by name.
            outputs: names of the outputs to return.

        Raises:
            tf.errors.OpError: an operation refused its input.
        """
        declared = self.signatures[signature].inputs
        fed = {name: tf.constant(value, dtype=tf.as_dtype(declared[name].dtype)) for name, value in inputs.items()}
        try:
            results = self.functions[signature](**fed)
        except UnicodeDecodeError as error:  # TensorFlow cannot make its own exception then
            text = error.object.decode("utf-8", errors="replace")
            raise tf.errors.InvalidArgumentError(None, None, text) from None
        return {name: _as_array(results[name]) for name in outputs}


def _load(path: Path, tags: Sequence[str], meta_graph: Any) -> tuple[Any, Functions]:
    """The loaded object, and its callables by signature name."""
    try:
        holder = tf.saved_model.load(str(path), tags=list(tags))
    except Exception:
        if meta_graph.HasField("object_graph_def"):
            raise
        return load_in_session(path, tags)  # TensorFlow 1 wrote it
    return holder, dict(holder.signatures)


def _classes(path: Path) -> tuple[str, ...]:
    try:
        return contract.labels_of((path / contract.LABELS_ASSET).read_bytes())
    except (OSError, UnicodeDecodeError):
        return ()


def _as_array(tensor: tf.Tensor) -> np.ndarray:
    # TensorFlow returns a string scalar as bytes, which numpy would cut at a trailing zero byte.
    return np.asarray(tensor.numpy(), dtype=object) if tensor.dtype == tf.string else np.asarray(tensor.numpy())
