"""Sections of the exploration's page: lengths, tokens, and duplicates of the texts."""

from collections.abc import Sequence

import numpy as np

from bert_serving.exploration.duplicates import LEAST_WORDS, SIMILAR
from bert_serving.exploration.explore import TRAIN, Exploration, LengthBox, Truncation
from bert_serving.exploration.page.labels import MOST_CHARTED
from bert_serving.exploration.token_pieces import Example, Script, SplitWord, TokenPieces
from bert_serving.html import charts
from bert_serving.html.page import Section
from bert_serving.html.parts import Cell, Chart, Column, Field, Paragraph, Part, Pieces, SortableTable, table_of
from bert_serving.wording import shortened

TEXT_CHARACTERS, WORD_CHARACTERS = 400, 60
MOST_PIECES = 30
"""pieces shown of a word"""


# === Lengths ===


def lengths_section(exploration: Exploration) -> Section:
    """The lengths of the training texts in tokens and words, and the effect of sequence lengths."""
    length = exploration.data.sequence_length
    tokens, words = _chart_boxes(exploration.token_boxes), _chart_boxes(exploration.word_boxes)
    order = [box.label for box in tokens]
    return Section(
        "Lengths",
        (
            Chart(
                charts.box_plot(tokens, order=order, value="tokens", limit=length, limit_title=f"cut at {length}"),
                f"Tokens of the training texts of each class: {_medians(exploration.token_boxes)}",
            ),
            Chart(
                charts.box_plot(words, order=order, value="words"),
                f"Words of the training texts of each class: {_medians(exploration.word_boxes)}",
            ),
            _truncation_table(exploration.truncations),
            _length_table(exploration),
        ),
        "Boxes show the quartiles of a class's training texts, whiskers 5% to 95%, the light line the median. Tokens include "
        "[CLS] and [SEP]; words exclude punctuation, and every Chinese, Japanese or Thai character counts as a word. If the "
        "classes differ in length, a model can tell them apart by length alone.",
    )


def _chart_boxes(boxes: Sequence[LengthBox]) -> list[charts.Box]:
    """All rows, then the largest classes."""
    classes = sorted(boxes[1:], key=lambda box: -box.rows)[:MOST_CHARTED]
    return [charts.Box(box.label, *box.percentiles, box.rows) for box in (boxes[0], *classes)]


def _medians(boxes: Sequence[LengthBox]) -> str:
    return "; ".join(f"{box.label} median {box.percentiles[2]:.0f}" for box in boxes[:11])


def _truncation_table(truncations: Sequence[Truncation]) -> SortableTable:
    fields: list[Field[Truncation]] = [
        ("sequence length", "number", lambda truncation: truncation.length),
        ("texts not cut", "percent", lambda truncation: truncation.whole),
        ("tokens kept", "percent", lambda truncation: truncation.tokens),
    ]
    return table_of(truncations, fields, "Effect of the sequence length on the training texts", filterable=False)


def _length_table(exploration: Exploration) -> SortableTable:
    span = exploration.corpus.span(TRAIN)
    cut = exploration.pieces.lengths[span] > exploration.data.sequence_length
    members = {"all": np.ones(len(cut), bool), **{label: rows[span] for label, rows in exploration.classes.items()}}
    fields: list[Field[tuple[LengthBox, LengthBox]]] = [
        ("texts", "text", lambda boxes: boxes[0].label),
        ("rows", "number", lambda boxes: boxes[0].rows),
        ("words, median", "number", lambda boxes: round(boxes[1].percentiles[2])),
        ("words, 95%", "number", lambda boxes: round(boxes[1].percentiles[4])),
        ("tokens, median", "number", lambda boxes: round(boxes[0].percentiles[2])),
        ("tokens, 95%", "number", lambda boxes: round(boxes[0].percentiles[4])),
        ("cut", "percent", lambda boxes: float(cut[members[boxes[0].label]].mean())),
    ]
    boxes = list(zip(exploration.token_boxes, exploration.word_boxes, strict=True))
    return table_of(boxes, fields, "Training texts of each class", filterable=len(boxes) > 10)


# === Tokens ===


