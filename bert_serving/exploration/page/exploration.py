"""The page of `bert-serving explore`: labeled text before training."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.reading import listed_counts
from bert_serving.exploration.evidence import SHOWN, Evidence
from bert_serving.exploration.explore import TRAIN, Exploration, main_score
from bert_serving.exploration.findings import Finding
from bert_serving.exploration.page.baselines import baselines_section, typical_words_section
from bert_serving.exploration.page.labels import labels_section, numbers_section
from bert_serving.exploration.page.texts import TEXT_CHARACTERS, duplicates_section, lengths_section, tokens_section
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import Cell, Column, Facts, Kind, SortableTable, Verdict, Verdicts
from bert_serving.wording import percent, score_name, shortened

# Columns of findings that do not hold numbers.
_KINDS: dict[str, Kind] = {
    "split": "label",
    "label": "label",
    "duplicate's label": "label",
    "text": "text",
    "duplicate": "text",
    "row": "text",
    "duplicate's row": "text",
    "word": "text",
    "similarity": "percent",
    "share of the word's rows": "percent",
}


@dataclass(frozen=True)
class ExplorationNames:
    """Names that the page uses.

    Attributes:
        data: the run file or the file, as the user named it.
        encoder: the encoder whose tokenizer was used.
    """

    data: str
    encoder: str


def exploration_page(exploration: Exploration, findings: Sequence[Finding], names: ExplorationNames) -> Page:
    """Lays an exploration out."""
    data = exploration.data
    rows = " + ".join(f"{len(table):,} {name}" for name, table in data.tables.items())
    rows = f"{exploration.rows:,}" if len(data.tables) == 1 else rows
    return Page(
        title=f"{names.data} before training",
        subtitle=f"{rows} rows · {data.head} head · tokenizer of {names.encoder}, {data.sequence_length} tokens",
        sections=(
            _findings(exploration, findings),
            numbers_section(exploration) if data.head is Head.REGRESSION else labels_section(exploration),
            lengths_section(exploration),
            tokens_section(exploration, names.encoder),
            typical_words_section(exploration),
            duplicates_section(exploration),
            baselines_section(exploration),
        ),
    )


def _findings(exploration: Exploration, findings: Sequence[Finding]) -> Section:
    data, pieces = exploration.data, exploration.pieces
    left_out = sum((table.reading.left_out for table in data.tables.values()), Counter())
    facts = [
        ("rows", f"{exploration.rows:,}"),
        *([("labels", f"{len(data.labels):,}")] if data.labels else []),
        *([("left out in reading", listed_counts(left_out))] if left_out else []),
        ("median tokens per text", f"{np.median(pieces.lengths):,.0f}"),
        (f"longer than {data.sequence_length} tokens", percent(exploration.audit.splits[TRAIN].cut_share)),
        ("pieces per word", f"{pieces.pieces_per_word:.2f}"),
        ("unknown tokens", percent(pieces.unknown_share)),
        *_tfidf_score(exploration),
    ]
    return Section(
        "What to fix first",
        (Facts(facts), Verdicts([_verdict(finding) for finding in findings])),
        "Click a line for details and rows. Fix: solve it before training. Check: see whether it is intended.",
    )


def _tfidf_score(exploration: Exploration) -> list[tuple[str, str]]:
    for name, scores in exploration.baselines.items():
        if name.startswith("tfidf"):
            measure = main_score(scores)
            return [(f"{score_name(measure)} of TF-IDF", f"{scores[measure]:.3f}")]
    return []


def _verdict(finding: Finding) -> Verdict:
    rows = None if finding.evidence is None else _evidence_table(finding.evidence)
    return Verdict(finding.level, finding.title, finding.detail, rows)


def _evidence_table(evidence: Evidence) -> SortableTable:
    columns = [Column(name, _KINDS.get(name, "number")) for name in evidence.columns]
    caption = f"The first {SHOWN:,} of {evidence.total:,}" if evidence.total > len(evidence.rows) else ""
    rows = [[_cell(value) for value in row] for row in evidence.rows]
    return SortableTable(columns, rows, caption, page_size=10)


def _cell(value: Any) -> Cell:
    return shortened(value, TEXT_CHARACTERS) if isinstance(value, str) else value
