"""Labeled rows that a Python program holds: DataFrames, datasets, tf.data, columns, lists of rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.raw_table import RawTable, quoted
from bert_serving.data.table import LabeledTable, join_tables, read_table
from bert_serving.errors import DataError
from bert_serving.wording import counted, listed

_FORMS = (
    "give a path, a pandas DataFrame, a datasets.Dataset, a tf.data.Dataset of (text, label), a dict of columns such as "
    '{"text": [...], "label": [...]}, or a list of (text, label)'
)


def labeled_table(
    data: Any,
    head: Head,
    labels: Sequence[str] = (),
    *,
    text: str = "text",
    label: str | Sequence[str] = "label",
    text_pair: str | None = None,
) -> LabeledTable:
    """Labeled rows in any form, as a table.

    Args:
        data: a path or several (files and label folders, as a run file names them), a pandas DataFrame, a Hugging Face
            `datasets.Dataset`, a `tf.data.Dataset` of (text, label) with or without batches, a dict of columns, or a list of
            (text, label); with pairs of texts ((text, text_pair), label) in a `tf.data.Dataset`, (text, text_pair, label) in a
            list.
        head: decides what a label is.
        labels: the model's labels in order. Integers are indices into them, unless a label is itself a number.
        text: name of the text column, where the data has names.
        label: name of the label column; several names are columns of 0 and 1 for a multilabel head.
        text_pair: name of the second text column, for pairs.

    Raises:
        DataError: the data has none of these forms, lacks a column, or has a row that cannot be used; names the row.

    ```python
    from bert_serving.contract import Head
    from bert_serving.data.in_memory import labeled_table

    table = labeled_table([("so good", 1), ("so bad", 0)], Head.SOFTMAX, ("neg", "pos"))
    assert table.labels == ["pos", "neg"]
    ```
    """
    columns = DataConfig(
        train=(Path("memory"),), text=text, text_pair=text_pair, label=label if isinstance(label, str) else tuple(label)
    )
    if (paths := _paths(data)) is not None:
        return read_table(paths, columns, head)
    if not isinstance(columns.label, str) and (_is_a(data, "tensorflow", "DatasetV2") or _is_list_of_rows(data)):
        # Rows without names hold their labels together.
        columns = columns.model_copy(update={"label": "label"})
    table = _raw_table(data, columns, head, labels)
    if isinstance(columns.label, str) and columns.label not in table.class_names and head is not Head.REGRESSION:
        table.class_names[columns.label] = _class_names(table.column(columns.label), labels)
    return join_tables([table], columns, head, str(table.path))


def _paths(data: Any) -> list[Path] | None:
    if isinstance(data, str | Path):
        return [Path(data)]
    if isinstance(data, list | tuple) and data and all(isinstance(item, str | Path) for item in data):
        return [Path(item) for item in data]
    return None


def _raw_table(data: Any, columns: DataConfig, head: Head, labels: Sequence[str]) -> RawTable:
    for package, name, read in _KINDS:
        if _is_a(data, package, name):
            return read(data, columns, head, labels)
    if isinstance(data, Mapping):
        return _table("the dict", {str(name): list(values) for name, values in data.items()})
    # A tuple may be meant as (texts, labels), which a list of rows is not.
    if not isinstance(data, list):
        raise DataError(f"cannot read labeled rows from {_described(data)}; {_FORMS}")
    if data and not _is_list_of_rows(data):
        names = dict.fromkeys(name for row in data for name in row)
        return _table("the list", {str(name): [row.get(name) for row in data] for name in names})
    return _rows_table(data, columns)


def _is_list_of_rows(data: Any) -> bool:
    """Whether this is a list of rows without names, such as (text, label)."""
    return isinstance(data, list) and not all(isinstance(row, Mapping) for row in data)


def _rows_table(data: list[Any], columns: DataConfig) -> RawTable:
    names = [columns.text, *([] if columns.text_pair is None else [columns.text_pair]), str(columns.label)]
    for number, row in enumerate(data, start=1):
        if not isinstance(row, tuple | list) or len(row) != len(names):
            raise DataError(f"the list, row {number}: expected ({', '.join(names)}), got {quoted(row)}; {_FORMS}")
    cells = zip(*data, strict=True) if data else [()] * len(names)
    return _table("the list", dict(zip(names, map(list, cells), strict=True)))


def _frame_table(data: Any, _columns: DataConfig, _head: Head, _labels: Sequence[str]) -> RawTable:
    names = [str(name) for name in data.columns]
    series = [data.iloc[:, index] for index in range(len(names))]
    cells = [column.astype(object).where(column.notna(), None).tolist() for column in series]
    positions = [f"row {index!r}" for index in data.index]
    return RawTable(Path("the DataFrame"), names, [_plain_cells(column) for column in cells], positions)


def _dataset_table(data: Any, _columns: DataConfig, _head: Head, _labels: Sequence[str]) -> RawTable:
    table = _table("the Dataset", {name: list(data[name]) for name in data.column_names})
    for name, feature in data.features.items():
        names = getattr(getattr(feature, "feature", feature), "names", None)
        if names:
            table.class_names[name] = list(map(str, names))
    return table


def _dataset_dict(data: Any, *_: Any) -> RawTable:
    raise DataError(
        f"a DatasetDict has several splits ({listed(data)}); give one of them, such as data[{next(iter(data))!r}]"
    )


def _tf_table(data: Any, columns: DataConfig, head: Head, labels: Sequence[str]) -> RawTable:
    texts: list[Any] = []
    pairs: list[Any] = []
    marks: list[Any] = []
    names = list(map(str, getattr(data, "class_names", ()))) or list(labels)
    for element in data.as_numpy_iterator():
        if not isinstance(element, tuple) or len(element) != 2:
            raise DataError(
                f"the tf.data.Dataset has elements that are not (text, label), got {_described(element)}; {_FORMS}"
            )
        first, second = _segments(element[0], columns)
        target = np.asarray(element[1])
        if np.ndim(first) == 0:
            first, second, target = np.asarray([first]), np.asarray([second]), target[np.newaxis]
        texts += [_text(value) for value in first]
        pairs += [_text(value) for value in second] if columns.text_pair is not None else []
        marks += _targets(target, head, names)
    table = _table("the tf.data.Dataset", {columns.text: texts, str(columns.label): marks})
    if columns.text_pair is not None:
        table = _table(str(table.path), {columns.text: texts, columns.text_pair: pairs, str(columns.label): marks})
    if getattr(data, "class_names", None):
        table.class_names[str(columns.label)] = names
    return table


_KINDS: tuple[tuple[str, str, Callable[[Any, DataConfig, Head, Sequence[str]], RawTable]], ...] = (
    ("pandas", "DataFrame", _frame_table),
    ("datasets", "Dataset", _dataset_table),
    ("datasets", "DatasetDict", _dataset_dict),
    ("tensorflow", "DatasetV2", _tf_table),
)


def _is_a(data: Any, package: str, name: str) -> bool:
    """Whether the data is of a class of a package, which need not be imported to ask."""
    return any(part.__name__ == name and part.__module__.split(".")[0] == package for part in type(data).__mro__)


def _table(source: str, columns: Mapping[str, list[Any]]) -> RawTable:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = listed(f"{name!r} {length:,}" for name, length in lengths.items())
        raise DataError(f"{source}: its columns differ in length: {shown}; give each row a value in each column")
    positions = [f"row {number}" for number in range(1, max(lengths.values(), default=0) + 1)]
    return RawTable(Path(source), list(columns), [_plain_cells(values) for values in columns.values()], positions)


def _plain_cells(values: Iterable[Any]) -> list[Any]:
    """Cells as Python's own types: NumPy's integers are no integers of Python."""
    return [value.tolist() if isinstance(value, np.generic | np.ndarray) else value for value in values]


def _class_names(cells: Sequence[Any], labels: Sequence[str]) -> list[str]:
    """The model's labels as names of integers; none where a label is a number itself, or a cell is no integer."""
    if any(label.lstrip("+-").replace(".", "", 1).isdigit() for label in labels):
        return []
    # A multilabel head has a list of them in each row.
    items = (item for cell in cells for item in (cell if isinstance(cell, list | tuple) else (cell,)))
    return list(labels) if all(isinstance(item, int) and not isinstance(item, bool) for item in items) else []


