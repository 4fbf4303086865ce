"""The page of `bert-serving explain`: one text, its probabilities, and the attributions of its words."""

from bert_serving.contract import Head
from bert_serving.explanation.attribution import TOLERANCE, ExplainedWindow, Explanation, Word
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import Bars, Facts, Field, Paragraph, Part, Pieces, Verdict, Verdicts, table_of
from bert_serving.wording import agreeing, counted

MOST_BARS = 20
FAINTEST = 0.05
"""words with a smaller share of the greatest attribution get no color"""


def explain_page(explanation: Explanation, model: str, warning: str = "") -> Page:
    """Lays an explanation out; `model` is the name of the model, `warning` comes first."""
    is_value = explanation.head is Head.REGRESSION
    return Page(
        title="Explanation of the predicted value" if is_value else f"Explanation of the label {explanation.label}",
        subtitle=f"{model} on one text of {counted(len(explanation.words), 'word')}",
        sections=(
            *([Section("Findings", (Verdicts([Verdict("fix", warning)]),))] if warning else []),
            _attributions(explanation),
            *([] if is_value else [_probabilities(explanation)]),
            _method(explanation),
        ),
    )


def _attributions(explanation: Explanation) -> Section:
    if explanation.head is Head.REGRESSION:
        unit, output = "value", "predicted value"
    else:
        unit, output = "logit", f"logit of {explanation.label}"
    lead = (
        f"Blue words raised the {output}, orange words with a wavy underline lowered it; the stronger the color, the greater the "
        f"attribution. Attributions are in units of the {unit} and add up to its change."
    )
    texts = [
        Pieces(
            [
                (word.text, weight if abs(weight or 0) >= FAINTEST else None)
                for word, weight in zip(explanation.words, explanation.weights, strict=True)
                if word.segment == segment
            ]
        )
        for segment in range(len(explanation.texts))
    ]
    facts = Facts(
        [
            (output, f"{explanation.logit:.3f}"),
            ("with all words masked", f"{explanation.baseline_logit:.3f}"),
            ("change", f"{explanation.change:+.3f}"),
        ]
    )
    fields: list[Field[Word]] = [
        ("word", "text", lambda word: word.text),
        ("attribution", "bar", lambda word: word.attribution),
    ]
    parts: list[Part] = [*texts]
    if explanation.cut_at is not None:
        left_out = len(explanation.words) - len(explanation.ranking)
        cut = agreeing(left_out, "was", "were")
        parts.append(
            Paragraph(f"The model reads {explanation.cut_at:,} tokens; {counted(left_out, 'word')} {cut} cut off.")
        )
    if explanation.windows:
        parts.append(_windows(explanation))
    parts += [facts, table_of(explanation.ranking, fields, "Words by attribution, greatest first")]
    return Section("Attribution of the words", tuple(parts), lead)


def _windows(explanation: Explanation) -> Part:
    """The windows of a long text in their order."""
    fields: list[Field[tuple[int, ExplainedWindow]]] = [
        ("window", "number", lambda row: row[0] + 1),
        ("words", "text", lambda row: f"{row[1].first + 1:,} to {row[1].last + 1:,}"),
        ("text", "text", lambda row: explanation.window_text(row[0])),
        ("alone", "number", lambda row: round(row[1].logit, 3)),
    ]
    if explanation.windows[0].weight is not None:
        fields.append(("weight", "number", lambda row: round(row[1].weight or 0.0, 3)))
    decided = f"window {(explanation.deciding or 0) + 1} decided"
    return table_of(list(enumerate(explanation.windows)), fields, f"Windows of the text: {decided}")


def _probabilities(explanation: Explanation) -> Section:
    order = explanation.probabilities.argsort(kind="stable")[::-1]
    bars = Bars(
        [
            (
                explanation.labels[number],
                float(explanation.probabilities[number]),
                f"{explanation.probabilities[number]:.1%}",
            )
            for number in order[:MOST_BARS]
        ]
    )
    parts: list[Part] = [bars]
    if len(order) > MOST_BARS:
        parts.append(Paragraph(f"Shown: the {MOST_BARS} most probable of {len(order):,} labels."))
    multilabel = explanation.head is Head.MULTILABEL
    lead = "The probability of each label by itself: several labels may apply, or none." if multilabel else ""
    return Section("Probabilities", tuple(parts), lead)


def _method(explanation: Explanation) -> Section:
    method = (
        "Integrated gradients (Sundararajan, Taly and Yan 2017): gradients of the output are integrated over "
        f"{explanation.steps:,} points on the straight line from a baseline, with the embedding of [MASK] for every word piece, "
        "to the embeddings of the text. The attributions of word pieces are summed to words. They show what this model "
        "reacts to, not what is true of the text."
    )
    sums = (
        f"The attributions add up to {explanation.total:+.4f}, the output changes by {explanation.change:+.4f}: a difference of "
        f"{explanation.gap:.2%}"
    )
    precision = (
        "." if explanation.is_complete else f", above the tolerance of {TOLERANCE:.0%}; the attributions are rough."
    )
    return Section("Method", (Paragraph(method), Paragraph(sums + precision)))
