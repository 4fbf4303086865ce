"""What every model of the Python interface can do: predict the labels of texts, and be evaluated on labeled rows."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from bert_serving import notebook
from bert_serving.clients.prediction import Prediction
from bert_serving.contract import Head
from bert_serving.data.in_memory import labeled_table
from bert_serving.errors import InputError
from bert_serving.model.model import Model, predict_table
from bert_serving.model.texts import predict_texts


class Predictions(list[Prediction]):
    """Predictions in the order of the texts; in a notebook a table with bars."""

    def __init__(self, texts: Sequence[str], predictions: Iterable[Prediction]):
        """Keeps the texts for display."""
        super().__init__(predictions)
        self._texts = texts

    def _repr_html_(self) -> str:
        names = max((prediction.labels for prediction in self), key=len, default=())
        rows = [
            (
                notebook.text(text),
                notebook.text(prediction.label),
                *(notebook.bar(value) for value in prediction.probabilities if len(prediction.probabilities) > 1),
            )
            for text, prediction in zip(self._texts, self, strict=True)
        ]
        return notebook.table(("text", "label", *(names if len(names) > 1 else ())), rows)


class Scores(dict[str, Any]):
    """Scores by name, as `bert-serving evaluate --json` prints them; in a notebook tables."""

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in self.items() if isinstance(value, int | float)]
        classes = self.get("per_class", {})
        columns: dict[str, Any] = next(iter(classes.values()), {})
        per_class = [
            (notebook.text(label), *(notebook.text(values[name]) for name in columns))
            for label, values in classes.items()
        ]
        return notebook.facts(rows) + (notebook.table(("label", *columns), per_class) if classes else "")


class Predictor(ABC):
    """A model that answers with labels and probabilities."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities in order; empty for a regression, and for a server that does not tell."""

    @abstractmethod
    def _opened(self) -> Model:
        """The model, ready to answer."""

    def _columns(self) -> dict[str, Any]:
        """Names of the columns of labeled rows, where the model has its own."""
        return {}

    def predict(self, texts: str | Iterable[str], text_pairs: str | Iterable[str] | None = None) -> list[Prediction]:
        """Predicts the labels of texts.

        Args:
            texts: the texts; a single string is one text.
            text_pairs: the second texts, for a classifier of pairs.

        Returns:
            a prediction for each text, in order.

        Raises:
            InputError: a text is no string, or the model takes pairs and got single texts, or the other way round.
            RequestError: a server refuses the request or does not answer.

        ```python
        import bert_serving as bs

        model = bs.load("runs/tiny")
        print(model.predict(["a good film", "a bad wheel"])[0].label)
        ```
        """
        first = _strings(texts, "text")
        second = None if text_pairs is None else _strings(text_pairs, "second text")
        if second is not None and len(second) != len(first):
            raise InputError(f"got {len(first)} texts and {len(second)} second texts; give the same number of both")
        model = self._opened()
        if model.pairs is not None and model.pairs != (second is not None):
            needed, found = ("text_pairs, too", "texts alone") if model.pairs else ("texts alone", "text_pairs, too")
            raise InputError(f"{model.name} takes {needed}, got {found}")
        answers = predict_texts(model, first, second)
        return Predictions(
            first,
            [
                Prediction(label, tuple(values), answers.labels)
                for label, values in zip(answers.predicted, answers.rows, strict=True)
            ],
        )

    def evaluate(
        self,
        data: Any,
        *,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        text_pair: str | None = None,
    ) -> dict[str, Any]:
        """Measures the model on labeled rows.

        Args:
            data: labeled rows: a path or several, a pandas DataFrame, a `datasets.Dataset`, a `tf.data.Dataset` of (text, label),
                a dict of columns, or a list of (text, label).
            text: name of the text column, where the data has names; None for that of a run's own data, else "text".
            label: name of the label column, or names of columns of 0 and 1 for a multilabel head; None for that of a run's own
                data, else "label".
            text_pair: name of the second text column, for pairs; None for that of a run's own data, else "text_pair".

        Returns:
            the scores that fit the head, such as accuracy, macro_f1, log_loss and per_class.

        Raises:
            DataError: the rows cannot be read, or a label is not among the model's.
            RequestError: a server refuses the request or does not answer.

        ```python
        import bert_serving as bs

        scores = bs.load("runs/tiny").evaluate([("a good film", "praise"), ("a bad wheel", "blame")])
        print(scores["accuracy"])
        ```
        """
        model = self._opened()
        given = {"text": text, "label": label, "text_pair": text_pair}
        names = self._columns() | {name: column for name, column in given.items() if column is not None}
        if model.pairs:
            names.setdefault("text_pair", "text_pair")
        table = labeled_table(data, model.head or Head.SOFTMAX, model.labels or (), **names)
        return Scores(predict_table(model, table).metrics)


def _strings(texts: str | Iterable[str], what: str) -> list[str]:
    if isinstance(texts, str):
        return [texts]
    try:
        found = list(texts)
    except TypeError:
        raise InputError(f"expected a list of strings, got {texts!r}") from None
    for number, value in enumerate(found, start=1):
        if not isinstance(value, str):
            raise InputError(f"{what} {number} is {value!r}; give strings")
    return found
