"""`bert-serving explain`: one text's probabilities, and the words that moved the decision."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bert_serving import contract
from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table
from bert_serving.contract import Head
from bert_serving.errors import InputError

if TYPE_CHECKING:
    from bert_serving.explanation.attribution import Explanation

_MOST_LABELS = 10
_MOST_WORDS = 10
_BAR = 40
"""characters of a bar of 100%"""
# Okabe and Ito's sky blue and orange, which color-blind readers can tell apart; the letters on them are black.
_FOR, _AGAINST, _NEUTRAL = (86, 180, 233), (230, 159, 0), (255, 255, 255)
_FAINTEST = 0.08
"""weaker words stay without color"""


def explain(
    model: Annotated[str, typer.Argument(help="Run folder that train wrote.", metavar="RUN")],
    text: Annotated[str, typer.Argument(help="The text to explain.")],
    pair: Annotated[str | None, typer.Option(help="The second text, for a classifier of pairs.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Explain this label's logit.", show_default="the likeliest label")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Points at which gradients are taken to begin with, doubled while the sum is not exact enough.",
            show_default="32",
        ),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Picture to write.")] = None,
    page: Annotated[Path | None, typer.Option(help="HTML page to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation as JSON.")] = False,
) -> None:
    """Show which words of a text moved a run's decision."""
    _check(model)
    if png is not None:
        from bert_serving.files import check_writable

        try:
            check_writable(png)
        except OSError as error:
            raise _unwritable(png, error) from None
    if page is not None:
        from bert_serving.extras import require

        require("pages", ("jinja2",), "report")
        from bert_serving.html.page import writable

        writable(page)
    from bert_serving.observer import Observer
    from bert_serving.training.run_folder import RunFolder

    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Loading the run"):
        from bert_serving.explanation import integrated_gradients as attribution
        from bert_serving.training.loading import load_classifier

        classifier = load_classifier(RunFolder(Path(model)))
    steps = attribution.FIRST_STEPS if steps is None else steps
    found = attribution.explain(classifier, text, pair, label=label, steps=steps, observer=observer)
    if png is not None:
        _draw(found, png)
    if page is not None:
        from bert_serving.explanation.page import explain_page

        explain_page(found, Path(model).resolve().name).write(page)
    if as_json:
        print_json(_as_json(found, png, page))
        return
    _show(found)
    for name, path in (("picture", png), ("page", page)):
        if path is not None:
            console.print(f"  {name + ':':<8} {path}", soft_wrap=True, markup=False)


def _check(model: str) -> None:
    path = Path(model)
    if (path / contract.RUN_FILE).is_file():
        return
    kind = (
        "is a server's address" if "://" in model else "is a SavedModel" if list(path.glob("**/saved_model.pb")) else ""
    )
    if kind:
        raise InputError(f"{model} {kind}, which keeps its gradients to itself; give the run folder that train wrote")
    raise InputError(f"{model}: not a run folder (run.toml is missing); give the folder that train wrote")


def _draw(found: "Explanation", png: Path) -> None:
    from bert_serving.plots.results import draw_explanation

    try:
        draw_explanation(found, png)
    except OSError as error:
        raise _unwritable(png, error) from None


def _unwritable(png: Path, error: OSError) -> InputError:
    return InputError(f"{png}: cannot write the picture: {error.strerror or error}; give another path")


def _as_json(found: "Explanation", png: Path | None, page: Path | None) -> dict[str, Any]:
    return {
        "text": found.texts[0],
        "pair": found.texts[1] if len(found.texts) > 1 else None,
        "probabilities": dict(zip(found.labels, map(float, found.probabilities), strict=True)),
        "label": found.label,
        "logit": found.logit,
        "masked_logit": found.baseline_logit,
        "words": [
            {"word": word.text, "attribution": word.attribution, "text": word.segment + 1} for word in found.words
        ],
        "sum": found.total,
        "gap": found.gap,
        "complete": found.is_complete,
        "steps": found.steps,
        "cut_at": found.cut_at,
        "picture": None if png is None else str(png),
        "page": None if page is None else str(page),
    }


# === The terminal ===


def _show(found: "Explanation") -> None:
    is_value = found.head is Head.REGRESSION
    if not is_value:
        _show_probabilities(found)
    console.print()
    console.print(
        Text("What moved the value" if is_value else f"What moved the decision towards {found.label}", "bold")
    )
    for segment in range(len(found.texts)):
        console.print(_colored(found, segment))
    console.print(Text("  blue: towards it; orange, underlined: away from it", "dim"))
    rows = [[word.text, f"{word.attribution:+.3f}"] for word in found.ranking[:_MOST_WORDS]]
    title = (
        "Words" if len(found.ranking) <= _MOST_WORDS else f"The {_MOST_WORDS} strongest words of {len(found.ranking)}"
    )
    show_table(title, ("word", "moved by"), rows)
    unit = "value" if is_value else f"logit of {found.label}"
    console.print(
        f"\n  {unit}: {found.baseline_logit:.3f} with the words masked, {found.logit:.3f} with them: {found.change:+.3f}\n"
        f"  the words add up to {found.total:+.3f}: {found.gap:.2%} apart, after {found.steps:,} steps",
        soft_wrap=True,
        markup=False,
    )
    if not found.is_complete:
        console.print("  [yellow]note:[/] that is more than 2%; read the figures as rough", soft_wrap=True)
    if found.cut_at is not None:
        left = len(found.words) - len(found.ranking)
        console.print(
            f"  [yellow]note:[/] the model reads {found.cut_at:,} tokens; the last {left:,} words had no say",
            soft_wrap=True,
        )


def _show_probabilities(found: "Explanation") -> None:
    order = found.probabilities.argsort(kind="stable")[::-1]
    rows = []
    for place in order[:_MOST_LABELS]:
        share = float(found.probabilities[place])
        rows.append([found.labels[place], f"{share:.3f}", "█" * round(share * _BAR) or "▏"])
    left = len(order) - len(rows)
    show_table(
        "Probabilities" if not left else f"Probabilities, {left:,} smaller ones left out",
        ("label", "probability", ""),
        rows,
    )


def _colored(found: "Explanation", segment: int) -> Text:
    line = Text("  ")
    for word, weight in zip(found.words, found.weights, strict=True):
        if word.segment != segment:
            continue
        if word.after_space and len(line) > 2:
            line.append(" ")
        shown = "".join(char if char.isprintable() else " " for char in word.text)
        line.append(shown, _style(weight))
    return line


def _style(weight: float | None) -> str:
    if weight is None:
        return "dim strike"
    if abs(weight) < _FAINTEST:
        return ""
    towards = _FOR if weight > 0 else _AGAINST
    mixed = (round(white + (color - white) * abs(weight)) for white, color in zip(_NEUTRAL, towards, strict=True))
    return f"black on rgb({','.join(map(str, mixed))})" + (" underline" if weight < 0 else "")
