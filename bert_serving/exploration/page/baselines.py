"""Sections of the exploration's page: typical words of a class, and baselines."""

from bert_serving.exploration.explore import Exploration, main_score
from bert_serving.exploration.typical_words import GIVEAWAY_ROWS, GIVEAWAY_SHARE, LEAST_ROWS, TypicalWord
from bert_serving.html.page import Section
from bert_serving.html.parts import Bars, Cell, Column, Field, Paragraph, Part, SortableTable, table_of
from bert_serving.wording import score_name

HEADLINE_WORDS = 12


def typical_words_section(exploration: Exploration) -> Section:
    """The words most typical of each class."""
    typical = exploration.typical
    overview_fields: list[Field[str]] = [
        ("label", "text", lambda label: label),
        ("most typical words", "text", lambda label: _headline(typical[label])),
    ]
    fields: list[Field[TypicalWord]] = [
        ("label", "label", lambda word: word.label),
        ("word", "text", lambda word: word.word),
        ("chi-squared", "bar", lambda word: word.chi2),
        ("rows with it", "number", lambda word: word.rows),
        ("share of the label's rows", "percent", lambda word: word.share),
        ("share of the other rows", "percent", lambda word: word.elsewhere),
    ]
    words = [word for listed in typical.values() for word in listed]
    return Section(
        "Typical words",
        (
            table_of(typical, overview_fields, filterable=len(typical) > 10),
            table_of(words, fields, "Typical words of each label"),
        ),
        "Words that occur in many training texts of one label and in few others, ranked by the chi-squared statistic of "
        "presence and label. They should relate to the label: a name, a web address or a tag may give the label away without "
        f"meaning it. Words in fewer than {LEAST_ROWS} texts are left out; every Chinese, Japanese or Thai character is a "
        f"word. A finding lists words in at least {GIVEAWAY_ROWS:.0%} of a label's texts of which at least "
        f"{GIVEAWAY_SHARE:.0%} have that label.",
    )


def _headline(words: list[TypicalWord]) -> str:
    return " · ".join(word.word for word in words[:HEADLINE_WORDS]) or "none"


def baselines_section(exploration: Exploration) -> Section:
    """Scores of models without pretraining."""
    scores = {score_name(name): values for name, values in exploration.baselines.items()}
    first = next(iter(scores.values()))
    measure = main_score(first)
    title = score_name(measure)
    bars = [(name, max(float(values[measure]), 0.0), f"{values[measure]:.4f}") for name, values in scores.items()]
    fields: list[Field[str]] = [
        ("score", "text", score_name),
        *((name, "number", values.get) for name, values in scores.items()),
    ]
    measures = [name for name, value in first.items() if isinstance(value, float)]
    parts: list[Part] = [
        Paragraph(f"{title[0].upper()}{title[1:]} on {exploration.data.measured}:"),
        Bars(bars),
        table_of(measures, fields, filterable=False),
    ]
    name, last = list(scores.items())[-1]
    if len(scores) > 1 and "per_class" in last:
        parts.append(_labels_table(name, last["per_class"]))
    return Section(
        "Baselines",
        tuple(parts),
        f"Scores on {exploration.data.measured} of models without pretraining, fitted on train: the majority label (for numbers: "
        "the mean), and a linear model on TF-IDF of words and pairs of words. A fine-tuned encoder should beat them.",
    )


def _labels_table(model: str, per_class: dict[str, dict[str, float]]) -> SortableTable:
    columns = [Column("label"), *(Column(title, "number") for title in ("precision", "recall", "F1", "rows"))]
    rows: list[list[Cell]] = [
        [label, scores["precision"], scores["recall"], scores["f1"], int(scores["support"])]
        for label, scores in per_class.items()
    ]
    return SortableTable(columns, rows, f"Scores by label, {model}", filterable=len(rows) > 10)
