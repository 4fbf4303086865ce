"""Records of CSV and TSV content one at a time, where a wrong record costs only itself."""

import contextlib
import csv
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bert_serving.data.separated import Dialect, without_quote

_WIDEST_FIELD = 1 << 30
_UNCLOSED = "unexpected end of data"


class CsvRecord(NamedTuple):
    """A record.

    Attributes:
        cells: its cells; bytes that are not UTF-8 are surrogates. None for a record with wrong quotes.
        fault: what is wrong with its quotes.
        is_unclosed: whether a quotation mark is open at the end of the content.
    """

    cells: list[str] | None
    fault: str = ""
    is_unclosed: bool = False


@contextlib.contextmanager
def wide_fields() -> Iterator[None]:
    """Raises the limit on the length of a field, 128 KiB by default, which belongs to the whole process."""
    limit = csv.field_size_limit(_WIDEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


class CsvRecords:
    """The records of lines; blank lines are none."""

    def __init__(self, lines: Iterator[bytes], dialect: Dialect):
        """Reads nothing yet; `lines` is read no further than each record needs."""
        self._lines, self._dialect = lines, dialect

    def __iter__(self) -> Iterator[CsvRecord]:
        """The next records."""
        texts = (line.decode("utf-8", "surrogateescape") for line in self._lines)
        return self._quoted(texts) if self._dialect.is_quoted else self._plain(texts)

    def _plain(self, lines: Iterable[str]) -> Iterator[CsvRecord]:
        for line in lines:
            content = line.removesuffix("\n").removesuffix("\r")
            if content:
                yield CsvRecord([without_quote(cell) for cell in content.split(self._dialect.separator)])

    def _quoted(self, lines: Iterable[str]) -> Iterator[CsvRecord]:
        reader = csv.reader(lines, delimiter=self._dialect.separator, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                # The reader begins anew with the next line.
                yield CsvRecord(None, str(error), _UNCLOSED in str(error))
            else:
                if cells:
                    yield CsvRecord(cells)
