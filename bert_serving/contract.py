"""Names that never change: signatures, tensors and files of an exported classifier.

Free of TensorFlow, so that clients and tools can import it quickly.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# === Signatures ===

SERVING_DEFAULT = "serving_default"
TOKENS = "tokens"
CLASSIFY = "classify"
EMBED = "embed"
LABELS = "labels"
SIGNATURES = (SERVING_DEFAULT, TOKENS, CLASSIFY, EMBED, LABELS)

# === Inputs ===

TEXT = "text"
TEXT_PAIR = "text_pair"
EXAMPLES = "inputs"
WORD_IDS = "input_word_ids"
MASK = "input_mask"
TYPE_IDS = "input_type_ids"
TOKEN_INPUTS = (WORD_IDS, MASK, TYPE_IDS)
DECIDING_WINDOW = "deciding_window"
"""output of a model that reads texts in windows: number, from 0, of the window that decided"""
WINDOWS = "windows"
"""output of a model that reads texts in windows: how many of them the text has"""
WINDOW_COUNTS = "window_counts"
"""input of a token model whose rows are windows: how many of them each text has; no input of an exported classifier"""

# === Outputs ===

LABEL = "label"
PROBABILITIES = "probabilities"
LOGITS = "logits"
CLASSES = "classes"
SCORES = "scores"
HEAD = "head"
THRESHOLDS = "thresholds"
POOLED_OUTPUT = "pooled_output"
SEQUENCE_OUTPUT = "sequence_output"
ENCODER_OUTPUTS = "encoder_outputs"
DEFAULT_OUTPUT = "default"

# === Files of a SavedModel ===

GRAPH_FILE = "saved_model.pb"
TEXT_GRAPH_FILE = "saved_model.pbtxt"
ASSETS_FOLDER = "assets"
VARIABLES_FOLDER = "variables"

# === Files of an export, relative to its version folder ===

LABELS_FILE = "labels.txt"
VOCABULARY_ASSET = f"{ASSETS_FOLDER}/vocab.txt"
LABELS_ASSET = f"{ASSETS_FOLDER}/{LABELS_FILE}"
EXTRA_FOLDER = "assets.extra"
WARMUP_FILE = f"{EXTRA_FOLDER}/tf_serving_warmup_requests"
MANIFEST_FILE = f"{EXTRA_FOLDER}/bert_serving.json"
GOLDEN_FILE = f"{EXTRA_FOLDER}/golden.json"
CARD_FILE = f"{EXTRA_FOLDER}/README.md"
MANIFEST_FORMAT = 1

# === Files of a run folder that other folders know; training/run_folder.py has the rest ===

RUN_FILE = "run.toml"
RUN_FACTS_FILE = "run.json"
RUN_WEIGHTS_FOLDER = "weights"

# === Messages ===

NO_FREE_THREAD = "Server Threadpool Exhausted"
"""gRPC's message with RESOURCE_EXHAUSTED for a call beyond --grpc_max_threads (thread_manager.cc)"""

# === Defaults ===

DEFAULT_MINIMUM_TF_SERVING = "2.12"
MULTILABEL_THRESHOLD = 0.5
"""lowest probability with which a label of a multilabel head is predicted, where no thresholds were fitted"""
LABEL_SEPARATOR = ","
"""between the labels that a multilabel head predicts for one text"""
REGRESSION_CLASS = "value"
"""class name of a regression, which has no labels, in the answers of `classify` and `labels`"""
SERVING_TAG = "serve"

# Those at which `str.splitlines` ends a line, too.
_LINE_BREAK = re.compile("[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


def labels_text(labels: Iterable[str]) -> str:
    """The content of a labels.txt: one label per line, in the order of the outputs."""
    return "".join(f"{label}\n" for label in labels)


def label_fault(label: str) -> str:
    """What keeps a label from being the same in labels.txt, in tables and in answers; empty if nothing does."""
    if not label.strip():
        return "must not be empty"
    if _LINE_BREAK.search(label):
        return "must be one line"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in label):
        return "must hold no control character"
    return "must not begin with a byte order mark" if label.startswith("\ufeff") else ""


def labels_of(content: bytes) -> tuple[str, ...]:
    """The labels of a labels.txt, also of one that was edited: with a byte order mark, CRLF, or no line break at its end."""
    lines = content.decode().removeprefix("\ufeff").removesuffix("\n").split("\n")
    return tuple(line.removesuffix("\r") for line in lines) if content else ()


