"""What a server tells about a model: its versions with their states, its head, and the names of its probabilities."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bert_serving import contract
from bert_serving.answers import answer_texts
from bert_serving.clients.prediction import Prediction
from bert_serving.contract import Head, Thresholds
from bert_serving.errors import InvalidRequest

PROBES = (
    *("a", "good", "bad", "no", "why?", "123", "I love it", "where is my order?", "it rains in Paris", "thank you"),
    *("she was afraid", "the price rose by ten percent", "buy now", "they won the match", "not again!", "ok"),
)
"""texts whose probabilities tell the order of the labels of a model that has no signature for it"""


@dataclass(frozen=True)
class VersionStatus:
    """State of one version.

    Attributes:
        version: number of the version.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error_code: name of the canonical status code, "OK" without an error.
        error_message: the error, empty without one.

    ```python
    import bert_serving as bs

    with bs.Client("grpc://localhost:8500/tiny") as client:
        print([status.version for status in client.status() if status.state == "AVAILABLE"])
    ```
    """

    version: int
    state: str
    error_code: str = "OK"
    error_message: str = ""


@dataclass(frozen=True)
class ServedModel:
    """One version of a model on a server; what it does not tell is None.

    Attributes:
        version: number of the version.
        pairs: whether it takes pairs of texts.
        head: what it predicts.
        labels: names of the C probabilities, in order; those of a regression are ("value",).
        thresholds: by which it predicts labels from probabilities (`contract.Thresholds`); () without fitted ones.
    """

    version: int | None = None
    pairs: bool | None = None
    head: Head | None = None
    labels: tuple[str, ...] | None = None
    thresholds: Thresholds = ()


class Named(NamedTuple):
    """Head, labels and thresholds of a model, as `ServedModel` has them."""

    head: Head
    labels: tuple[str, ...]
    thresholds: Thresholds = ()


@dataclass(frozen=True)
class Signatures:
    """The signatures of a version, as its metadata lists them.

    Attributes:
        version: number of the version.
        names: inputs and outputs by signature.
    """

    version: int
    names: Mapping[str, tuple[frozenset[str], frozenset[str]]]

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "Signatures | None":
        """Reads metadata in the JSON form of the REST API; None if it has another form."""
        try:
            table = metadata["metadata"]["signature_def"]["signature_def"]
            names = {
                name: (frozenset(signature["inputs"]), frozenset(signature["outputs"]))
                for name, signature in table.items()
            }
            return cls(int(metadata["model_spec"]["version"]), names)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def check_classifier(self, model: str) -> bool:
        """Checks that `serving_default` is that of a text classifier; whether it takes pairs of texts.

        Raises:
            InvalidRequest: it is not, or there is none.
        """
        texts, answer = {contract.TEXT}, {contract.LABEL, contract.PROBABILITIES}
        pairs = {contract.TEXT, contract.TEXT_PAIR}
        if self.has(contract.SERVING_DEFAULT, texts, answer) or self.has(contract.SERVING_DEFAULT, pairs, answer):
            return self.has(contract.SERVING_DEFAULT, pairs, answer)
        if contract.SERVING_DEFAULT not in self.names:
            raise InvalidRequest(
                f"Model {model} has no signature {contract.SERVING_DEFAULT}, only {', '.join(sorted(self.names)) or 'none'}"
            )
        taken, given = (", ".join(sorted(names)) or "nothing" for names in self.names[contract.SERVING_DEFAULT])
        raise InvalidRequest(
            f"Model {model} takes {taken} and returns {given}: it is not a text classifier, which takes {contract.TEXT} "
            f"(for pairs also {contract.TEXT_PAIR}) and returns {contract.LABEL} and {contract.PROBABILITIES}"
        )

    def has(self, name: str, inputs: set[str], outputs: set[str]) -> bool:
        """Whether there is a signature with exactly these inputs and at least these outputs."""
        taken, given = self.names.get(name, (frozenset(), frozenset()))
        return taken == inputs and given >= outputs


def named_by_signature(rows: Sequence[Mapping[str, Any]]) -> Named | None:
    """Head, labels and thresholds in the answer of the signature `labels`; None if it is of another form."""
    try:
        labels, head = rows[0][contract.LABELS], Head(rows[0][contract.HEAD])
        told = rows[0].get(contract.THRESHOLDS, ())
        # REST has the shortest decimals for float32; only as such are they the model's.
        thresholds = struct.unpack(f"{len(told)}f", struct.pack(f"{len(told)}f", *told))
    except (LookupError, ValueError, TypeError, OverflowError, struct.error):
        return None
    is_list_of_names = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    return Named(head, tuple(labels), thresholds) if is_list_of_names else None


def named_by_scores(ranked: Sequence[Mapping[str, Any]], predictions: Sequence[Prediction]) -> Named | None:
    """Head and labels, from answers that name the classes by descending score and answers that give probabilities in order.

    Args:
        ranked: `classes` and `scores` of each text.
        predictions: of the same texts.

    Returns:
        None if the answers leave the order open, as between classes with equal probabilities for every text.
    """
    try:
        labels = _order([(row[contract.CLASSES], row[contract.SCORES]) for row in ranked], predictions)
    except (LookupError, TypeError, ValueError):
        return None
    head = None if labels is None else _head(labels, predictions)
    return None if labels is None or head is None else Named(head, labels)


def _order(
    ranked: Sequence[tuple[Sequence[str], Sequence[float]]], predictions: Sequence[Prediction]
) -> tuple[str, ...] | None:
    """Names by position. Classes and positions get the same rank for each text, unless others are too close to tell."""
    width = len(predictions[0].probabilities)
    ranks_of_names: dict[str, list[int]] = {name: [] for name in ranked[0][0]}
    ranks_of_positions: list[list[int]] = [[] for _ in range(width)]
    if len(ranked) != len(predictions) or len(ranks_of_names) != width:
        return None
    for (classes, scores), prediction in zip(ranked, predictions, strict=True):
        values = prediction.probabilities
        positions = sorted(range(width), key=lambda position: -values[position])
        pairs = [(score, values[position]) for score, position in zip(scores, positions, strict=True)]
        # The same text in two requests may differ by rounding: closer values than that have no order.
        noise = max(abs(score - value) / max(abs(value), 1e-30) for score, value in pairs)
        if not noise < 0.01:  # another version answered, or a value is NaN
            return None
        rank = 0
        for place, (name, position) in enumerate(zip(classes, positions, strict=True)):
            if place and pairs[place - 1][1] - pairs[place][1] > 4 * noise * abs(pairs[place - 1][1]):
                rank = place
            ranks_of_names[name].append(rank)
            ranks_of_positions[position].append(rank)
    names = {tuple(ranks): name for name, ranks in ranks_of_names.items()}
    keys = [tuple(ranks) for ranks in ranks_of_positions]
    return tuple(names[key] for key in keys) if set(keys) == set(names) and len(names) == width else None


def _head(labels: Sequence[str], predictions: Sequence[Prediction]) -> Head | None:
    """The head whose answers these are."""
    if labels == (contract.REGRESSION_CLASS,) and all(_is_number(prediction.label) for prediction in predictions):
        return Head.REGRESSION
    sums = [sum(prediction.probabilities) for prediction in predictions]
    # A binary head with one logit answers like a softmax of two.
    head = Head.SOFTMAX if all(abs(total - 1) < 0.01 for total in sums) else Head.MULTILABEL
    answers = answer_texts(head, labels, [each.probabilities for each in predictions])
    return head if answers == [each.label for each in predictions] else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
