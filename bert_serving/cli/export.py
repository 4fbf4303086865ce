"""`bert-serving export`: a run folder, or a fine-tuned classifier of Hugging Face, to a verified SavedModel version."""

import re
from pathlib import Path
from typing import Annotated

import typer

from bert_serving import contract
from bert_serving.cli.display import ConsoleObserver, console
from bert_serving.contract import Graph, Precision


def export(
    source: Annotated[
        Path,
        typer.Argument(
            help="Run folder that train wrote, or folder of a fine-tuned Hugging Face classifier.", metavar="SOURCE"
        ),
    ],
    to: Annotated[Path, typer.Option(help="Folder of models; the version lands in TO/NAME/VERSION.")],
    name: Annotated[
        str | None,
        typer.Option(
            help="The model's name on the server.", show_default="export.name of the run file, or the folder's name"
        ),
    ] = None,
    version: Annotated[int | None, typer.Option(help="A positive integer.", show_default="the next one")] = None,
    graph: Annotated[
        Graph | None,
        typer.Option(help="How padding is treated.", show_default="export.graph of the run file, or ragged"),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="Of the ragged graph's weights; auto measures here.",
            show_default="export.precision of the run file, or float32",
        ),
    ] = None,
    minimum_tf_serving: Annotated[
        str | None,
        typer.Option(
            help="Refuse operations that this TensorFlow Serving lacks.",
            metavar="X.Y",
            show_default="what the run file says, or 2.12",
        ),
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(
            help="Cut texts at so many tokens; for a Hugging Face folder.",
            min=4,
            show_default="what its tokenizer was saved with",
        ),
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            help="Texts to compare export and model on, and to measure the ranges of int8; for a Hugging Face folder.",
            metavar="FILE",
        ),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="It classifies pairs of texts; for a Hugging Face folder.")
    ] = False,
) -> None:
    """Write and verify a SavedModel version."""
    from bert_serving.config import ExportConfig
    from bert_serving.errors import InputError
    from bert_serving.training.run_folder import RunFolder

    adopted = not (source / contract.RUN_FILE).is_file() and (source / "config.json").is_file()
    if not adopted and (pairs or texts or sequence_length is not None):
        raise InputError(
            f"{source}: --pairs, --sequence-length and --texts are for Hugging Face folders; a run file decides about them"
        )
    if minimum_tf_serving is not None and not re.fullmatch(r"\d+\.\d+", minimum_tf_serving):
        raise InputError(f"--minimum-tf-serving {minimum_tf_serving!r} is no version such as 2.17")
    config = ExportConfig(name=_name_of(source)) if adopted else RunFolder(source).config().export
    observer = ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.saved_model.export import export_hugging_face, export_run
        from bert_serving.saved_model.writer import ExportOptions

    options = ExportOptions(
        base=to,
        name=name or config.name,
        version=version,
        graph=graph or config.graph,
        precision=precision or config.precision,
        max_probability_difference=config.max_probability_difference,
        max_label_change_rate=config.max_label_change_rate,
        minimum_tf_serving=minimum_tf_serving or config.minimum_tf_serving,
    )
    if adopted:
        folder = export_hugging_face(
            source, options, sequence_length=sequence_length, pairs=pairs, texts=texts or (), observer=observer
        )
    else:
        folder = export_run(RunFolder(source), options, observer=observer)
    show_export(folder)


def _name_of(source: Path) -> str:
    """A model's name made of its folder's."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", source.resolve().name).lstrip("-._") or "classifier"


def show_export(folder: Path) -> None:
    """Prints where an export lies and what its verification found."""
    from bert_serving.saved_model.manifest import load_manifest

    manifest = load_manifest(folder)
    if manifest is None or manifest.verification is None:
        return
    checked = manifest.verification
    agreement = checked.agreement
    if agreement is not None:
        console.print(
            f"  agrees:   {agreement.rows:,} validation texts, largest difference of a probability "
            f"{agreement.max_probability_difference:.1e}, {agreement.changed_labels} other answers",
            soft_wrap=True,
        )
    console.print(
        f"  graph:    {manifest.graph}, {manifest.precision}\n"
        f"  verified: {checked.golden_texts} golden texts, largest difference of a probability "
        f"{checked.max_probability_difference:.1e}\n"
        f"  needs:    TensorFlow Serving {manifest.oldest_tf_serving} or later\n"
        f"  export:   {folder}",
        soft_wrap=True,
        markup=False,
    )