def tokens_section(exploration: Exploration, encoder: str) -> Section:
    """Examples of tokenized texts, scripts, and the words that the vocabulary fits badly."""
    pieces = exploration.pieces
    return Section(
        "Tokens",
        (_examples_table(exploration), _scripts_table(pieces), _split_words_table(pieces), _unknown_words(pieces)),
        f"The tokenizer of {encoder} splits at white space, at punctuation and around every Chinese character, then splits "
        "words into pieces of its vocabulary; a piece that begins with ## continues the piece before it. Whole words carry "
        "most meaning; [UNK] carries none.",
    )


def _examples_table(exploration: Exploration) -> SortableTable:
    corpus = exploration.corpus
    fields: list[Field[Example]] = [
        ("example", "text", lambda example: example.why),
        ("label", "label", lambda example: corpus.label(example.number)),
        ("pieces", "text", lambda example: _pieces(example.pieces)),
        ("text", "text", lambda example: shortened(corpus.text(example.number), TEXT_CHARACTERS)),
        ("tokens", "number", lambda example: example.tokens),
    ]
    return table_of(exploration.pieces.examples, fields, "Examples of tokenized texts", filterable=False)


def _scripts_table(pieces: TokenPieces) -> SortableTable:
    total = sum(script.words for script in pieces.scripts)
    fields: list[Field[Script]] = [
        ("script", "text", lambda script: script.name),
        ("words", "number", lambda script: script.words),
        ("share of all words", "percent", lambda script: script.words / total),
        ("pieces per word", "number", lambda script: script.pieces / script.words),
        ("unknown", "percent", lambda script: script.unknown / script.words),
    ]
    return table_of(pieces.scripts, fields, "Scripts", filterable=False)


def _split_words_table(pieces: TokenPieces) -> SortableTable:
    fields: list[Field[SplitWord]] = [
        *_word_fields(),
        ("number of pieces", "number", lambda word: len(word.pieces)),
        ("pieces", "text", lambda word: _pieces(word.pieces[:MOST_PIECES])),
    ]
    caption = "Words whose splitting costs most tokens, and words with most pieces"
    return table_of(pieces.most_split, fields, caption, page_size=10)


def _unknown_words(pieces: TokenPieces) -> Part:
    if not pieces.unknown_words:
        return Paragraph("The vocabulary covers every word, whole or in pieces.")
    return table_of(pieces.unknown_words, _word_fields(), "Words unknown to the vocabulary", page_size=10)


def _word_fields() -> list[Field[SplitWord]]:
    return [
        ("word", "text", lambda word: shortened(word.word, WORD_CHARACTERS)),
        ("occurrences", "bar", lambda word: word.occurrences),
    ]


def _pieces(pieces: Sequence[str]) -> Pieces:
    return Pieces([(piece, None) for piece in pieces])


# === Duplicates ===


def duplicates_section(exploration: Exploration) -> Section:
    """Numbers of duplicates and near-duplicates within and across splits."""
    duplicates, tables = exploration.duplicates, exploration.data.tables
    splits = list(tables)
    within = [duplicates.within(name) for name in splits]
    rows: list[list[Cell]] = [
        ["rows", *map(len, tables.values())],
        ["texts that occur more than once", *map(len, within)],
        ["of these, with conflicting labels", *(sum(group.conflicting for group in groups) for groups in within)],
    ]
    for position, first in enumerate(splits):
        blank: list[Cell] = [None] * position
        later = splits[position + 1 :]
        if later:
            exact = (len(duplicates.leaks(first, second)) for second in later)
            rows.append([f"duplicates of rows of {first}", *blank, None, *exact])
        near = (len(duplicates.near_leaks(first, second)) for second in (first, *later))
        rows.append([f"near-duplicates of rows of {first}", *blank, *near])
    columns = [Column("measure"), *(Column(name, "number") for name in splits)]
    return Section(
        "Duplicates and leaks",
        (SortableTable(columns, rows, filterable=False),),
        "The findings at the top list the rows. Two texts are near-duplicates when at least "
        f"{SIMILAR:.0%} of their pairs of neighboring words are the same, ignoring case and punctuation. Near-duplicates are "
        f"found by MinHash among texts of at least {LEAST_WORDS} words; exact duplicates are not counted again.",
    )
