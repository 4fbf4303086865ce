"""A model on a server, with the names of its probabilities: as the model tells them, or as given and checked against its answers."""

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from bert_serving.answers import answer_texts, relative_to
from bert_serving.clients.model_address import ModelAddress
from bert_serving.contract import Head, Thresholds
from bert_serving.data.cells import label_name
from bert_serving.errors import InputError, ServableNotFound
from bert_serving.io.proxies import without_password

if TYPE_CHECKING:
    import numpy as np

Rows = Sequence[Sequence[float]]
"""C numbers for each text; the base package, which asks servers, has no numpy"""
GIVEN = "--labels"
"""source of labels that the user gave"""
_TOLD = "the model"
_SHOWN_LABELS = 20
_ROUNDING = 1e-6
_REMEDIES = {GIVEN: "name all in the model's order", _TOLD: "was another model loaded under this name? start again"}


@dataclass(frozen=True)
class RemoteModel:
    """One version of a model on a server.

    Attributes:
        name: its address, without user and password.
        client: client of the server.
        model: name of the model on the server.
        choice: keyword arguments of the client's `predict` that select the version.
        pinned: version that was the latest, where the address names none; None if the server does
            not tell or the address names one.
        head: what the model predicts; None if it does not tell.
        labels: names of its probabilities in order, empty for a regression; None if it does not
            tell and none were given.
        pairs: whether it takes pairs of texts; None if it does not tell.
        source: where the labels are from.
        thresholds: by which it predicts labels from probabilities; () without fitted ones.
    """

    name: str
    client: Any
    model: str
    choice: dict[str, Any]
    pinned: int | None
    head: Head | None
    labels: tuple[str, ...] | None
    pairs: bool | None
    source: str
    thresholds: Thresholds = ()

    @classmethod
    def open(cls, name: str, labels: Sequence[str] | None = None) -> Self:
        """Asks a server for the head and the labels of a model.

        Args:
            name: address of the model.
            labels: names of all labels in order, for a model that does not tell.

        Raises:
            InputError: `name` is not an address, or the model tells other labels than `labels`.
            ServerUnavailable: no answer.
        """
        address = ModelAddress.parse(name)
        shown = without_password(name)
        client = address.client()
        try:
            told = client.describe(address.name, **address.version)
            known = () if told.head is Head.REGRESSION else told.labels
            check_given_labels(shown, known, labels)
        except BaseException:
            client.close()
            raise
        # All answers are to be of one version, also when another one is loaded meanwhile.
        pinned = None if address.version else told.version
        choice = address.version if told.version is None else {"version": told.version}
        names = known if known is not None else tuple(labels) if labels else None
        source = GIVEN if known is None else _TOLD
        model = cls(shown, client, address.name, choice, pinned, told.head, names, told.pairs, source, told.thresholds)
        weakref.finalize(model, client.close)
        return model

    def answers(self, texts: Sequence[str], pairs: Sequence[str] | None) -> tuple[Rows, list[str]]:
        """Probabilities, N rows of C, and the answered labels; neither is checked.

        Raises:
            InputError: the answers differ in the number of probabilities.
            RequestError: the server refuses the request or does not answer.
        """
        try:
            predictions = self.client.predict(self.model, texts, text_pairs=pairs, **self.choice)
        except ServableNotFound as error:
            if self.pinned is None:
                raise
            raise ServableNotFound(f"{error}: this was the latest version at the start; start again") from None
        if len(widths := {len(prediction.probabilities) for prediction in predictions}) > 1:
            numbers = " and ".join(map(str, sorted(widths)))
            raise InputError(f"{self.name} returns {numbers} probabilities: were versions replaced? start again")
        values = [prediction.probabilities for prediction in predictions]
        return values, [prediction.label for prediction in predictions]

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Rows:
        """Probabilities, N rows of C, checked against the labels where these are known.

        Raises:
            InputError: they do not fit.
            RequestError: the server refuses the request or does not answer.
        """
        values, answered = self.answers(texts, pairs)
        if self.labels is not None:
            check_answers(
                self.name,
                self.head,
                self.labels,
                values,
                answered,
                source=self.source,
                thresholds=self.thresholds,
            )
        return values


def check_given_labels(name: str, known: Sequence[str] | None, given: Sequence[str] | None) -> None:
    """Checks that labels which the user gave are those that a model tells, in its order.

    Raises:
        InputError: they are not.
    """
    if known is None or given is None or list(map(label_name, known)) == list(map(label_name, given)):
        return
    raise InputError(
        f"{name} has the labels {shown_labels(known) or 'of no class: it predicts a number'}, "
        f"{GIVEN} names {shown_labels(given)}; leave out {GIVEN}"
    )


def check_answers(
    name: str,
    head: Head | None,
    labels: tuple[str, ...],
    values: "np.ndarray | Rows",
    answered: Sequence[str] | None,
    *,
    source: str = "the data",
    thresholds: Thresholds = (),
) -> None:
    """Checks the number of labels, and their order against the labels that a server answered.

    Args:
        name: the model, for messages.
        head: what it predicts; None is taken for softmax.
        labels: names in the order that is taken.
        values: probabilities, N rows of C.
        answered: the label that came with each row of them; None for a model that gives none.
        source: where the names are from.
        thresholds: by which the model predicts labels from probabilities.

    Raises:
        InputError: they do not fit.
    """
    if head is Head.REGRESSION or not len(values):
        return
    if (width := len(values[0])) != len(labels):
        verb = "names" if source == GIVEN else "has"
        raise InputError(
            f"{name} returns {width} probabilities, {source} {verb} {len(labels)} labels; "
            f"name all in order with {GIVEN}"
        )
    if answered is None:
        return
    # A label has one name, but an answer of several is not one.
    name_of = str if head is Head.MULTILABEL else label_name
    names = tuple(map(name_of, labels))
    for answer, expected, row in zip(answered, answer_texts(head, names, values, thresholds), values, strict=True):
        found = name_of(answer)
        if found == expected or not all(map(math.isfinite, row)):
            continue
        # Either label is right where both have the same probability; and a user may rename a model's labels.
        is_tie = head is not Head.MULTILABEL and found in names and _is_tie(row, names.index(found), thresholds)
        is_renamed = source == GIVEN and found not in names
        if not is_tie and not is_renamed:
            remedy = _REMEDIES.get(source, f"name all in the model's order with {GIVEN}")
            raise InputError(
                f"{name} answers {found!r} where the order of labels of {source} ({shown_labels(labels)}) "
                f"says {expected!r}; {remedy}"
            )


def _is_tie(row: Sequence[float], position: int, thresholds: Thresholds) -> bool:
    """Whether a label is as likely as the likeliest, but for float32's rounding of multiples of thresholds."""
    relative = relative_to(thresholds, row)
    return relative[position] >= max(relative) * (1 - _ROUNDING if thresholds else 1)


def shown_labels(labels: Sequence[str]) -> str:
    """Labels for a message, with the number of those that are left out."""
    more = f" and {len(labels) - _SHOWN_LABELS} more" if len(labels) > _SHOWN_LABELS else ""
    return ", ".join(map(repr, labels[:_SHOWN_LABELS])) + more
