"""One loaded version of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  its operations must be registered before a SavedModel is loaded
from tensorflow.python.tools import saved_model_utils

from bert_serving import contract
from bert_serving.model_server.config.batching import BatchingParameters

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
        batching: how requests are merged; None runs each on its own.
        check_method_names: only a signature made for a method may be asked by it.
        classes: names of the classes in the order of the probabilities; none where the version does not tell.
        warmup_seconds: how long its warmup requests took; None where there were none.
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
        holder = tf.saved_model.load(str(path), tags=list(tags))
        return cls(
            name=name,
            version=version,
            signatures=dict(meta_graph.signature_def),
            functions=dict(holder.signatures),
            holder=holder,
            batching=batching,
            check_method_names=check_method_names,
            classes=_classes(path),
        )

    def run(self, signature: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: name of a signature that has a callable.
            inputs: tensors by input name, of the signature's data types; all inputs must be there.
            outputs: names of the outputs to return.

        Raises:
            tf.errors.OpError: an operation refused its input.
        """
        declared = self.signatures[signature].inputs
        fed = {name: tf.constant(value, dtype=tf.as_dtype(declared[name].dtype)) for name, value in inputs.items()}
        results = self.functions[signature](**fed)
        return {name: _as_array(results[name]) for name in outputs}


def _classes(path: Path) -> tuple[str, ...]:
    try:
        return tuple((path / contract.LABELS_ASSET).read_text("utf-8").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError):
        return ()


def _as_array(tensor: tf.Tensor) -> np.ndarray:
    # A string scalar comes out of TensorFlow as plain bytes, which numpy would cut at a trailing zero byte.
    return np.asarray(tensor.numpy(), dtype=object) if tensor.dtype == tf.string else np.asarray(tensor.numpy())
