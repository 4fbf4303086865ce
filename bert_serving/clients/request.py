"""What a client wants classified, and by what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bert_serving.clients.errors import check_texts
from bert_serving.errors import InvalidRequest

# TensorFlow Serving has no limit worth the name, but what stands before a server often has.
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """Texts for a model.

    Attributes:
        model: name of the model.
        texts: what to classify.
        text_pairs: second texts, for a classifier of pairs.
        version: version to ask, else the latest.
        version_label: label of the version to ask.
        signature: signature to run, else the default one.

    Raises:
        InvalidRequest: it can be seen without a server that none could answer.
    """

    model: str
    texts: Sequence[str]
    text_pairs: Sequence[str] | None = None
    version: int | None = None
    version_label: str | None = None
    signature: str | None = None

    def __post_init__(self) -> None:
        check_texts(self.texts, self.text_pairs)
        if self.version is not None and self.version_label is not None:
            raise InvalidRequest(
                f"Both a version, {self.version}, and a label, {self.version_label!r}, are given: give one of them"
            )
        if self.texts and not self.model:
            raise InvalidRequest("The model's name is empty: give the name that the server was started with")

    def parts(self, most_rows: int) -> Iterator["PredictRequest"]:
        """The same question as several of at most so many rows and about a megabyte; none when there are no texts."""
        start = size = 0
        for row, text in enumerate(self.texts):
            bytes_ = len(text.encode()) + (0 if self.text_pairs is None else len(self.text_pairs[row].encode()))
            if row > start and (row - start == most_rows or size + bytes_ > _MOST_BYTES):
                yield self._rows(slice(start, row))
                start, size = row, 0
            size += bytes_
        if start < len(self.texts):
            yield self._rows(slice(start, len(self.texts)))

    def _rows(self, rows: slice) -> "PredictRequest":
        pairs = None if self.text_pairs is None else self.text_pairs[rows]
        return replace(self, texts=self.texts[rows], text_pairs=pairs)
