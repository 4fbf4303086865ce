"""The page of `bert-serving explore`: labeled text before training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.audit import percent
from bert_serving.exploration.duplicates import LEAST_WORDS, SIMILAR
from bert_serving.exploration.evidence import SHOWN, Evidence
from bert_serving.exploration.explore import TRAIN, Exploration, LengthBox, main_score, number_bins
from bert_serving.exploration.findings import Finding
from bert_serving.exploration.token_pieces import SplitWord
from bert_serving.exploration.typical_words import GIVEAWAY_ROWS, GIVEAWAY_SHARE, LEAST_ROWS
from bert_serving.html import charts
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import (
    Bars,
    Cell,
    Chart,
    Column,
    Facts,
    Kind,
    Paragraph,
    Part,
    Pieces,
    Table,
    Verdict,
    Verdicts,
    shortened,
)

TEXT_CHARACTERS, WORD_CHARACTERS = 400, 60
MOST_CHARTED = 20
"""of more classes the charts show the largest; the tables show all"""
HEADLINE_WORDS = 12

# Columns of findings that do not hold numbers.
_KINDS: dict[str, Kind] = {
    "split": "label",
    "label": "label",
    "its label": "label",
    "text": "text",
    "like": "text",
    "row": "text",
    "like row": "text",
    "word": "text",
    "similarity": "percent",
    "share of the word's rows": "percent",
}


@dataclass(frozen=True)
class Names:
    """How the page calls things.

    Attributes:
        data: the run file or the file, as the user named it.
        encoder: the encoder whose tokenizer was asked.
    """

    data: str
    encoder: str


def exploration_page(seen: Exploration, found: Sequence[Finding], names: Names) -> Page:
    """Lays an exploration out."""
    rows = " + ".join(f"{len(table):,} {name}" for name, table in seen.material.tables.items())
    rows = f"{seen.rows:,}" if len(seen.material.tables) == 1 else rows
    return Page(
        title=f"{names.data} before training",
        subtitle=f"{rows} rows · {seen.material.head} head · tokenizer of {names.encoder}, "
        f"{seen.material.sequence_length} tokens",
        sections=(
            _verdicts(seen, found),
            _numbers(seen) if seen.material.head is Head.REGRESSION else _labels(seen),
            _lengths(seen),
            _tokens(seen, names),
            _typical(seen),
            _duplicates(seen),
            _baselines(seen),
        ),
    )


# === Verdicts ===


def _verdicts(seen: Exploration, found: Sequence[Finding]) -> Section:
    facts = [
        ("rows", f"{seen.rows:,}"),
        *([("labels", f"{len(seen.material.labels):,}")] if seen.material.labels else []),
        ("tokens of a text, median", f"{np.median(seen.pieces.lengths):,.0f}"),
        (f"longer than {seen.material.sequence_length} tokens", percent(seen.audit.splits[TRAIN].cut_share)),
        ("pieces for a word", f"{seen.pieces.pieces_per_word:.2f}"),
        ("unknown tokens", percent(seen.pieces.unknown_share)),
        *_scores(seen),
    ]
    return Section(
        "What to fix first",
        (Facts(facts), Verdicts([_verdict(finding) for finding in found])),
        "Each line opens to the rows that show it. Fix: mend it before training. Look: see whether it is meant.",
    )


def _scores(seen: Exploration) -> list[tuple[str, str]]:
    tfidf = next((scores for name, scores in seen.baselines.items() if name.startswith("tfidf")), None)
    if tfidf is None:
        return []
    measure = main_score(tfidf)
    return [(f"{_spelled(measure)} of TF-IDF", f"{tfidf[measure]:.3f}")]


_MEASURES = {
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
}


def _verdict(finding: Finding) -> Verdict:
    rows = None if finding.evidence is None else _evidence_table(finding.evidence)
    return Verdict(finding.level, finding.title, finding.detail, rows)


def _evidence_table(evidence: Evidence) -> Table:
    columns = [Column(name, _KINDS.get(name, "number")) for name in evidence.columns]
    caption = f"The first {SHOWN:,} of {evidence.total:,}" if evidence.total > len(evidence.rows) else ""
    rows = [[_short(value) for value in row] for row in evidence.rows]
    return Table(columns, rows, caption, page_size=10)


def _short(value: Any) -> Cell:
    return shortened(value, TEXT_CHARACTERS) if isinstance(value, str) else value


# === Labels ===


def _labels(seen: Exploration) -> Section:
    splits = seen.audit.splits
    labels = sorted(seen.material.labels, key=lambda label: -splits[TRAIN].rows_per_class[label])
    charted = labels[:MOST_CHARTED]
    shares = [
        (label, name, split.rows_per_class[label], split.rows_per_class[label] / split.rows)
        for label in charted
        for name, split in splits.items()
    ]
    described = "; ".join(f"{label} {splits[TRAIN].rows_per_class[label]:,}" for label in charted[:10])
    chart = Chart(
        charts.stacked_bars(shares, order=charted, groups=list(splits)),
        f"Share of the rows of each label, by split. Rows of train: {described}",
    )
    columns = [Column("label", "text")]
    for name in splits:
        columns += [Column(name, "number"), Column("share", "percent")]
    rows = [
        [label, *(value for split in splits.values() for value in _count(split.rows_per_class[label], split.rows))]
        for label in labels
    ]
    lead = "Splits should have the same shares. What few rows teach does not hold; what many rows share weighs most."
    if seen.material.head is Head.MULTILABEL:
        several = np.mean([len(label) for label in seen.corpus.labels])
        lead += f" A row has {several:.2f} labels on average, so that shares add up to more than 100%."
    return Section("Labels", (chart, *_charted_note(labels), Table(columns, rows, filterable=len(rows) > 10)), lead)


def _count(rows: int, total: int) -> tuple[int, float]:
    return rows, rows / total


def _charted_note(labels: Sequence[str]) -> tuple[Part, ...]:
    if len(labels) <= MOST_CHARTED:
        return ()
    return (Paragraph(f"The chart shows the {MOST_CHARTED} largest of {len(labels):,} labels; the table shows all."),)


def _numbers(seen: Exploration) -> Section:
    tables = seen.material.tables
    bins = [charts.Bin(*each) for each in number_bins(tables[TRAIN].labels)]
    chart = Chart(charts.histogram(bins, value="label"), "Histogram of the numbers to be predicted, rows of train")
    columns = [Column("split", "text"), Column("rows", "number")]
    columns += [Column(name, "number") for name in ("least", "mean", "median", "greatest", "distinct")]
    rows = [[name, *_figures(table.labels)] for name, table in tables.items()]
    return Section(
        "Numbers to predict",
        (chart, Table(columns, rows, filterable=False)),
        "Where few rows lie, few errors are seen and little is learnt. Splits should look alike.",
    )


def _figures(numbers: Sequence[float]) -> tuple[Cell, ...]:
    return (
        len(numbers),
        min(numbers),
        float(np.mean(numbers)),
        float(np.median(numbers)),
        max(numbers),
        len(set(numbers)),
    )


# === Lengths ===


def _lengths(seen: Exploration) -> Section:
    length = seen.material.sequence_length
    boxes, words = _charted(seen.token_boxes), _charted(seen.word_boxes)
    order = [box.label for box in boxes]
    tokens = charts.box_plot(boxes, order=order, value="tokens", limit=length, limit_title=f"cut at {length}")
    cuts = Table(
        [Column("sequence length", "number"), Column("texts kept whole", "percent"), Column("tokens kept", "percent")],
        [[cut.length, cut.whole, cut.tokens] for cut in seen.cuts],
        "What a sequence length leaves of the training texts",
        filterable=False,
    )
    return Section(
        "Lengths",
        (
            Chart(tokens, f"Tokens of the training texts of each class: {_spoken(seen.token_boxes)}"),
            Chart(
                charts.box_plot(words, order=order, value="words"),
                f"Words of the training texts of each class: {_spoken(seen.word_boxes)}",
            ),
            cuts,
            _length_table(seen),
        ),
        "Boxes span the middle half of a class's training texts, whiskers 5% to 95%, the light line is the median. Tokens "
        "count [CLS] and [SEP]; words are counted without punctuation, and every Chinese, Japanese or Thai character is one. "
        "A class of other length can be told by its length alone.",
    )


def _charted(boxes: Sequence[LengthBox]) -> list[charts.Box]:
    """All rows, then the largest classes."""
    classes = sorted(boxes[1:], key=lambda box: -box.rows)[:MOST_CHARTED]
    return [charts.Box(box.label, TRAIN, *box.percentiles, box.rows) for box in (boxes[0], *classes)]


def _spoken(boxes: Sequence[LengthBox]) -> str:
    return "; ".join(f"{box.label} median {box.percentiles[2]:.0f}" for box in boxes[:11])


def _length_table(seen: Exploration) -> Table:
    span = seen.corpus.span(TRAIN)
    lengths = seen.pieces.lengths[span]
    columns = [Column("texts"), Column("rows", "number"), Column("words, median", "number")]
    columns += [Column("words, 95%", "number"), Column("tokens, median", "number"), Column("tokens, 95%", "number")]
    columns += [Column("cut", "percent")]
    cut = lengths > seen.material.sequence_length
    members = {"all": np.ones(len(lengths), bool), **{label: rows[span] for label, rows in seen.classes.items()}}
    rows: list[list[Cell]] = []
    for tokens, words in zip(seen.token_boxes, seen.word_boxes, strict=True):
        figures = (round(box.percentiles[place]) for box in (words, tokens) for place in (2, 4))
        rows.append([tokens.label, tokens.rows, *figures, float(cut[members[tokens.label]].mean())])
    return Table(columns, rows, "Training texts of each class", filterable=len(rows) > 10)


# === Tokens ===


def _tokens(seen: Exploration, names: Names) -> Section:
    pieces = seen.pieces
    unknown = (
        Table(
            [Column("word"), Column("occurrences", "bar")],
            [(shortened(word.word, WORD_CHARACTERS), word.occurrences) for word in pieces.unknown_words],
            "Words that the vocabulary does not know",
            page_size=10,
        )
        if pieces.unknown_words
        else Paragraph("The vocabulary knows every word, whole or in pieces.")
    )
    examples = Table(
        [Column("example"), Column("label", "label"), Column("pieces"), Column("text"), Column("tokens", "number")],
        [
            [
                example.why,
                seen.corpus.label(example.number),
                Pieces([(piece, None) for piece in example.pieces]),
                shortened(seen.corpus.text(example.number), TEXT_CHARACTERS),
                example.tokens,
            ]
            for example in pieces.examples
        ],
        "Examples, as the encoder sees them",
        filterable=False,
    )
    total = sum(script.words for script in pieces.scripts)
    scripts = Table(
        [
            Column("script"),
            Column("words", "number"),
            Column("share of all words", "percent"),
            Column("pieces for a word", "number"),
            Column("unknown", "percent"),
        ],
        [
            (
                script.name,
                script.words,
                script.words / total,
                script.pieces / script.words,
                script.unknown / script.words,
            )
            for script in pieces.scripts
        ],
        "By script",
        filterable=False,
    )
    return Section(
        "From text to tokens",
        (
            examples,
            scripts,
            _word_table("Words whose splitting costs most tokens, and words of most pieces", pieces.most_split),
            unknown,
        ),
        f"The tokenizer of {names.encoder} splits at white space and punctuation and around every Chinese character, then "
        "takes words apart until its vocabulary knows the pieces; a piece with ## goes on from the one before. Words that "
        "stay whole mean most to the model, [UNK] means nothing.",
    )


def _word_table(caption: str, words: Sequence[SplitWord]) -> Table:
    return Table(
        [Column("word"), Column("occurrences", "bar"), Column("number of pieces", "number"), Column("pieces")],
        [
            [
                shortened(word.word, WORD_CHARACTERS),
                word.occurrences,
                len(word.pieces),
                Pieces([(piece, None) for piece in word.pieces[:30]]),
            ]
            for word in words
        ],
        caption,
        page_size=10,
    )


# === Words ===


def _typical(seen: Exploration) -> Section:
    words = [word for listed in seen.typical.values() for word in listed]
    overview = Table(
        [Column("label"), Column("most typical words")],
        [
            [label, " · ".join(word.word for word in listed[:HEADLINE_WORDS]) or "none"]
            for label, listed in seen.typical.items()
        ],
        filterable=len(seen.typical) > 10,
    )
    table = Table(
        [
            Column("label", "label"),
            Column("word"),
            Column("chi-squared", "bar"),
            Column("rows with it", "number"),
            Column("of the label's rows", "percent"),
            Column("of the other rows", "percent"),
        ],
        [[word.label, word.word, word.chi2, word.rows, word.share, word.elsewhere] for word in words],
        "All listed words",
    )
    return Section(
        "Typical words",
        (overview, table),
        "Words that stand in many training texts of one class and in few others, by the chi-squared statistic of presence "
        f"and class. They should make sense: a name, a web address or a tag at the top gives the label away without meaning "
        f"it. Words in fewer than {LEAST_ROWS} texts are left out; every Chinese, Japanese or Thai character is a word. A "
        f"verdict names words in {GIVEAWAY_ROWS:.0%} of a class's texts of which {GIVEAWAY_SHARE:.0%} are of that class.",
    )


# === Duplicates ===


def _duplicates(seen: Exploration) -> Section:
    duplicates, splits = seen.duplicates, list(seen.material.tables)
    columns = [Column("measure"), *(Column(name, "number") for name in splits)]
    measured: list[list[Cell]] = [["rows", *(len(seen.material.tables[name]) for name in splits)]]
    within = {name: duplicates.within(name) for name in splits}
    measured.append(["texts that occur more than once", *(len(within[name]) for name in splits)])
    conflicting = (sum(group.conflicting for group in within[name]) for name in splits)
    measured.append(["of them with different labels", *conflicting])
    for position, first in enumerate(splits):
        near = [len(duplicates.near_leaks(first, second)) for second in splits[position:]]
        exact: list[Cell] = [len(duplicates.leaks(first, second)) for second in splits[position + 1 :]]
        blank: list[Cell] = [None] * position
        if position < len(splits) - 1:
            measured.append([f"rows also in {first}", *blank, None, *exact])
        measured.append([f"rows nearly the same as one of {first}", *blank, *near])
    return Section(
        "Duplicates and leaks",
        (Table(columns, measured, filterable=False),),
        "The rows themselves open from the verdicts at the top. Nearly the same are texts of which at least "
        f"{SIMILAR:.0%} of the pairs of neighboring words are the same, upper case and punctuation aside; they are "
        f"looked for by MinHash among texts of at least {LEAST_WORDS} words that are not exactly the same.",
    )


# === Baselines ===


def _baselines(seen: Exploration) -> Section:
    scores = {_BASELINES.get(name, name): values for name, values in seen.baselines.items()}
    measure = main_score(_first(scores))
    bars = [(name, max(float(values[measure]), 0.0), f"{values[measure]:.4f}") for name, values in scores.items()]
    name = _spelled(measure)
    parts: list[Part] = [Paragraph(f"{name[0].upper()}{name[1:]} on {seen.material.measured}:"), Bars(bars)]
    numbers = [name for name, value in _first(scores).items() if isinstance(value, float)]
    rows = [[_spelled(name), *(values.get(name) for values in scores.values())] for name in numbers]
    parts.append(Table([Column("score"), *(Column(name, "number") for name in scores)], rows, filterable=False))
    classes = [values["per_class"] for values in scores.values() if "per_class" in values]
    if len(classes) > 1:
        columns = [Column("label"), *(Column(name, "number") for name in ("precision", "recall", "F1", "rows"))]
        parts.append(
            Table(
                columns,
                [
                    [label, each["precision"], each["recall"], each["f1"], int(each["support"])]
                    for label, each in classes[-1].items()
                ],
                f"Each label, {list(scores)[-1]}",
                filterable=len(classes[-1]) > 10,
            )
        )
    return Section(
        "Baselines",
        tuple(parts),
        f"What models without pretraining reach on {seen.material.measured} after learning from train: always the commonest "
        "label (for numbers: the mean), and a linear model on TF-IDF of words and pairs of words. A fine-tuned encoder has to "
        "beat them to be worth its compute.",
    )


def _first(scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return next(iter(scores.values()))


_BASELINES = {
    "tfidf_logistic_regression": "TF-IDF, logistic regression",
    "tfidf_ridge": "TF-IDF, ridge regression",
    "majority": "majority",
    "mean": "mean",
}


def _spelled(measure: str) -> str:
    return _MEASURES.get(measure, measure.replace("_", " "))
