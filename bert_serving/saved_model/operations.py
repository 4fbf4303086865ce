"""Which operations a SavedModel needs, and the oldest TensorFlow Serving that has them all.

Stock TensorFlow Serving links TensorFlow and one version of TensorFlow Text. A graph with an operation that the binary lacks loads
without complaint and then fails every request, so the graph is audited before it is published.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from bert_serving.errors import ExportError

# TensorFlow Text operations by the first TensorFlow Serving that links them
# (tensorflow/serving: workspace.bzl by tag; tensorflow/text: REGISTER_OP of each ops_lib target).
_TEXT_OPERATIONS = {
    "2.2": (
        "CaseFoldUTF8 NormalizeUTF8 RegexSplitWithOffsets WordpieceTokenizeWithOffsets WhitespaceTokenizeWithOffsets "
        "UnicodeScriptTokenizeWithOffsets SentenceFragments SplitMergeTokenizeWithOffsets SentencepieceOp "
        "SentencepieceTokenizeOp SentencepieceTokenizeWithOffsetsOp SentencepieceDetokenizeOp SentencepieceVocabSizeOp "
        "SentencepieceIdToStringOp ConstrainedSequence MaxSpanningTree RougeL"
    ),
    "2.5": (
        "NormalizeUTF8WithOffsetsMap FindSourceOffsets TokenizerFromLogits SentenceFragmentsV2 SentencepieceStringToIdOp"
    ),
    "2.10": ("FastWordpieceTokenizeWithOffsets TFText>FastWordpieceDetokenize TFText>WhitespaceTokenizeWithOffsetsV2"),
    "2.12": (
        "FastBertNormalize TFText>NgramsStringJoin TFText>ByteSplitWithOffsets TFText>ByteSplitByOffsets "
        "TFText>FastSentencepieceTokenize TFText>FastSentencepieceDetokenize TFText>OffsetsToBoiseTags "
        "TFText>BoiseTagsToOffsets PhraseTokenize TFText>PhraseDetokenize"
    ),
    "2.20": "TFText>RoundRobinTrim TFText>RoundRobinGenerateMasks TFText>Utf8Binarize",
}
_FIRST_SERVING = {name: version for version, names in _TEXT_OPERATIONS.items() for name in names.split()}
# Every SavedModel of TensorFlow 2 needs at least this.
_OLDEST = "2.2"

# Operations that run code of the caller's process or touch files; a server must not run them for a stranger's model.
_UNSAFE = frozenset(
    "PyFunc PyFuncStateless EagerPyFunc ReadFile WriteFile MatchingFiles ReadFileV2 WholeFileReaderV2 TextLineReaderV2 "
    "FixedLengthRecordReaderV2 TFRecordReaderV2 TextLineDataset TFRecordDatasetV2 FixedLengthRecordDatasetV2 "
    "LMDBDataset SaveDataset SaveDatasetV2 LoadDataset SnapshotDataset SnapshotDatasetV2 "
    "DebugIdentityV2 PrintV2 GeneratorDataset RemoteCall Send Recv".split()
)


@dataclass(frozen=True)
class OperationAudit:
    """What a graph needs from the server.

    Attributes:
        operations: names of all operations of the graph and its function library, sorted.
        oldest_tf_serving: first version that has all of them; None when no stock version does.
        missing: operations that no stock version has.
        unsafe: operations that touch files or run code.
    """

    operations: tuple[str, ...]
    oldest_tf_serving: str | None
    missing: tuple[str, ...]
    unsafe: tuple[str, ...]

    def needs_newer_than(self, minimum: str) -> list[str]:
        """Operations that TensorFlow Serving `minimum` lacks."""
        return [name for name in self.operations if _key(_FIRST_SERVING.get(name, _OLDEST)) > _key(minimum)]


def audit_operations(folder: Path) -> OperationAudit:
    """Audits the graph and the function library of a SavedModel.

    Raises:
        ExportError: the folder holds no readable saved_model.pb.
    """
    names = sorted(set(_operation_names(read_meta_graph(folder).graph_def)))
    missing = tuple(name for name in names if name not in _FIRST_SERVING and not hasattr(tf.raw_ops, name))
    oldest = max((_FIRST_SERVING.get(name, _OLDEST) for name in names), key=_key, default=_OLDEST)
    return OperationAudit(
        operations=tuple(names),
        oldest_tf_serving=None if missing else oldest,
        missing=missing,
        unsafe=tuple(name for name in names if name in _UNSAFE),
    )


def read_meta_graph(folder: Path) -> MetaGraphDef:
    """The first meta graph of a SavedModel: graph, function library and signatures.

    Raises:
        ExportError: the folder holds no readable saved_model.pb.
    """
    path = folder / "saved_model.pb"
    try:
        graphs = SavedModel.FromString(path.read_bytes()).meta_graphs
    except OSError:
        raise ExportError(f"{folder}: not a SavedModel (saved_model.pb is missing); give a version folder") from None
    except DecodeError as error:
        raise ExportError(f"{path}: damaged: {error}; export again") from None
    if not graphs:
        raise ExportError(f"{path}: damaged: it holds no graph; export again")
    return graphs[0]


def _operation_names(graph: GraphDef) -> Iterable[str]:
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return (node.op for node in nodes if node.op not in functions)


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
