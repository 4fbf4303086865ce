"""Answers to texts that an engine hands over: what is wrong with a text, the model's answer, or why there is none."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bert_serving.answers import answer_texts, predicted_labels
from bert_serving.contract import Head
from bert_serving.errors import InputError
from bert_serving.scoring.model_files import ModelFiles
from bert_serving.scoring.scorer import Scorer


class Answer(NamedTuple):
    """What a model answers to a text.

    Attributes:
        label: the likeliest label; of a multilabel head all predicted labels; None for regression and for a failure.
        probability: that of the label; None for multilabel heads, regression and a failure.
        probabilities: of all labels, in the model's order; for regression the number. Empty for a failure.
        failure: why the text was not scored; None if it was.
    """

    label: str | None
    probability: float | None
    probabilities: tuple[float, ...]
    failure: str | None = None


def answers_to(items: Sequence[Any], files: ModelFiles, scorer: Scorer) -> list[Answer]:
    """Answers to a batch, one for each item, in its order; an item that cannot be scored fails alone.

    Args:
        items: strings, or pairs of strings for a model of pairs.
        files: the model.
        scorer: the same model, loaded.
    """
    faults = [fault_of(item, pairs=files.pairs) for item in items]
    good = [number for number, fault in enumerate(faults) if not fault]
    scores = scorer.score(*_texts([items[number] for number in good], pairs=files.pairs))
    found = dict(zip(good, answers_of(scores.values, files), strict=True))
    failures = {good[number]: reason for number, reason in scores.failures.items()}
    reasons = [fault or failures.get(number) for number, fault in enumerate(faults)]
    return [Answer(None, None, (), reason) if reason else found[number] for number, reason in enumerate(reasons)]


def answers_of(values: np.ndarray, files: ModelFiles) -> list[Answer]:
    """Answers from a model's values.

    Args:
        values: probabilities, float [N, C]; for regression numbers [N, 1].
        files: the model.
    """
    rows = [tuple(row) for row in values.tolist()]
    if files.head is Head.REGRESSION:
        return [Answer(None, None, row) for row in rows]
    labels = answer_texts(files.head, files.labels, rows, files.thresholds)
    if files.head is Head.MULTILABEL:
        return [Answer(label, None, row) for label, row in zip(labels, rows, strict=True)]
    chosen = predicted_labels(files.head, values, files.thresholds)
    return [Answer(label, row[index], row) for label, row, index in zip(labels, rows, chosen, strict=True)]


def fault_of(item: Any, *, pairs: bool) -> str:
    """What is wrong with an item; empty if nothing is.

    Args:
        item: anything.
        pairs: whether it is to be a pair of strings, instead of a string.
    """
    parts = item if isinstance(item, tuple | list) else (item,)
    if len(parts) != 1 + pairs:
        return f"expected {'a pair of strings' if pairs else 'a string'}, got {item!r:.100}"
    return next(filter(None, map(_fault_of_text, parts)), "")


def check_pairs(files: ModelFiles, text_pair: str | None, option: str = "text_pair") -> None:
    """Checks that there are second texts if the model takes pairs, and none otherwise.

    Args:
        files: the model.
        text_pair: name of the second texts; None where there are none.
        option: how the caller names them, for messages.

    Raises:
        InputError: it is not so.
    """
    if files.pairs != (text_pair is not None):
        remedy = f"name the second texts with {option}" if files.pairs else f"leave out {option}"
        raise InputError(f"{files.path}: takes {'pairs of texts' if files.pairs else 'single texts'}; {remedy}")


def _fault_of_text(text: Any) -> str:
    if isinstance(text, bytes):
        try:
            text.decode()
        except UnicodeDecodeError as error:
            return f"is not valid UTF-8 at byte {error.start}"
    if not isinstance(text, str):
        return f"expected a string, got {text!r:.100}"
    if not text.strip():
        return "has no text"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half a surrogate pair"
    return ""


def _texts(items: Sequence[Any], *, pairs: bool) -> tuple[list[str], list[str] | None]:
    if pairs:
        return [first for first, _ in items], [second for _, second in items]
    return [item if isinstance(item, str) else item[0] for item in items], None
