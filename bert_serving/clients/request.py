"""A request to classify texts, checked without a server, and its parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bert_serving.errors import InvalidRequest

# TensorFlow Serving takes up to 2 GiB, but proxies before a server often limit a request to a few
# megabytes.
_MAX_PART_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """Texts for a model.

    Attributes:
        model: name of the model.
        texts: texts to classify.
        text_pairs: second texts, for a classifier of pairs.
        version: version to ask, else the latest.
        version_label: label of the version to ask.
        signature: signature to run, else the default one.

    Raises:
        InvalidRequest: no server could answer.
    """

    model: str
    texts: Sequence[str]
    text_pairs: Sequence[str] | None = None
    version: int | None = None
    version_label: str | None = None
    signature: str | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        _check_texts("texts", self.texts)
        if self.text_pairs is not None:
            _check_texts("text_pairs", self.text_pairs)
            if len(self.text_pairs) != len(self.texts):
                raise InvalidRequest(
                    f"{len(self.texts)} texts, but {len(self.text_pairs)} text_pairs: give one pair for each text"
                )
        if self.version is not None and self.version_label is not None:
            raise InvalidRequest(
                f"Both a version, {self.version}, and a label, {self.version_label!r}, are given: give one of them"
            )
        check_version(self.version)
        if self.texts:
            check_model_name(self.model)

    def parts(self, max_rows: int) -> Iterator["PredictRequest"]:
        """Parts of at most `max_rows` texts and about a megabyte; none without texts."""
        start = size = 0
        for row, text in enumerate(self.texts):
            bytes_ = len(text.encode()) + (0 if self.text_pairs is None else len(self.text_pairs[row].encode()))
            if row > start and (row - start == max_rows or size + bytes_ > _MAX_PART_BYTES):
                yield self._rows(slice(start, row))
                start, size = row, 0
            size += bytes_
        if start < len(self.texts):
            yield self._rows(slice(start, len(self.texts)))

    def _rows(self, rows: slice) -> "PredictRequest":
        pairs = None if self.text_pairs is None else self.text_pairs[rows]
        return replace(self, texts=self.texts[rows], text_pairs=pairs)


def check_model_name(model: str) -> None:
    """Checks the name of a model.

    Raises:
        InvalidRequest: it is empty.
    """
    if not model:
        raise InvalidRequest("The model's name is empty: give the name that the server was started with")


def check_version(version: int | None) -> None:
    """Checks the number of a version.

    Raises:
        InvalidRequest: it is not a whole number from 0 to 2**63 - 1.
    """
    if version is None or (type(version) is int and 0 <= version < 1 << 63):
        return
    raise InvalidRequest(f"The version is {version!r}: give a whole number from 0 to {(1 << 63) - 1}")


def _check_texts(name: str, texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise InvalidRequest(f"{name} is one string, {texts[:40]!r}: give a list of strings")
    for text in texts:
        if not isinstance(text, str):
            raise InvalidRequest(f"{name} holds {text!r}: give strings only")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidRequest(
                f"{name} holds {text[:40]!r}, which UTF-8 cannot encode: remove the lone surrogate"
            ) from None
