"""`bert-serving compare`: two models, or two versions of one, on the same texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.options import (
    MODEL_HELP,
    LabelColumn,
    ServerLabels,
    TextPairColumn,
    UnlabeledTextColumn,
    label_columns,
    labels_option,
)
from bert_serving.console import command_observer, print_json, show_lines, show_table

if TYPE_CHECKING:
    import numpy as np

    from bert_serving.publishing.rollout.comparison import ModelComparison

_SHOWN_CHARACTERS = 200


def compare(
    first: Annotated[str, typer.Argument(help=f"The serving model: {MODEL_HELP}")],
    second: Annotated[str, typer.Argument(help="The model to compare with it, given in the same way.")],
    data: Annotated[
        list[Path], typer.Option(help="Tables, .txt with one text a line, or folders of .txt files. Repeatable.")
    ],
    text: UnlabeledTextColumn = None,
    text_pair: TextPairColumn = None,
    label: LabelColumn = "label",
    labels: ServerLabels = None,
    rows: Annotated[int, typer.Option(help="Number of texts with changed labels to show.")] = 10,
    minimum: Annotated[
        float | None,
        typer.Option(help="Smallest share of texts with the same label, 0 to 1; below it the exit status is 1."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare two models on the same texts: agreement, changed labels, latency."""
    from bert_serving.data.unlabeled import TextColumns, read_unlabeled
    from bert_serving.errors import VerificationError
    from bert_serving.model.model import open_model
    from bert_serving.publishing.rollout.comparison import aligned, common_labels, compare_models

    observer = command_observer(as_json=as_json)
    found = read_unlabeled(data, TextColumns(text, text_pair, ignored=(label, *label_columns(label))), observer)
    texts, pairs = found.texts, found.pairs
    with observer.stage("Opening both models"):
        given = labels_option(labels)
        models = aligned(open_model(first, given), open_model(second, given))
        names = common_labels(models, texts[0], None if pairs is None else pairs[0])
    with observer.stage(f"Predicting {len(texts):,} texts, one at a time, alternately"):
        comparison = compare_models(
            models[0].predict,
            models[1].predict,
            texts,
            pairs,
            head=models[0].head or models[1].head,
            thresholds=(models[0].thresholds, models[1].thresholds),
        )
    if as_json:
        print_json(comparison.to_json(names))
    else:
        _show(comparison, names, (first, second), rows)
    if minimum is not None and comparison.agreement < minimum:
        raise VerificationError(
            f"{second} against {first}",
            [f"agreement {comparison.agreement:.4f} is below {minimum}; {len(comparison.changed)} labels changed"],
        )


def _show(comparison: "ModelComparison", names: Sequence[str], models: tuple[str, str], rows: int) -> None:
    latency = [
        [model, *(f"{comparison.milliseconds(number, percentile):.1f}" for percentile in (50, 95, 99))]
        for number, model in enumerate(models)
    ]
    show_table("Latency of one text, in ms", ("model", "median", "95th percentile", "99th"), latency)
    first, second = comparison.shares
    shares = [
        [name, f"{one:.4f}", f"{other:.4f}", f"{other - one:+.4f}"]
        for name, one, other in zip(names, first, second, strict=True)
    ]
    show_table("Share of texts predicted as each label", ("label", "first", "second", "change"), shares)
    changed = [
        [
            comparison.texts[row][:_SHOWN_CHARACTERS],
            _best(comparison.first[row], names),
            _best(comparison.second[row], names),
        ]
        for row in comparison.changed[:rows]
    ]
    if changed:
        title = f"Changed labels ({len(changed)} of {len(comparison.changed)})"
        show_table(title, ("text", "first", "second"), changed)
    show_lines(
        f"\n  agreement: {comparison.agreement:.4f} of {len(comparison.texts):,} texts, "
        f"{len(comparison.changed)} labels changed, "
        f"largest difference of a probability {comparison.differences.max():.2g}"
    )


def _best(probabilities: "np.ndarray", names: Sequence[str]) -> str:
    best = sorted(zip(probabilities, names, strict=True), reverse=True)[:3]
    return ", ".join(f"{name} {value:.3f}" for value, name in best)
