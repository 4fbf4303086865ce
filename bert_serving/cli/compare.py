"""`bert-serving compare`: two servers, or two versions of one, on the same texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table
from bert_serving.cli.model_argument import MODEL_HELP, open_model

if TYPE_CHECKING:
    from bert_serving.publishing.rollout.comparison import Shadow


def compare(
    first: Annotated[str, typer.Argument(help=f"The one that serves: {MODEL_HELP}")],
    second: Annotated[str, typer.Argument(help="The one that might.")],
    data: Annotated[list[Path], typer.Option(help="Labeled text, or .txt with one text a line. Repeatable.")],
    text: Annotated[str, typer.Option(help="Name of the text column.")] = "text",
    text_pair: Annotated[str | None, typer.Option(help="Name of the second text column, for pairs.")] = None,
    label: Annotated[str, typer.Option(help="Name of the label column.")] = "label",
    labels: Annotated[str | None, typer.Option(help="Names of all labels in order, joined by commas.")] = None,
    rows: Annotated[int, typer.Option(help="Changed texts to show.")] = 10,
    minimum: Annotated[float | None, typer.Option(help="Smallest agreement; below it the exit status is 1.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Ask two models the same texts: agreement, changed labels with both distributions, latency of each."""
    from bert_serving.errors import InputError, VerificationError
    from bert_serving.observer import Observer
    from bert_serving.publishing.rollout.comparison import shadow

    texts, pairs = _texts(data, text, text_pair, label)
    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Opening both models"):
        opened = [open_model(each) for each in (first, second)]
        counts = [each.predict(texts[:1], None if pairs is None else pairs[:1]).shape[1] for each in opened]
    if counts[0] != counts[1]:
        raise InputError(
            f"{first} answers {counts[0]} probabilities, {second} {counts[1]}; compare models of the same labels"
        )
    names = labels.split(",") if labels else next((each.labels for each in opened if each.labels), None)
    names = list(names or (f"class {place}" for place in range(counts[0])))
    if len(names) != counts[0]:
        raise InputError(f"--labels names {len(names)} labels, the models answer {counts[0]} probabilities")
    with observer.stage(f"Asking for {len(texts):,} texts, one at a time, in turns"):
        found = shadow(opened[0].predict, opened[1].predict, texts, pairs)
    if as_json:
        print_json(_json(found, names))
    else:
        _show(found, names, (first, second), rows)
    if minimum is not None and found.agreement < minimum:
        raise VerificationError(
            f"{second} against {first}",
            [f"agreement {found.agreement:.4f} is below {minimum}; {len(found.changed)} labels changed"],
        )


def _texts(data: list[Path], text: str, text_pair: str | None, label: str) -> tuple[list[str], list[str] | None]:
    from bert_serving.config import DataConfig
    from bert_serving.contract import Head
    from bert_serving.data.table import read_table
    from bert_serving.errors import DataError

    if all(path.suffix == ".txt" for path in data) and text_pair is None:
        lines: list[str] = []
        for path in data:
            try:
                lines += [line for line in path.read_text("utf-8").split("\n") if line.strip()]
            except OSError as error:
                raise DataError(f"{path}: cannot read it: {error.strerror}; check --data") from None
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from None
        if not lines:
            raise DataError(f"{', '.join(map(str, data))}: has no texts; give one a line")
        return lines, None
    # Labels are not looked at, so any will do.
    config = DataConfig(train=tuple(data), text=text, text_pair=text_pair, label=label)
    table = read_table(data, config, Head.SOFTMAX)
    return table.texts, table.pairs


def _json(found: "Shadow", names: list[str]) -> dict[str, Any]:
    def distribution(row: Any) -> dict[str, float]:
        return {name: float(value) for name, value in zip(names, row, strict=True)}

    changed = [
        {"text": found.texts[row], "first": distribution(found.first[row]), "second": distribution(found.second[row])}
        for row in found.changed
    ]
    latency = [
        {
            "p50_ms": found.milliseconds(which, 50),
            "p95_ms": found.milliseconds(which, 95),
            "p99_ms": found.milliseconds(which, 99),
        }
        for which in (0, 1)
    ]
    return {
        "rows": len(found.texts),
        "agreement": found.agreement,
        "max_probability_difference": float(found.differences.max()),
        "shares": [distribution(each) for each in found.shares],
        "changed": changed,
        "latency": latency,
    }


def _show(found: "Shadow", names: list[str], models: tuple[str, str], rows: int) -> None:
    latency = [
        [model, *(f"{found.milliseconds(which, percentile):.1f}" for percentile in (50, 95, 99))]
        for which, model in enumerate(models)
    ]
    show_table("Latency of one text, in ms", ("model", "median", "95th percentile", "99th"), latency)
    first, second = found.shares
    shares = [
        [name, f"{one:.4f}", f"{other:.4f}", f"{other - one:+.4f}"]
        for name, one, other in zip(names, first, second, strict=True)
    ]
    show_table("How often each label is answered", ("label", "first", "second", "change"), shares)
    changed = [
        [found.texts[row][:200], _best(found.first[row], names), _best(found.second[row], names)]
        for row in found.changed[:rows]
    ]
    if changed:
        show_table(f"Changed labels ({len(changed)} of {len(found.changed)})", ("text", "first", "second"), changed)
    console.print(
        f"\n  agreement: {found.agreement:.4f} of {len(found.texts):,} texts, {len(found.changed)} labels changed, "
        f"largest difference of a probability {found.differences.max():.2g}",
        soft_wrap=True,
    )


def _best(row: Any, names: list[str]) -> str:
    best = sorted(zip(row, names, strict=True), reverse=True)[:3]
    return ", ".join(f"{name} {value:.3f}" for value, name in best)
