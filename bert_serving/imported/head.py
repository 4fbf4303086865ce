"""What the last dense layer of a foreign model predicts, and the names of its outputs."""

import numpy as np
import tensorflow as tf

from bert_serving.classifier import probabilities
from bert_serving.contract import Head, label_fault
from bert_serving.errors import ExportError
from bert_serving.imported.options import ImportOptions

OUTPUT_ACTIVATIONS = {
    "linear": lambda logits: logits,
    "sigmoid": tf.sigmoid,
    "softmax": tf.nn.softmax,
}
"""activations of the last dense layer, by Keras' names"""

_HEADS = {
    "linear": (Head.BINARY, Head.REGRESSION, Head.SOFTMAX, Head.MULTILABEL),
    "sigmoid": (Head.BINARY, Head.MULTILABEL),
    "softmax": (Head.SOFTMAX,),
}


def choose_head(source: str, activation: str, outputs: int, options: ImportOptions) -> Head:
    """The head for a dense layer with this activation.

    Args:
        source: for messages.
        activation: a name in `OUTPUT_ACTIVATIONS`.
        outputs: units of the layer.
        options: may name the head.

    Raises:
        ExportError: the named head has other outputs or another activation.
    """
    possible = [head for head in _HEADS[activation] if _fits(head, outputs)]
    if not possible:
        raise ExportError(
            f"{source}: its last layer has {outputs} output with {activation}, which is no classifier: its answer never changes"
        )
    if options.head is None:
        # One output with a sigmoid may be the only label of several that are independent.
        alone = outputs == 1 and len(options.labels) == 1 and Head.MULTILABEL in possible
        return Head.MULTILABEL if alone else possible[0]
    if options.head not in possible:
        raise ExportError(
            f"{source}: --head {options.head} does not fit its last layer, which has {_outputs(outputs)} and the activation "
            f"{activation}; give {' or '.join(possible)}, or leave --head out"
        )
    return options.head


def check_labels(source: str, head: Head, outputs: int, labels: tuple[str, ...]) -> None:
    """Refuses labels that do not fit the outputs.

    Raises:
        ExportError: there are too many, too few, or one cannot be a label.
    """
    needed = {Head.REGRESSION: 0, Head.BINARY: 2}.get(head, outputs)
    if len(labels) != needed:
        raise ExportError(f"{source}: {_needed(head, outputs)}; {_got(labels)}")
    if len(set(labels)) < len(labels):
        raise ExportError(f"{source}: --labels names one label twice: {', '.join(labels)}; give each output its own")
    if bad := [label for label in labels if label_fault(label)]:
        raise ExportError(f"{source}: --labels has {bad[0]!r}, which cannot be a label: it {label_fault(bad[0])}")


def ambiguous(head: Head, activation: str, outputs: int, options: ImportOptions) -> str | None:
    """What a person should know where the outputs fit another head as well; None where they do not."""
    if activation != "linear" or options.head is not None or outputs == 1:
        return None
    return (
        f"its {outputs} outputs are logits without an activation, taken for those of a {head} (one label for each text); if the labels are "
        "independent of each other, export with --head multilabel"
    )


def answers(head: Head, activation: str, values: np.ndarray) -> np.ndarray:
    """A model's outputs [N, outputs], computed with `activation`, as probabilities [N, C]; a regression's values pass through."""
    if activation == "linear":
        return np.asarray(probabilities(head, tf.constant(values, tf.float32)))
    return np.concatenate([1 - values, values], axis=1) if head is Head.BINARY else values


def _fits(head: Head, outputs: int) -> bool:
    if head in (Head.BINARY, Head.REGRESSION):
        return outputs == 1
    return outputs > 1 or head is Head.MULTILABEL


def _needed(head: Head, outputs: int) -> str:
    if head is Head.REGRESSION:
        return "a regression has no labels, leave --labels out"
    if head is Head.BINARY:
        return (
            "its one output is a score for the second of two labels, so name two, such as --labels negative,positive "
            "(or --head regression for a model that predicts a number)"
        )
    return f"its last layer has {_outputs(outputs)}, so name {outputs} labels in their order with --labels"


def _got(labels: tuple[str, ...]) -> str:
    return f"got {len(labels)}: {', '.join(labels)}" if labels else "got none"


def _outputs(count: int) -> str:
    return f"{count} output{'s' * (count != 1)}"