def joined_labels(labels: Iterable[str]) -> tuple[str, list[str], str]:
    """How the labels that a multilabel head predicts become one answer: beginning, the labels as they are written, end.

    They are joined by commas. If a label of the model holds a comma, or begins as a JSON list does, every answer is a JSON list
    instead, so that it has one meaning. Both can be read as the label of a row.
    """
    names = list(labels)
    if any(LABEL_SEPARATOR in name or name.startswith("[") for name in names):
        return "[", [json.dumps(name, ensure_ascii=False) for name in names], "]"
    return "", names, ""


class Head(StrEnum):
    """What the dense head on top of the encoder predicts."""

    SOFTMAX = "softmax"
    """one of C labels; logits [B, C]"""
    BINARY = "binary"
    """one of two labels from one logit; logits [B, 1], probabilities [B, 2]"""
    MULTILABEL = "multilabel"
    """any of C labels; logits [B, C], one sigmoid each"""
    REGRESSION = "regression"
    """one number; logits [B, 1] hold it, probabilities repeat it"""


@dataclass(frozen=True)
class Scaling:
    """Temperature scaling: how logits are changed before they become probabilities, so that these are calibrated.

    A logit's distance (from the greatest logit; with a sigmoid from 0) is raised to the exponent and divided by the
    temperature. Both are over 0, so that the predicted labels do not change. An uncalibrated model has 1 for both.
    """

    temperature: float = 1.0
    exponent: float = 1.0

    def __str__(self) -> str:
        """Both numbers; the exponent where it is not 1."""
        exponent = "" if self.exponent == 1 else f", exponent {self.exponent:.3f}"
        return f"{self.temperature:.3f}{exponent}"


Thresholds = tuple[float, ...]
"""Fitted decision thresholds, one for each label, in the order of the outputs, each over 0 and under 1; () for a model without.

With a multilabel head a label is predicted from its threshold on. Otherwise the label is predicted whose probability is the
greatest multiple of its threshold, and the thresholds add up to 1, so that those of two labels are limits of their probabilities.
All are float32 numbers, so that a graph and Python decide alike.
"""


class Pooling(StrEnum):
    """How the encoder's outputs become one vector for the head."""

    POOLER = "pooler"
    """the encoder's own pooled output: a dense layer with tanh on [CLS]"""
    CLS = "cls"
    """the sequence output at [CLS]"""
    MEAN = "mean"
    """the mean of the sequence output over the text's tokens; suits encoders trained for sentence embeddings"""
    MAX = "max"
    """the greatest value of each dimension of the sequence output over the text's tokens"""


class LongTexts(StrEnum):
    """What becomes of a text with more tokens than the sequence length."""

    TRUNCATE = "truncate"
    """its first tokens are kept"""
    HEAD_AND_TAIL = "head_and_tail"
    """the first quarter and the last three quarters of what fits are kept (Sun et al. 2019, arXiv:1905.05583: of 510 tokens
    the first 128 and the last 382)"""
    WINDOWS = "windows"
    """it is read in overlapping windows, whose vectors are pooled"""


class WindowPooling(StrEnum):
    """How the vectors of a text's windows become one."""

    MEAN = "mean"
    """their mean"""
    MAX = "max"
    """the greatest value of each dimension"""
    ATTENTION = "attention"
    """their mean weighted by the softmax, over the text's windows, of a learned score of each"""


class Graph(StrEnum):
    """Padding in an exported graph."""

    PADDED = "padded"
    """every text padded to the sequence length, as in the tutorial"""
    TRIMMED = "trimmed"
    """padded to the longest text of the batch"""
    RAGGED = "ragged"
    """no padding outside attention; for BERT encoders, others get `trimmed`"""


class Precision(StrEnum):
    """Number format of the exported weights and matrix products."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    """of the ragged graph; softmax, layer normalization and head stay float32"""
    INT8 = "int8"
    """8-bit quantization of the Transformer's dense layers in the ragged graph, with ranges measured on validation texts; all else
    stays float32"""
    AUTO = "auto"
    """an option, never the precision of an export: the fastest that agrees with the model in memory, measured during the export"""