# === tf.data ===


def _segments(value: Any, columns: DataConfig) -> tuple[Any, Any]:
    """Text and second text of an element."""
    if isinstance(value, Mapping):
        missing = [name for name in (columns.text, columns.text_pair) if name is not None and name not in value]
        if missing:
            raise DataError(
                f"the tf.data.Dataset has no feature {missing[0]!r}; its features are {listed(map(repr, value))}"
            )
        return value[columns.text], value.get(columns.text_pair)
    expected = 1 if columns.text_pair is None else 2
    parts = value if isinstance(value, tuple) else (value,)
    if len(parts) != expected:
        raise DataError(
            f"the tf.data.Dataset has {counted(len(parts), 'text')} in a row, the classifier takes {expected}; {_FORMS}"
        )
    return parts[0], parts[-1]


def _text(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DataError(f"the tf.data.Dataset has a text that is not UTF-8: {quoted(value)}; decode it first") from None


def _targets(values: np.ndarray, head: Head, labels: Sequence[str]) -> list[Any]:
    """Labels of a batch: names, numbers of classes, or a regression's values."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        return _marked(values, head, labels)
    if head is Head.REGRESSION or values.dtype == object:
        return [_text(value) for value in values.tolist()]
    # Keras' label_mode="binary" writes 0.0 and 1.0.
    return [int(value) if value == int(value) else value for value in values.tolist()]


def _marked(values: np.ndarray, head: Head, labels: Sequence[str]) -> list[Any]:
    if not np.isin(values, (0, 1)).all() or values.shape[1] != len(labels):
        raise DataError(
            f"the tf.data.Dataset has labels of shape [{values.shape[1]}]; give 0 or 1 for each of the {len(labels)} labels"
        )
    if head is Head.MULTILABEL:
        return [[labels[int(index)] for index in np.flatnonzero(row)] for row in values]
    if (values.sum(axis=1) != 1).any():
        raise DataError(f"the tf.data.Dataset has a row without exactly one label, which a {head} head needs")
    return [int(index) for index in values.argmax(axis=1)]


def _described(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {listed(type(part).__name__ for part in value)}"
    return f"a {type(value).__module__.split('.')[0]} {type(value).__name__}"
