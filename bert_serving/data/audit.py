"""Audits labeled text before training: sizes, lengths, duplicates, leaks between splits, rare labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bert_serving.contract import LongTexts
from bert_serving.data.findings.finding import DataFinding
from bert_serving.data.findings.labels import label_findings
from bert_serving.data.findings.texts import text_findings
from bert_serving.data.reading import listed_counts
from bert_serving.data.splits import Splits, label_names
from bert_serving.data.table import LabeledTable
from bert_serving.wording import agreeing, counted, percent

QUANTILES = (0, 5, 25, 50, 75, 95, 99, 100)
"""percentiles of the token lengths; 0 and 100 are the shortest and the longest text"""
LISTED_CLASSES = 20
"""most classes that the table lists; of more it has the smallest and the largest"""
NOTABLE_CUT = 0.05
# What is read of a text that is too long to be read whole.
_READ = {
    LongTexts.TRUNCATE: "are cut",
    LongTexts.HEAD_AND_TAIL: "are read without their middle",
    LongTexts.WINDOWS: "are read in evenly spaced windows, without what is between them",
}


@dataclass(frozen=True)
class SplitAudit:
    """Measures of one split.

    Attributes:
        rows: number of rows.
        rows_per_class: for multilabel heads a row counts for each of its labels; empty for regression.
        label_range: least, mean and greatest label of a regression head; empty otherwise.
        token_lengths: percentiles of tokens per text, [CLS] and [SEP] included, by name ("min", "5%", ..., "max").
        cut_texts: texts longer than the sequence length.
        empty_texts: texts (or pairs with a text) of nothing but white space.
        duplicate_texts: distinct texts that occur more than once.
        conflicting_texts: distinct texts with different labels.
        left_out: lines and files that are no rows, by what they are: {"blank line": 2}.
        repairs: a line for each file that was read otherwise than its name says.
    """

    rows: int
    rows_per_class: dict[str, int]
    label_range: dict[str, float]
    token_lengths: dict[str, float]
    cut_texts: int
    empty_texts: int
    duplicate_texts: int
    conflicting_texts: int
    left_out: dict[str, int] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)

    @property
    def cut_share(self) -> float:
        """Share of the texts that the sequence length cuts, 0 to 1."""
        return self.cut_texts / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class SharedTexts:
    """Texts that two splits have in common.

    Attributes:
        first: the split that training uses.
        second: the split whose score is too good because of it.
        texts: distinct texts in both.
        rows: rows of the second split with such a text.
        share: these rows as a share of the second split, 0 to 1.
    """

    first: str
    second: str
    texts: int
    rows: int
    share: float


@dataclass(frozen=True)
class Audit:
    """Measures of all splits, and what looks wrong in them.

    Attributes:
        sequence_length: tokens at which a text is cut.
        splits: measures by split.
        shared: texts that two splits have in common.
        warnings: all that looks wrong, one line each; the findings are among them.
        findings: labels and texts to fix or to check.
    """

    sequence_length: int
    splits: dict[str, SplitAudit]
    shared: list[SharedTexts]
    warnings: list[str]
    findings: list[DataFinding]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, ready for `json.dumps`."""
        return {**asdict(self), "findings": [finding.to_json() for finding in self.findings]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Audit":
        """Reads what `to_json` wrote.

        Raises:
            KeyError, TypeError: it was written by another version.
        """
        return cls(
            sequence_length=value["sequence_length"],
            splits={name: SplitAudit(**split) for name, split in value["splits"].items()},
            shared=[SharedTexts(**shared) for shared in value["shared"]],
            warnings=value["warnings"],
            findings=[
                DataFinding.from_json(finding) for finding in value.get("findings", ())
            ],  # former versions had none
        )

    def columns(self) -> tuple[str, ...]:
        """Headings for `rows`."""
        return ("measure", *self.splits)

    def rows(self) -> list[tuple[str, ...]]:
        """The table for display: one row per measure, one column per split."""
        splits = list(self.splits.values())
        table = [
            ("rows", *(f"{split.rows:,}" for split in splits)),
            ("left out", *(listed_counts(split.left_out) or "0" for split in splits)),
        ]
        table += _class_rows(splits)
        for key in splits[0].label_range:
            table.append((f"label, {key}", *(f"{split.label_range[key]:.4g}" for split in splits)))
        for key in splits[0].token_lengths:
            table.append((f"tokens, {key}", *(f"{split.token_lengths[key]:.0f}" for split in splits)))
        cut = f"longer than {self.sequence_length} tokens"
        table += [
            (cut, *(_with_share(split.cut_texts, split.cut_share) for split in splits)),
            ("empty texts", *(f"{split.empty_texts:,}" for split in splits)),
            ("duplicate texts", *(f"{split.duplicate_texts:,}" for split in splits)),
            ("conflicting labels", *(f"{split.conflicting_texts:,}" for split in splits)),
        ]
        for first in list(self.splits)[:-1]:
            rows = {shared.second: _with_share(shared.rows, shared.share) for shared in self.shared_with(first)}
            table.append((f"also in {first}", *(rows.get(name, "") for name in self.splits)))
        return table

    def shared_with(self, first: str) -> list[SharedTexts]:
        """Texts that later splits share with the split `first`."""
        return [shared for shared in self.shared if shared.first == first]


def audit(
    splits: Splits | Mapping[str, LabeledTable],
    labels: Sequence[str],
    token_lengths: Mapping[str, np.ndarray],
    sequence_length: int,
    long_texts: LongTexts = LongTexts.TRUNCATE,
) -> Audit:
    """Measures splits and warns about what looks wrong.

    Args:
        splits: the rows; a mapping where "train" may be the only split.
        labels: all labels in the model's order; empty for a regression head.
        token_lengths: by split, int [rows]: tokens of each row before it is cut, [CLS] and [SEP] included.
        sequence_length: tokens of the longest text that is read whole.
        long_texts: what is read of a longer one.

    Raises:
        ValueError: a split's token lengths are missing or are not one for each row.
    """
    tables = splits.named() if isinstance(splits, Splits) else dict(splits)
    for name, table in tables.items():
        if name not in token_lengths or len(token_lengths[name]) != len(table):
            raise ValueError(f"token_lengths[{name!r}] needs {len(table)} lengths")
    counts = {name: Counter(_keys(table)) for name, table in tables.items()}
    measured = {
        name: _measure(table, counts[name], labels, np.asarray(token_lengths[name]), sequence_length)
        for name, table in tables.items()
    }
    names = list(tables)
    shared = [
        _shared(first, second, counts) for position, first in enumerate(names) for second in names[position + 1 :]
    ]
    rows_per_class = {name: split.rows_per_class for name, split in measured.items()}
    found = [*text_findings(tables), *label_findings(tables, labels, rows_per_class)]
    found.sort(key=lambda finding: ("fix", "check").index(finding.level))
    warnings = _warnings(measured, shared, counts["train"], f"{sequence_length} tokens and {_READ[long_texts]}")
    warnings += [f"{finding.title}. {finding.advice}" for finding in found]
    return Audit(sequence_length, measured, shared, warnings, found)


# === Measures ===


def _keys(table: LabeledTable) -> list[Any]:
    return table.texts if table.pairs is None else list(zip(table.texts, table.pairs, strict=True))


def _measure(
    table: LabeledTable, counts: Counter[Any], labels: Sequence[str], lengths: np.ndarray, sequence_length: int
) -> SplitAudit:
    classes = Counter(name for label in table.labels for name in label_names(label))
    labels_of: dict[Any, set[Any]] = {}
    for key, label in zip(_keys(table), table.labels, strict=True):
        labels_of.setdefault(key, set()).add(label)
    return SplitAudit(
        rows=len(table),
        rows_per_class={label: classes[label] for label in labels},
        label_range={} if labels else _label_range(table.labels),
        token_lengths=_quantiles(lengths),
        cut_texts=int((lengths > sequence_length).sum()),
        empty_texts=sum(not text.strip() for text in table.texts)
        + sum(
            bool(text.strip()) and not pair.strip() for text, pair in zip(table.texts, table.pairs or (), strict=False)
        ),
        duplicate_texts=sum(count > 1 for count in counts.values()),
        conflicting_texts=sum(len(names) > 1 for names in labels_of.values()),
        left_out=dict(table.reading.left_out),
        repairs=list(table.reading.repairs),
    )


def _label_range(labels: Sequence[float]) -> dict[str, float]:
    return {"min": float(min(labels)), "mean": float(np.mean(labels)), "max": float(max(labels))}


def _quantiles(lengths: np.ndarray) -> dict[str, float]:
    names = ["min", *(f"{percent}%" for percent in QUANTILES[1:-1]), "max"]
    return dict(zip(names, np.percentile(lengths, QUANTILES).tolist(), strict=True))


def _shared(first: str, second: str, counts: Mapping[str, Counter[Any]]) -> SharedTexts:
    common = counts[first].keys() & counts[second].keys()
    rows = sum(counts[second][key] for key in common)
    return SharedTexts(first, second, texts=len(common), rows=rows, share=rows / counts[second].total())


# === Warnings ===


def _warnings(
    splits: Mapping[str, SplitAudit], shared: Sequence[SharedTexts], train_counts: Counter[Any], cut: str
) -> list[str]:
    warnings = list(dict.fromkeys(line for split in splits.values() for line in split.repairs))
    train = splits["train"]
    if train.duplicate_texts:
        warnings.append(_duplicate_warning(train, max(train_counts.values())))
    warnings += [_shared_warning(pair) for pair in shared if pair.texts]
    for name, split in splits.items():
        if split.cut_share >= NOTABLE_CUT:
            kind = "training" if name == "train" else name
            warnings.append(f"{split.cut_share:.0%} of the {kind} texts are longer than {cut}")
        if split.empty_texts:
            warnings.append(
                f"{counted(split.empty_texts, 'text')} of {name} {agreeing(split.empty_texts, 'is', 'are')} empty"
            )
    return warnings


def _duplicate_warning(train: SplitAudit, most: int) -> str:
    often = "twice" if most == 2 else f"more than once (up to {most:,} times)"
    warning = f"{counted(train.duplicate_texts, 'text')} of train {agreeing(train.duplicate_texts, 'occurs', 'occur')} {often}"
    if not train.conflicting_texts:
        return warning
    conflicting = "all" if train.conflicting_texts == train.duplicate_texts else f"{train.conflicting_texts:,}"
    return f"{warning}, {conflicting} of them with different labels"


def _shared_warning(pair: SharedTexts) -> str:
    both = f"{counted(pair.texts, 'text')} {agreeing(pair.texts, 'is', 'are')} in {pair.first} and in {pair.second}"
    if pair.first != "train":
        return f"{both}: the choice of the best epoch has seen part of {pair.second}"
    return f"{both}: the {pair.second} score may be too good by as much as {percent(pair.share)}"


def _class_rows(splits: Sequence[SplitAudit]) -> list[tuple[str, ...]]:
    labels = list(splits[0].rows_per_class)
    if len(labels) <= LISTED_CLASSES:
        counts = [(label, [split.rows_per_class[label] for split in splits]) for label in labels]
        sizes = [split.rows for split in splits]
        return [
            (f"label {label}", *(_with_share(count, count / rows) for count, rows in zip(of_label, sizes, strict=True)))
            for label, of_label in counts
        ]
    return [
        ("labels", *(f"{sum(rows > 0 for rows in split.rows_per_class.values()):,}" for split in splits)),
        ("smallest label", *(_extreme(split, min) for split in splits)),
        ("largest label", *(_extreme(split, max) for split in splits)),
    ]


def _extreme(split: SplitAudit, choose: Any) -> str:
    label, rows = choose(split.rows_per_class.items(), key=lambda item: item[1])
    return f"{label}: {rows:,}"


def _with_share(count: int, share: float) -> str:
    return f"{count:,} ({percent(share)})" if count else "0"
