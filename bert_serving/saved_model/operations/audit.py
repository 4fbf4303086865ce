"""Operations that a SavedModel needs, and the oldest TensorFlow Serving version that has all of them.

Stock TensorFlow Serving links TensorFlow and one version of TensorFlow Text. A graph with an operation that the server lacks
fails to load, or loads without an error and then fails every request, so the graph is audited before it is published.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, TensorInfo
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from bert_serving import contract
from bert_serving.errors import ExportError
from bert_serving.saved_model.graphs import quantized
from bert_serving.saved_model.operations.versions import Need, is_known, needs_of, oldest_known, version_key
from bert_serving.unsafe_operations import unsafe_operations

# Internal signature that fills tables when a SavedModel is loaded.
_INITIALIZATION = "__saved_model_init_op"


@dataclass(frozen=True)
class OperationAudit:
    """Operations of a graph and their requirements on the server.

    Attributes:
        operations: names of all operations of the graph and its function library, sorted.
        needs: these operations, and attributes and types that are newer than their operation, with versions; sorted.
        missing: operations that no stock version has.
        unsafe: operations that a server must not run, with the reasons.
    """

    operations: tuple[str, ...]
    needs: tuple[Need, ...]
    missing: tuple[str, ...]
    unsafe: dict[str, str]

    @property
    def oldest_tf_serving(self) -> str | None:
        """Oldest version that has all of them; None when no stock version does."""
        if self.missing:
            return None
        return max((need.version for need in self.needs), key=version_key, default=oldest_known())

    def newest(self) -> tuple[Need, ...]:
        """Requirements that exclude older servers; empty when there are none."""
        return tuple(need for need in self.needs if oldest_known() != need.version == self.oldest_tf_serving)

    def needs_newer_than(self, minimum: str) -> tuple[Need, ...]:
        """Requirements that TensorFlow Serving `minimum` does not fulfill."""
        return tuple(need for need in self.needs if version_key(need.version) > version_key(minimum))


def audit_operations(folder: Path) -> OperationAudit:
    """Audits the graph and the function library of a SavedModel.

    Raises:
        ExportError: the folder holds no readable saved_model.pb or saved_model.pbtxt.
    """
    graphs = read_meta_graphs(folder)
    nodes = [node for graph in graphs for node in _operation_nodes(graph)]
    names = sorted({node.op for node in nodes})
    return OperationAudit(
        operations=tuple(names),
        needs=tuple(sorted({need for node in nodes for need in needs_of(node)})),
        missing=tuple(name for name in names if not is_known(name)),
        unsafe={name: reason for graph in graphs for name, reason in unsafe_operations(graph).items()},
    )


def count_saturating_kernels(folder: Path) -> int:
    """Number of 8-bit kernels that saturate on processors without VNNI; exports of earlier versions have them.

    Apart from the audit, because it reads every kernel, which a server that loads a version need not.

    Raises:
        ExportError: as `read_meta_graphs`.
    """
    nodes = [node for graph in read_meta_graphs(folder) for node in _operation_nodes(graph)]
    return sum(map(_saturates, nodes)) if any(node.op == quantized.OPERATION for node in nodes) else 0


def read_meta_graph(folder: Path) -> MetaGraphDef:
    """The first meta graph of a SavedModel: graph, function library and signatures.

    Raises:
        ExportError: as `read_meta_graphs`.
    """
    return read_meta_graphs(folder)[0]


def read_meta_graphs(folder: Path) -> list[MetaGraphDef]:
    """All meta graphs of a SavedModel, from the file that TensorFlow's loader reads; any of them may be loaded by its tags.

    Raises:
        ExportError: the folder holds no readable saved_model.pb or saved_model.pbtxt.
    """
    binary, text = folder / contract.GRAPH_FILE, folder / contract.TEXT_GRAPH_FILE
    path = text if text.is_file() and not binary.exists() else binary
    model = SavedModel()
    try:
        content = path.read_bytes()
        if path is text:
            text_format.Parse(content.decode("utf-8"), model)
        else:
            model.ParseFromString(content)
    except OSError:
        raise ExportError(
            f"{folder}: not a SavedModel ({contract.GRAPH_FILE} is missing); give a version folder"
        ) from None
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: damaged: {error}; export again") from None
    if not model.meta_graphs:
        raise ExportError(f"{path}: damaged: it has no graph; export again")
    return list(model.meta_graphs)


def read_signatures(folder: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Signatures of a SavedModel, without loading it: dtype and shape of inputs and outputs by signature.

    Raises:
        ExportError: the folder holds no readable saved_model.pb.
    """
    return {
        name: {"inputs": _forms(signature.inputs), "outputs": _forms(signature.outputs)}
        for name, signature in sorted(read_meta_graph(folder).signature_def.items())
        if name != _INITIALIZATION
    }


def _forms(tensors: Mapping[str, TensorInfo]) -> dict[str, str]:
    return {
        key: f"{tf.dtypes.as_dtype(tensor.dtype).name} {tf.TensorShape(tensor.tensor_shape)}"
        for key, tensor in sorted(tensors.items())
    }


def _saturates(node: NodeDef) -> bool:
    """Whether a node is an 8-bit kernel whose product saturates on some processors."""
    if node.op != "Const" or node.attr["dtype"].type != tf.int8.as_datatype_enum:
        return False
    kernel = tf.make_ndarray(node.attr["value"].tensor).astype(np.int32)
    return kernel.ndim == 2 and bool((quantized.largest_pair(kernel) > quantized.LARGEST_PAIR).any())


def _operation_nodes(model: MetaGraphDef) -> Iterable[NodeDef]:
    """Nodes of the graph and its function library, without calls of the library's functions."""
    library = model.graph_def.library.function
    functions = {function.signature.name for function in library}
    nodes = [*model.graph_def.node, *(node for function in library for node in function.node_def)]
    return (node for node in nodes if node.op not in functions)
