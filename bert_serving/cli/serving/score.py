"""`bert-serving score`: labels for the texts of whole collections of files, on Apache Beam."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.console import command_observer, print_json, show_lines

if TYPE_CHECKING:
    from bert_serving.beam.job import ScoredFiles
    from bert_serving.scoring.settings import ScoreSettings

# Of fewer rows the start of the workers is most of the time.
_MEASURABLE = 10_000


def score(
    model: Annotated[
        str, typer.Argument(help="Export, folder of its versions (also s3://, gs://), or score.toml.", metavar="MODEL")
    ],
    input_files: Annotated[
        list[str] | None,
        typer.Option("--input", help="File or quoted pattern, such as 's3://bucket/*.parquet'. Repeatable."),
    ] = None,
    output: Annotated[str | None, typer.Option(help="New folder to write; also s3:// and gs://.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Name of the text column.", show_default="text")] = None,
    text_pair: Annotated[
        str | None, typer.Option("--text-pair", help="Name of the second text column, for pairs of texts.")
    ] = None,
    identifier: Annotated[
        str | None, typer.Option("--id", help="Column that identifies a row.", show_default="FILE:NUMBER")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Column of the input to write beside the answer. Repeatable.")
    ] = None,
    output_format: Annotated[str | None, typer.Option(help="parquet, jsonl or csv.", show_default="parquet")] = None,
    all_probabilities: Annotated[
        bool, typer.Option("--all-probabilities", help="Write the probability of every label.")
    ] = False,
    max_failed_rows: Annotated[
        int | None, typer.Option(help="End the job when more rows than this fail.", show_default="no limit")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes on this machine.", show_default="one for each processor")
    ] = None,
    shard_rows: Annotated[
        int | None, typer.Option(help="Rows of a shard.", show_default="1,000 to 50,000, by the number of rows")
    ] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Tokens of a batch.", show_default="4096")] = None,
    runner: Annotated[
        str | None,
        typer.Option(help="Runner of Apache Beam, such as DataflowRunner.", show_default="DirectRunner"),
    ] = None,
    runner_options: Annotated[
        list[str] | None,
        typer.Option("--runner-option", help="Option of Beam's pipeline, NAME=VALUE. Repeatable."),
    ] = None,
    price_per_core_hour: Annotated[
        float | None, typer.Option(help="Price of a processor core for an hour, for the cost of 100 million texts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Score the texts of many files; after an interruption, the same command continues.

    Every row of the input ends in exactly one output file, or with its reason in the folder _failed.
    """
    from bert_serving.scoring.settings import read_settings

    file = Path(model) if model.endswith(".toml") else None
    given = {
        "model": None if file else model,
        "input": tuple(input_files or ()),
        "output": output,
        "text": text,
        "text_pair": text_pair,
        "id": identifier,
        "keep": tuple(keep or ()),
        "output_format": output_format,
        "all_probabilities": all_probabilities or None,
        "max_failed_rows": max_failed_rows,
        "workers": workers,
        "shard_rows": shard_rows,
        "batch_tokens": batch_tokens,
        "runner": runner,
        "runner_options": tuple(runner_options or ()),
        "price_per_core_hour": price_per_core_hour,
    }
    settings = read_settings(file, given)
    from bert_serving.beam.job import run_job

    observer = command_observer(as_json=as_json)
    try:
        done = run_job(settings, observer)
    except KeyboardInterrupt:
        observer.close()
        show_lines("  stopped; the same command continues with the unfinished shards")
        raise
    finally:
        observer.close()
    if as_json:
        print_json(done.manifest)
    else:
        _tell(done, settings)


def _tell(done: "ScoredFiles", settings: "ScoreSettings") -> None:
    from bert_serving.wording import counted

    if not done.rows_now:
        show_lines(f"  the job was complete before: {counted(done.rows, 'row')}")
    show_lines(f"  scored: {done.scored:,} of {counted(done.rows, 'row')}, {done.folder}")
    if done.failed:
        show_lines(f"  failed: {counted(done.failed, 'row')}, with reasons in {done.folder}/_failed")
    if done.texts_per_second is not None and done.rows_now >= _MEASURABLE:
        cost = f"{done.core_hours_per_100_million:,.1f} core hours for 100 million texts"
        price = settings.price_per_core_hour
        if price is not None:
            cost += f", {done.core_hours_per_100_million * price:,.2f} at {price:g} an hour"
        show_lines(
            f"  {done.texts_per_second:,.0f} texts a second, {done.processor_seconds_per_million:,.0f} processor seconds for a "
            f"million, {cost}"
        )
