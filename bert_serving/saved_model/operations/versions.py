"""The first TensorFlow Serving version that has an operation, an attribute of one, or a data type for it.

Stock TensorFlow Serving X.Y is built from TensorFlow X.Y and one version of TensorFlow Text. core_operations.json was read from
the libraries of TensorFlow's releases with scripts/record_core_operations.py, which also adds the next release. Its limits: a server
may leave out parts of TensorFlow that its Python package has (TPU and DTensor operations), and a type counts as soon as one
kernel for CPUs supports it, whatever the operation's other types are.
"""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.attr_value_pb2 import AttrValue
from tensorflow.core.framework.node_def_pb2 import NodeDef

_CORE_OPERATIONS = Path(__file__).with_name("core_operations.json")

# TensorFlow 2.4 refuses a graph with an unknown attribute; 2.5 and later ignore the attribute and log it (the messages in
# libtensorflow_framework.so; tried with 2.9, 2.10, 2.12 and 2.15). These may be ignored: they name variables and data sets for
# people.
_IGNORED_SINCE = "2.5"
_NOTES = ("debug_name", "metadata")

_TYPE_NAMES = {number: name for name, number in types_pb2.DataType.items()}

# TensorFlow Text operations by the first TensorFlow Serving that links them
# (tensorflow/serving: workspace.bzl by tag; tensorflow/text: REGISTER_OP of each ops_lib target).
# Their attributes have not changed since.
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
    "2.10": "FastWordpieceTokenizeWithOffsets TFText>FastWordpieceDetokenize TFText>WhitespaceTokenizeWithOffsetsV2",
    "2.12": (
        "FastBertNormalize TFText>NgramsStringJoin TFText>ByteSplitWithOffsets TFText>ByteSplitByOffsets "
        "TFText>FastSentencepieceTokenize TFText>FastSentencepieceDetokenize TFText>OffsetsToBoiseTags "
        "TFText>BoiseTagsToOffsets PhraseTokenize TFText>PhraseDetokenize"
    ),
    "2.20": "TFText>RoundRobinTrim TFText>RoundRobinGenerateMasks TFText>Utf8Binarize",
}


@dataclass(frozen=True, order=True)
class Need:
    """A requirement of a graph's node on the server.

    Attributes:
        what: an operation, or one of its attributes or types that is newer than the operation.
        version: the first TensorFlow Serving that has it.
    """

    what: str
    version: str


def needs_of(node: NodeDef) -> Iterator[Need]:
    """Requirements of a node; none when no server has its operation."""
    first = _first_versions()
    if node.op not in first:
        return
    yield Need(node.op, first[node.op])
    for name, value in node.attr.items():
        attribute = f"{node.op}.{name}"
        if attribute in first:
            yield Need(f"{node.op} with {name}", _IGNORED_SINCE if name in _NOTES else first[attribute])
        for text in _values(value):
            if f"{attribute}={text}" in first:
                yield Need(f"{node.op} with {name}={text}", first[f"{attribute}={text}"])


def first_version(operation: str) -> str:
    """The first stock TensorFlow Serving that has an operation, one of those that `is_known`."""
    return _first_versions()[operation]


def is_known(operation: str) -> bool:
    """Whether any stock TensorFlow Serving has an operation."""
    return operation in _first_versions()


def oldest_known() -> str:
    """The first TensorFlow Serving whose operations are recorded."""
    return min(_first_versions().values(), key=version_key)


def newest_known() -> str:
    """The last TensorFlow Serving whose operations are recorded."""
    return max(_first_versions().values(), key=version_key)


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions: 2.9 is older than 2.10."""
    return tuple(int(part) for part in version.split("."))


@functools.cache
def _first_versions() -> dict[str, str]:
    core = json.loads(_CORE_OPERATIONS.read_text("utf-8"))
    text = {version: names.split() for version, names in _TEXT_OPERATIONS.items()}
    return {token: version for table in (core, text) for version, tokens in table.items() for token in tokens}


def _values(value: AttrValue) -> list[str]:
    """Data types and strings in an attribute's value, as core_operations.json spells them."""
    types = [value.type] if value.type else list(value.list.type)
    strings = [value.s, *value.list.s]
    return [
        *(_TYPE_NAMES.get(number, str(number)) for number in types),
        *(string.decode("utf-8", "replace") for string in strings),
    ]
