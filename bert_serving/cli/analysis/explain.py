"""`bert-serving explain`: attributions of a text's words (integrated gradients)."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bert_serving.console import command_observer, console, print_json, printable, show_lines, show_table
from bert_serving.contract import Head
from bert_serving.errors import InputError

if TYPE_CHECKING:
    from bert_serving.explanation.attribution import Explanation
    from bert_serving.training.run_folder import RunFolder

_MOST_LABELS = 10
_MOST_WORDS = 10
_BAR = 40
"""characters of a bar of 100%"""
# Sky blue and orange of Okabe and Ito's color-blind safe palette; the letters on them are black.
_FOR, _AGAINST = (86, 180, 233), (230, 159, 0)
_FAINTEST = 0.08
"""smallest weight, 0 to 1, at which a word is colored"""


def explain(
    model: Annotated[str, typer.Argument(help="Run folder that train wrote.", metavar="RUN")],
    text: Annotated[str, typer.Argument(help="Text to explain.")],
    pair: Annotated[str | None, typer.Option(help="Second text, for a classifier of pairs of texts.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Label whose logit is explained.", show_default="the predicted label")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Initial number of integration steps; doubled until the attributions add up to within 2%.",
            show_default="32",
        ),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="PNG file to write.")] = None,
    page: Annotated[Path | None, typer.Option(help="HTML page to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation as JSON.")] = False,
) -> None:
    """Show how much each word contributed to a run's prediction (integrated gradients)."""
    from bert_serving.model.model import check_has_gradients

    check_has_gradients(model)
    if png is not None:
        from bert_serving.io.files import check_writable

        try:
            check_writable(png)
        except OSError as error:
            raise _unwritable(png, error) from None
    if page is not None:
        from bert_serving.extras import require

        require("pages", ("jinja2",), "report")
        from bert_serving.html.page import writable

        writable(page)
    from bert_serving.training.run_folder import RunFolder

    observer = command_observer(as_json=as_json)
    with observer.stage("Loading the run"):
        from bert_serving.explanation import integrated_gradients as attribution
        from bert_serving.training.loading import load_classifier

        run = RunFolder(Path(model))
        classifier = load_classifier(run)
    warning = _warning(run)
    steps = attribution.FIRST_STEPS if steps is None else steps
    explanation = attribution.explain(classifier, text, pair, label=label, steps=steps, observer=observer)
    if png is not None:
        _draw(explanation, png)
    if page is not None:
        from bert_serving.explanation.page import explain_page

        explain_page(explanation, Path(model).resolve().name, warning).write(page)
    if as_json:
        print_json({**_as_json(explanation, png, page), "warning": warning or None})
        return
    if warning:
        observer.note(warning)
    _show(explanation)
    for name, path in (("picture", png), ("page", page)):
        if path is not None:
            show_lines(f"  {name + ':':<8} {path}")


def _warning(run: "RunFolder") -> str:
    """That the model is no better than chance on its own rows; empty where it is better, or never was measured."""
    measured = run.chance()
    if measured is None or measured[1].better:
        return ""
    split, chance = measured
    return f"{chance.finding(f'its {split} rows')}. The attributions show what the model reacts to, not what tells the labels."


def _draw(explanation: "Explanation", png: Path) -> None:
    from bert_serving.plots.results import draw_explanation

    try:
        draw_explanation(explanation, png)
    except OSError as error:
        raise _unwritable(png, error) from None


def _unwritable(png: Path, error: OSError) -> InputError:
    return InputError(f"{png}: cannot write the picture: {error.strerror or error}; give another path")


def _as_json(explanation: "Explanation", png: Path | None, page: Path | None) -> dict[str, Any]:
    return {
        "text": explanation.texts[0],
        "pair": explanation.texts[1] if len(explanation.texts) > 1 else None,
        "probabilities": dict(zip(explanation.labels, map(float, explanation.probabilities), strict=True)),
        "label": explanation.label,
        "logit": explanation.logit,
        "masked_logit": explanation.baseline_logit,
        "words": [
            {"word": word.text, "attribution": word.attribution, "text": word.segment + 1} for word in explanation.words
        ],
        "sum": explanation.total,
        "gap": explanation.gap,
        "complete": explanation.is_complete,
        "steps": explanation.steps,
        "cut_at": explanation.cut_at,
        "windows": [
            {**dataclasses.asdict(window), "text": explanation.window_text(number)}
            for number, window in enumerate(explanation.windows)
        ],
        "deciding_window": explanation.deciding,
        "picture": None if png is None else str(png),
        "page": None if page is None else str(page),
    }


