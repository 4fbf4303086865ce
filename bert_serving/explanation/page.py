"""The page of `bert-serving explain`: one text, its probabilities, and the words that moved the decision."""

from bert_serving.contract import Head
from bert_serving.explanation.integrated_gradients import TOLERANCE, Explanation
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import Bars, Cell, Column, Facts, Paragraph, Part, Pieces, Table

MOST_BARS = 20
FAINTEST = 0.05
"""words with a smaller share of the strongest word's weight stay without color"""


def explain_page(found: Explanation, model: str) -> Page:
    """Lays an explanation out; `model` is what to call the model."""
    is_value = found.head is Head.REGRESSION
    return Page(
        title="Why this value" if is_value else f"Why {found.label}",
        subtitle=f"{model} on one text of {len(found.words):,} words",
        sections=(_words(found), *([] if is_value else [_probabilities(found)]), _method(found)),
    )


def _words(found: Explanation) -> Section:
    if found.head is Head.REGRESSION:
        moved, unit, figure = "the value up", "of the value", "value"
    else:
        moved, unit, figure = f"the decision towards {found.label}", "of the logit", f"logit of {found.label}"
    lead = (
        f"Blue words moved {moved}, orange words with a wavy line the other way; the stronger the color, the further. Figures "
        f"are in the unit {unit} and add up to its change."
    )
    texts = [
        Pieces(
            [
                (word.text, weight if abs(weight or 0) >= FAINTEST else None)
                for word, weight in zip(found.words, found.weights, strict=True)
                if word.segment == segment
            ]
        )
        for segment in range(len(found.texts))
    ]
    facts = Facts(
        [
            (figure, f"{found.logit:.3f}"),
            ("with the words masked", f"{found.baseline_logit:.3f}"),
            ("change", f"{found.change:+.3f}"),
        ]
    )
    rows: list[list[Cell]] = [[word.text, word.attribution] for word in found.ranking]
    table = Table([Column("word"), Column("moved by", "bar")], rows, caption="Words, strongest first")
    parts: list[Part] = [*texts, facts, table]
    if found.cut_at is not None:
        left = len(found.words) - len(rows)
        parts.insert(len(texts), Paragraph(f"The model reads {found.cut_at:,} tokens; {left:,} words were cut off."))
    return Section("Which words moved the decision", tuple(parts), lead)


def _probabilities(found: Explanation) -> Section:
    order = found.probabilities.argsort(kind="stable")[::-1]
    bars = Bars(
        [
            (found.labels[place], float(found.probabilities[place]), f"{found.probabilities[place]:.1%}")
            for place in order[:MOST_BARS]
        ]
    )
    parts: list[Part] = [bars]
    if len(order) > MOST_BARS:
        parts.append(Paragraph(f"Shown: the {MOST_BARS} likeliest of {len(order):,} labels."))
    lead = "Each label on its own: several may apply, or none." if found.head is Head.MULTILABEL else ""
    return Section("Probabilities", tuple(parts), lead)


def _method(found: Explanation) -> Section:
    method = (
        "Integrated gradients (Sundararajan, Taly and Yan 2017): on the straight line from the word embeddings of [MASK] for every "
        f"word piece to those of the text, gradients at {found.steps:,} points tell how far each word moved the outcome. Word pieces are "
        "summed to words. The method tells what this model reacts to, not what is true of the text."
    )
    sum_ = f"The words add up to {found.total:+.4f}, the change is {found.change:+.4f}: {found.gap:.2%} apart"
    verdict = (
        f"{sum_}."
        if found.is_complete
        else f"{sum_}, more than the {TOLERANCE:.0%} allowed; read the figures as rough."
    )
    return Section("How it was found", (Paragraph(method), Paragraph(verdict)))
