"""The head of a fine-tuned Hugging Face classifier: its labels and its dense layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.contract import Head, label_fault
from bert_serving.encoders.conversion.families import FAMILIES
from bert_serving.encoders.conversion.other_models import class_names, other_task
from bert_serving.encoders.modernbert.architecture import MODEL_TYPE
from bert_serving.errors import EncoderError

DEFAULT_LABEL = "LABEL_"
"""beginning of the labels of a classifier without names for them"""

_SUFFIX = "ForSequenceClassification"
_DROPOUTS = ("classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout", "hidden_dropout_prob")
# transformers, `PreTrainedConfig.problem_type`.
_HEADS = {
    "single_label_classification": Head.SOFTMAX,
    "multi_label_classification": Head.MULTILABEL,
    "regression": Head.REGRESSION,
}


@dataclass(frozen=True)
class FineTunedHead:
    """The parts of a fine-tuned classifier that are not its encoder.

    Attributes:
        head: what it predicts.
        labels: in the order of its outputs; empty for regression.
        pooler: kernel [H, H] and bias [H] of the dense layer on [CLS]; None where `encoder_weights` has all of it.
        activation: of that layer, a name in `POOLER_ACTIVATIONS`; None without `pooler`.
        output: kernel [H, outputs] and bias [outputs] of the layer that gives the logits.
        dropout: rate before it.
    """

    head: Head
    labels: tuple[str, ...]
    pooler: tuple[np.ndarray, np.ndarray] | None
    activation: str | None
    output: tuple[np.ndarray, np.ndarray]
    dropout: float


def is_fine_tuned(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of a classifier rather than of an encoder alone."""
    return any(str(name).endswith(_SUFFIX) for name in config.get("architectures") or [])


def read_head(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> FineTunedHead:
    """Reads the head of a `...ForSequenceClassification`.

    Args:
        folder: for messages.
        config: its config.json; `model_type` is one that can be converted.
        tensors: its weights.

    Raises:
        EncoderError: the model is not a classifier, its labels contradict its outputs, or a tensor of the head is missing.
    """
    # Some folders have lost the name of their class, but not the head.
    output_name = _output_name(config["model_type"])
    if not is_fine_tuned(config) and (config.get("architectures") or f"{output_name}.weight" not in tensors):
        architectures = ", ".join(class_names(config)) or "none"
        task = other_task(config)
        does = f" (which {task})" if task else ""
        raise EncoderError(
            f"{folder}: not a fine-tuned classifier: its architectures are {architectures}{does}, expected one that ends with {_SUFFIX}; "
            "to train a classifier on this encoder, name it in encoder.path of a run file"
        )
    pooler, activation, default_rate = None, None, 0.1
    output = _dense(folder, tensors, (output_name,))
    if config["model_type"] == MODEL_TYPE:
        default_rate = 0.0
    else:
        family = FAMILIES[config["model_type"]]
        names, activation = family.classifier, family.classifier.activation
        # The pooler belongs to the encoder in some families, to the head in others.
        pooler = _dense(folder, tensors, (names.pooler, f"{family.prefix}{names.pooler}"))
    labels = _labels(folder, config, outputs=len(output[1]))
    head = _head(folder, config, outputs=len(output[1]))
    rate = next((config[key] for key in _DROPOUTS if config.get(key) is not None), default_rate)
    return FineTunedHead(head, () if head is Head.REGRESSION else labels, pooler, activation, output, float(rate))


def _output_name(model_type: str) -> str:
    return "classifier" if model_type == MODEL_TYPE else FAMILIES[model_type].classifier.output


def _dense(folder: Path, tensors: Mapping[str, np.ndarray], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    for name in names:
        if f"{name}.weight" in tensors and f"{name}.bias" in tensors:
            return np.ascontiguousarray(tensors[f"{name}.weight"].T), tensors[f"{name}.bias"]
    raise EncoderError(
        f"{folder}: its weights lack {names[0]}.weight or {names[0]}.bias, so its head was not saved; fine-tune and save it again"
    )


def _head(folder: Path, config: Mapping[str, Any], outputs: int) -> Head:
    kind = config.get("problem_type")
    if kind is not None and kind not in _HEADS:
        raise EncoderError(f"{folder}: config.json: problem_type {kind!r} is not one of {', '.join(_HEADS)}")
    # The default of transformers: one output is a regression.
    head = _HEADS[kind] if kind is not None else Head.REGRESSION if outputs == 1 else Head.SOFTMAX
    if (head is Head.REGRESSION) != (outputs == 1) and head is not Head.MULTILABEL:
        raise EncoderError(f"{folder}: config.json: problem_type {kind!r} with {outputs} outputs cannot be served")
    return head


def _labels(folder: Path, config: Mapping[str, Any], outputs: int) -> tuple[str, ...]:
    place = f"{folder}: config.json"
    count = config.get("num_labels", outputs)
    if not config.get("id2label") and count != outputs:
        raise EncoderError(f"{place}: num_labels is {count!r}, its head has {outputs} outputs; correct num_labels")
    named = config.get("id2label") or {number: f"{DEFAULT_LABEL}{number}" for number in range(outputs)}
    try:
        by_number = {int(number): label for number, label in named.items()}
        if len(by_number) < len(named) or not all(isinstance(label, str | int | float) for label in by_number.values()):
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise EncoderError(f"{place}: id2label must map numbers to labels, got {named!r}; correct id2label") from None
    if sorted(by_number) != list(range(outputs)):
        missing = [number for number in range(outputs) if number not in by_number]
        more = [number for number in sorted(by_number) if not 0 <= number < outputs]
        told = [f"lacks {', '.join(map(str, missing))}"] * bool(missing) + [
            f"has {', '.join(map(str, more))}, too"
        ] * bool(more)
        raise EncoderError(
            f"{place}: id2label names {len(by_number)} labels, its head has {outputs} outputs, 0 to {outputs - 1}; id2label "
            f"{' and '.join(told)}; correct id2label"
        )
    labels = tuple(str(by_number[number]) for number in range(outputs))
    if len(set(labels)) < len(labels):
        raise EncoderError(f"{place}: id2label gives two outputs one name: {', '.join(labels)}; correct id2label")
    if bad := [label for label in labels if label_fault(label)]:
        raise EncoderError(
            f"{place}: id2label has {bad[0]!r}, which cannot be a label: it {label_fault(bad[0])}; correct id2label"
        )
    _check_inverse(place, config.get("label2id"), labels)
    return labels


def _check_inverse(place: str, numbers: Any, labels: tuple[str, ...]) -> None:
    """Refuses a label2id that gives a label of id2label another number; other names in it, such as the default ones, do not count."""
    for number, label in enumerate(labels):
        told = numbers.get(label, number) if isinstance(numbers, Mapping) else number
        if str(told) != str(number):
            raise EncoderError(
                f"{place}: id2label has {label!r} as {number}, label2id as {told!r}; correct the wrong one"
            )