# === The terminal ===


def _show(explanation: "Explanation") -> None:
    is_value = explanation.head is Head.REGRESSION
    if not is_value:
        _show_probabilities(explanation)
    console.print()
    console.print(
        Text("Attributions to the value" if is_value else f"Attributions to the label {explanation.label}", "bold")
    )
    for segment in range(len(explanation.texts)):
        console.print(_colored(explanation, segment))
    console.print(Text("  blue: raises it; orange, underlined: lowers it", "dim"))
    rows = [[word.text, f"{word.attribution:+.3f}"] for word in explanation.ranking[:_MOST_WORDS]]
    title = (
        "Words"
        if len(explanation.ranking) <= _MOST_WORDS
        else f"The {_MOST_WORDS} words of {len(explanation.ranking)} with the largest attributions"
    )
    show_table(title, ("word", "attribution"), rows)
    if explanation.windows:
        _show_windows(explanation)
    unit = "value" if is_value else f"logit of {explanation.label}"
    show_lines(
        f"\n  {unit}: {explanation.baseline_logit:.3f} with the words masked, {explanation.logit:.3f} with them: "
        f"{explanation.change:+.3f}\n"
        f"  the words add up to {explanation.total:+.3f}: {explanation.gap:.2%} apart, after {explanation.steps:,} steps"
    )
    if not explanation.is_complete:
        console.print(
            "  [yellow]note:[/] the difference is more than 2%; the attributions are approximate", soft_wrap=True
        )
    if explanation.cut_at is not None:
        left = len(explanation.words) - len(explanation.ranking)
        is_truncated = explanation.words[-1].attribution is None
        console.print(
            f"  [yellow]note:[/] the text was truncated at {explanation.cut_at:,} tokens; the last {left:,} words had no influence"
            if is_truncated
            else f"  [yellow]note:[/] {explanation.cut_at:,} tokens of a text are read; {left:,} words had no influence",
            soft_wrap=True,
        )


def _show_windows(explanation: "Explanation") -> None:
    rows = [
        [
            f"{number + 1}{' *' if number == explanation.deciding else ''}",
            f"{window.first + 1:,} to {window.last + 1:,}",
            printable(explanation.window_text(number, 3)),
            f"{window.logit:.3f}",
            *([] if window.weight is None else [f"{window.weight:.3f}"]),
        ]
        for number, window in enumerate(explanation.windows)
    ]
    weight = () if explanation.windows[0].weight is None else ("weight",)
    show_table("Windows (* decided)", ("window", "words", "text", "alone", *weight), rows)


def _show_probabilities(explanation: "Explanation") -> None:
    order = explanation.probabilities.argsort(kind="stable")[::-1]
    rows = []
    for index in order[:_MOST_LABELS]:
        probability = float(explanation.probabilities[index])
        rows.append([explanation.labels[index], f"{probability:.3f}", "█" * round(probability * _BAR) or "▏"])
    left = len(order) - len(rows)
    show_table(
        "Probabilities" if not left else f"Probabilities, without {left:,} smaller ones",
        ("label", "probability", ""),
        rows,
    )


def _colored(explanation: "Explanation", segment: int) -> Text:
    line = Text("  ")
    for word, weight in zip(explanation.words, explanation.weights, strict=True):
        if word.segment != segment:
            continue
        if word.after_space and len(line) > 2:
            line.append(" ")
        line.append(printable(word.text), _style(weight))
    return line


def _style(weight: float | None) -> str:
    if weight is None:
        return "dim strike"
    if abs(weight) < _FAINTEST:
        return ""
    color = _FOR if weight > 0 else _AGAINST
    mixed = (round(255 + (channel - 255) * abs(weight)) for channel in color)
    return f"black on rgb({','.join(map(str, mixed))})" + (" underline" if weight < 0 else "")
