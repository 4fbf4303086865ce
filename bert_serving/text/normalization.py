"""The user's normalizer: a function, named in the run file, that changes texts before tokenization.

A function from string tensors to string tensors becomes part of the preprocessing SavedModel, and so of every export. One from
`str` to `str` runs in Python only.
"""

import importlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

from bert_serving.errors import RunFileError
from bert_serving.io.saved_models import write_saved_model
from bert_serving.text.preprocessing import NormalizedPreprocessing, PrefixedPreprocessing, load_preprocessing
from bert_serving.unsafe_operations import unsafe_operations

RECORD = "normalization.json"
"""file in a preprocessing SavedModel with a normalizer: the function's name, and the digest of the preprocessing behind it"""

# Its name in earlier versions.
_FORMER_RECORD = "normalisation.json"
_SOURCE = "encoder.normalizer"
_TRIED = ("Good film", " B\u00fccher\u00a0&amp; <b>more</b>", "")


@dataclass(frozen=True)
class Normalization:
    """A normalizer of the user.

    Attributes:
        name: its name in the run file.
        function: from strings [B] to strings [B] if it is part of the graph, else from `str` to `str`.
        in_graph: whether it takes and returns tensors.
    """

    name: str
    function: Callable[[Any], Any]
    in_graph: bool


def find_normalization(name: str) -> Normalization:
    """Imports a function and tries whether it can be part of a graph.

    Args:
        name: `module:function` or `file.py:function`.

    Raises:
        RunFileError: it cannot be imported, takes neither tensors nor `str`, or its graph cannot be served.
    """
    function = _import(name)
    try:
        graph = tf.function(
            function, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        ).get_concrete_function()
    except Exception as error:  # noqa: BLE001  the function is the user's and may raise anything
        return _python_normalization(name, function, error)
    output = graph.structured_outputs
    if not isinstance(output, tf.Tensor) or output.dtype != tf.string:
        raise _problem(
            name, f"returns {_described(output)} for a tensor of strings; it must return strings of the same shape"
        )
    if unsafe := unsafe_operations(MetaGraphDef(graph_def=graph.graph.as_graph_def())):
        listed = ", ".join(f"{operation} ({reason})" for operation, reason in unsafe.items())
        raise _problem(name, f"uses unsafe operations: {listed}; use tf.strings, or plain Python from str to str")
    if graph.captured_inputs:
        raise _problem(name, "uses a variable or a table from outside; a normalizer must use string operations only")
    _check_rows(name, graph)
    return Normalization(name, function, in_graph=True)


def write_normalized(preprocessing: Path, normalization: Normalization, target: Path, *, sha256: str) -> None:
    """Writes a preprocessing SavedModel that normalizes first.

    Args:
        preprocessing: the SavedModel that takes the normalized texts.
        normalization: one that can be part of a graph.
        target: folder to create.
        sha256: digest of `preprocessing`, for the record in the folder.

    Raises:
        EncoderError: `preprocessing` cannot be loaded.
    """
    inner = load_preprocessing(preprocessing)
    write_saved_model(NormalizedPreprocessing(inner.model, normalization.function), target)
    record = {"function": normalization.name, "preprocessing_sha256": sha256}
    (target / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def write_prefixed(preprocessing: Path, prefix: str, target: Path) -> None:
    """Writes a preprocessing SavedModel that puts a prefix before each text.

    Args:
        preprocessing: the SavedModel that takes the texts with the prefix.
        prefix: the text before each text.
        target: folder to create.

    Raises:
        EncoderError: `preprocessing` cannot be loaded.
    """
    write_saved_model(PrefixedPreprocessing(load_preprocessing(preprocessing).model, prefix), target)


def is_normalized(preprocessing: Path, name: str) -> bool:
    """Whether `write_normalized` wrote this folder with the function `name`."""
    records = (preprocessing / record for record in (RECORD, _FORMER_RECORD))
    return any(json.loads(record.read_text("utf-8"))["function"] == name for record in records if record.is_file())


def _import(name: str) -> Callable[[Any], Any]:
    module_name, _, attribute = name.rpartition(":")
    try:
        if module_name.endswith(".py"):
            specification = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
            module = importlib.util.module_from_spec(specification)  # type: ignore[arg-type]
            specification.loader.exec_module(module)  # type: ignore[union-attr]
        else:
            module = importlib.import_module(module_name)
        function: Callable[[Any], Any] = getattr(module, attribute)
    except Exception as error:  # noqa: BLE001  the module is the user's and may raise anything
        raise _problem(name, f"cannot be imported: {_first_line(error)}; check the name") from None
    if not callable(function):
        raise _problem(name, f"must be a function, got {_described(function)}")
    return function


def _python_normalization(name: str, function: Callable[[Any], Any], refusal: Exception) -> Normalization:
    try:
        outputs = [function(text) for text in _TRIED]
    except Exception as error:  # noqa: BLE001  the function is the user's and may raise anything
        raise _problem(
            name, f"takes neither a tensor of strings ({_first_line(refusal)}) nor a str ({_first_line(error)})"
        ) from None
    wrong = [output for output in outputs if not isinstance(output, str)]
    if wrong:
        raise _problem(name, f"returns {_described(wrong[0])} for a str; it must return a str")
    return Normalization(name, function, in_graph=False)


def _check_rows(name: str, graph: Callable[[tf.Tensor], tf.Tensor]) -> None:
    """Checks that each text is changed independently: a server merges texts of many requests into one batch."""
    try:
        together = graph(tf.constant(_TRIED)).numpy()
        alone = [graph(tf.constant([text])).numpy() for text in _TRIED]
        none = graph(tf.constant([], tf.string)).numpy()
    except tf.errors.OpError as error:
        raise _problem(name, f"fails: {_first_line(error)}") from None
    shapes = [texts.shape for texts in (together, *alone, none)]
    if shapes != [(len(_TRIED),), *[(1,)] * len(_TRIED), (0,)] or not np.array_equal(together, np.concatenate(alone)):
        raise _problem(
            name, "does not change each text independently; it must return one string for each string of its tensor"
        )


def _problem(name: str, reason: str) -> RunFileError:
    return RunFileError(_SOURCE, [f"{name} {reason}"])


def _described(value: object) -> str:
    return f"a {value.dtype.name} tensor" if isinstance(value, tf.Tensor) else f"{type(value).__name__} {value!r:.60}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".removesuffix(": ")
