"""`bert-serving export`: exports a run, or a classifier that was fine-tuned elsewhere, to a verified SavedModel."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from bert_serving import contract
from bert_serving.cli.options import labels_option
from bert_serving.console import ConsoleObserver, show_lines
from bert_serving.contract import Graph, Head, Precision


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="Run folder that train wrote, or a classifier that was fine-tuned elsewhere: a Hugging Face folder, hf://owner/name, "
            "what model.save of Keras wrote, a KerasHub task preset, or a checkpoint of TensorFlow 1.",
            metavar="SOURCE",
        ),
    ],
    to: Annotated[Path, typer.Option(help="Folder of models; the version is written to TO/NAME/VERSION.")],
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the model on the server.", show_default="export.name of the run file, or the folder's name"
        ),
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Version number, a positive integer.", show_default="the next one")
    ] = None,
    graph: Annotated[
        Graph | None,
        typer.Option(
            help="Treatment of padding in the exported graph.", show_default="export.graph of the run file, or ragged"
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="Data type of the ragged graph's weights; auto measures which is fastest on this machine.",
            show_default="export.precision of the run file, or float32",
        ),
    ] = None,
    minimum_tf_serving: Annotated[
        str | None,
        typer.Option(
            help="Oldest TensorFlow Serving release that must support all operations.",
            metavar="X.Y",
            show_default="that of the run file, or 2.12",
        ),
    ] = None,
    max_metric_loss: Annotated[
        float | None,
        typer.Option(
            help="Largest loss of the head's metric (accuracy) on labeled validation rows that is not refused.",
            min=0,
            max=1,
            show_default="that of the run file, or 0.01 in bfloat16 and int8",
        ),
    ] = None,
    max_log_loss_increase: Annotated[
        float | None,
        typer.Option(
            help="Largest increase of the log loss on labeled validation rows that is not refused, in nats.",
            min=0,
            show_default="that of the run file, or 0.02 in bfloat16 and int8",
        ),
    ] = None,
    max_mean_probability_difference: Annotated[
        float | None,
        typer.Option(
            help="Largest mean difference of a probability that is not refused.",
            min=0,
            show_default="that of the run file, or 0.02 in bfloat16 and int8",
        ),
    ] = None,
    max_probability_difference: Annotated[
        float | None,
        typer.Option(
            help="Largest difference of a probability in any text that is not refused.",
            min=0,
            show_default="that of the run file, or 1e-5 in float32",
        ),
    ] = None,
    max_label_change_rate: Annotated[
        float | None,
        typer.Option(
            help="Largest fraction of validation rows with another label that is not refused.",
            min=0,
            max=1,
            show_default="that of the run file, or 0.002 in float32",
        ),
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(
            help="Number of tokens at which texts are truncated; for a classifier from elsewhere.",
            min=4,
            show_default="its own",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Names of the outputs in order, for a classifier whose files have none: a file with one a line, or a,b,c.",
            metavar="FILE|A,B,...",
        ),
    ] = None,
    head: Annotated[
        Head | None,
        typer.Option(
            help="What a classifier from elsewhere predicts, where its last layer fits several.",
            show_default="binary for one output, multilabel for several with a sigmoid, else softmax",
        ),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="WordPiece vocabulary of a Keras model that takes token ids, not texts.", metavar="FILE"),
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            help="Texts to verify the export on, and to calibrate int8 ranges on; for a classifier from elsewhere. Repeatable.",
            metavar="FILE",
        ),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="The model classifies pairs of texts; for one from elsewhere.")
    ] = False,
) -> None:
    """Export a run, or a classifier that was fine-tuned elsewhere, to a verified SavedModel version."""
    from bert_serving.config import ExportConfig
    from bert_serving.errors import InputError
    from bert_serving.imported.kinds import check_told, kind_of
    from bert_serving.imported.options import ImportOptions
    from bert_serving.imported.source import ADDRESS, local_source
    from bert_serving.names import model_name
    from bert_serving.saved_model.options import ExportOptions, check_target
    from bert_serving.training.run_folder import RunFolder

    is_run = (Path(source) / contract.RUN_FILE).is_file()
    told = ImportOptions(tuple(labels_option(labels) or ()), head, vocabulary, sequence_length, pairs)
    if is_run and (told != ImportOptions() or texts):
        raise InputError(
            f"{source}: --labels, --head, --vocabulary, --sequence-length, --pairs and --texts are for a classifier that was fine-tuned "
            "elsewhere; for a run they are in its run file"
        )
    if minimum_tf_serving is not None and not re.fullmatch(r"\d+\.\d+", minimum_tf_serving):
        raise InputError(f"--minimum-tf-serving {minimum_tf_serving!r} is not a version; give one such as 2.17")
    if not is_run and not source.startswith(ADDRESS):
        check_told(Path(source), kind_of(Path(source)), told)
    config = RunFolder(Path(source)).config().export if is_run else ExportConfig(name=model_name(source))
    chosen = {
        "name": name,
        "graph": graph,
        "precision": precision,
        "max_metric_loss": max_metric_loss,
        "max_log_loss_increase": max_log_loss_increase,
        "max_mean_probability_difference": max_mean_probability_difference,
        "max_probability_difference": max_probability_difference,
        "max_label_change_rate": max_label_change_rate,
        "minimum_tf_serving": minimum_tf_serving,
    }
    # The options that were given stand in place of the run file's keys of the same names.
    given: dict[str, Any] = {key: getattr(config, key) if value is None else value for key, value in chosen.items()}
    options = ExportOptions(base=to, version=version, **given)
    check_target(options)
    observer = ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.saved_model.export import export_imported, export_run

    if is_run:
        folder = export_run(RunFolder(Path(source)), options, observer=observer)
    else:
        taken = local_source(source, observer)
        known_as = source if source.startswith(ADDRESS) else None
        folder = export_imported(taken, options, imported=told, texts=texts or (), name=known_as, observer=observer)
    show_export(folder)


def show_export(folder: Path) -> None:
    """Prints the path of an export and the results of its verification."""
    from bert_serving.saved_model.manifest import load_manifest

    manifest = load_manifest(folder)
    if manifest is None or manifest.verification is None:
        return
    verification = manifest.verification
    agreement = verification.agreement
    if agreement is not None:
        show_lines(f"  agrees:   {agreement.summary()}")
    show_lines(
        f"  graph:    {manifest.graph}, {manifest.precision}\n"
        f"  verified: {verification.golden_texts} golden texts, largest difference of a probability "
        f"{verification.max_probability_difference:.1e}\n"
        f"  needs:    TensorFlow Serving {manifest.oldest_tf_serving} or later\n"
        f"  export:   {folder}"
    )
