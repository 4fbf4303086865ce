"""Findings on texts: a column that holds none, texts that tell the label, cells quoted by their writer, missing texts."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from bert_serving.data.findings.finding import DataFinding
from bert_serving.data.splits import label_names
from bert_serving.data.table import LabeledTable
from bert_serving.wording import agreeing, counted, listed, percent

TRAIN = "train"
FEWEST_ROWS = 10
"""of a table whose columns are judged"""
MOST, NEARLY_ALL = 0.5, 0.9
"""shares of the rows from which on a property is one of the column"""
_NO_TEXT = {"nan", "null", "none", "<na>", "n/a", "#n/a"}


def text_findings(tables: Mapping[str, LabeledTable]) -> Iterator[DataFinding]:
    """The findings on texts, by split; with "train"."""
    if len(tables[TRAIN]) >= FEWEST_ROWS:
        yield from _columns(tables[TRAIN])
        yield from _told_labels(tables[TRAIN])
    yield from _quoted_cells(tables)
    yield from _missing(tables)


def _columns(train: LabeledTable) -> Iterator[DataFinding]:
    """Columns that are not what their name says."""
    total = len(train)
    column = "Name the column of the texts (data.text, or --text for a file)."
    text, count = Counter(train.texts).most_common(1)[0]
    if count >= NEARLY_ALL * total and train.pairs is None:
        shown = repr(text if len(text) <= 60 else f"{text[:60]}…")
        yield DataFinding("constant_text", "fix", f"{_of(count, total)} have the same text: {shown}", column)
    if (count := sum(map(_is_identifier, train.texts))) >= NEARLY_ALL * total:
        yield DataFinding(
            "number_texts", "fix", f"The texts of {_of(count, total)} are numbers, such as {train.texts[0]!r}", column
        )
    if train.pairs is not None:
        same = [
            row for row, (first, second) in enumerate(zip(train.texts, train.pairs, strict=True)) if first == second
        ]
        if len(same) > MOST * total:
            title = f"In {_of(len(same), total)} the second text is the same as the first"
            advice = "Name the column of the second texts (data.text_pair, or --text-pair for a file)."
            yield DataFinding("same_pair", "fix", title, advice, rows={TRAIN: same})


def _told_labels(train: LabeledTable) -> Iterator[DataFinding]:
    """Texts that are, begin or end with their own label."""
    equal, inside = [], []
    for row, (text, label) in enumerate(zip(train.texts, train.labels, strict=True)):
        bare = text.strip().casefold()
        for name in map(str.casefold, label_names(label)):
            if bare == name:
                equal.append(row)
            elif _is_at_an_end(name, bare):
                inside.append(row)
    if len(equal) > MOST * len(train):
        title = f"The text of {_of(len(equal), len(train))} is the label itself"
        advice = "Name the columns of texts and labels (data.text and data.label, or --text and --label for a file)."
        yield DataFinding("text_is_label", "fix", title, advice, rows={TRAIN: equal})
    elif len(inside) > MOST * len(train):
        title = f"The text of {_of(len(inside), len(train))} begins or ends with its label"
        advice = "The model learns to read the label instead of the text. Remove the labels from the texts."
        yield DataFinding("text_tells_label", "fix", title, advice, rows={TRAIN: inside})


def _is_at_an_end(name: str, text: str) -> bool:
    before, after = text[-len(name) - 1 : -len(name)], text[len(name) : len(name) + 1]
    return (text.startswith(name) and not after.isalnum()) or (text.endswith(name) and not before.isalnum())


def _quoted_cells(tables: Mapping[str, LabeledTable]) -> Iterator[DataFinding]:
    quoted = {split: rows for split, table in tables.items() if (rows := _quoted_rows(table))}
    if quoted:
        count = sum(map(len, quoted.values()))
        split, rows = next(iter(quoted.items()))
        yield DataFinding(
            "quoted_cells",
            "fix",
            f"{counted(count, 'row')} {agreeing(count, 'holds', 'hold')} cells that were quoted when the file was written, with "
            f"inner quotes doubled, such as row {rows[0] + 1:,} of {split}",
            "The model learns the quotes. TSV is read without quoting: write the table as CSV, JSON lines or Parquet.",
            rows=quoted,
        )


def _missing(tables: Mapping[str, LabeledTable]) -> Iterator[DataFinding]:
    empty = {
        split: rows
        for split, table in tables.items()
        if (rows := [row for row, text in enumerate(table.texts) if text.strip().casefold() in _NO_TEXT])
    }
    if empty:
        values = Counter(tables[split].texts[row].strip() for split, rows in empty.items() for row in rows)
        count = values.total()
        yield DataFinding(
            "no_text",
            "check",
            f"{counted(count, 'text')} {agreeing(count, 'is', 'are')} what programs write for a missing one: "
            f"{listed(f'{value!r} ({rows:,})' for value, rows in values.items())}",
            "A model can only learn the label frequencies from them. Fill the texts in or remove the rows.",
            rows=empty,
        )


def _quoted_rows(table: LabeledTable) -> list[int]:
    """Rows with cells that a writer has quoted: none where other cells hold quotes that it would have doubled."""
    columns = [table.texts] if table.pairs is None else [table.texts, table.pairs]
    quoted = sorted({row for cells in columns for row, cell in enumerate(cells) if _is_quoted(cell)})
    doubled = sum('""' in cell[1:-1] for cells in columns for cell in cells if _is_quoted(cell))
    unlike = sum('"' in cell and not _is_quoted(cell) for cells in columns for cell in cells)
    is_written = doubled > unlike or (len(quoted) >= max(NEARLY_ALL * len(table), FEWEST_ROWS))
    labels = [row for row, label in enumerate(table.labels) if any(map(_is_quoted, label_names(label)))]
    return sorted({*labels, *(quoted if is_written else [])})


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")


def _is_identifier(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?[0-9][0-9.,:/-]*\s*", text) is not None


def _of(count: int, total: int) -> str:
    return f"{percent(count / total)} of the training rows"
