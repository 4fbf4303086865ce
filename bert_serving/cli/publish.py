"""`bert-serving publish`: a verified export to the place where servers find it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table
from bert_serving.cli.model_argument import MODEL_HELP

if TYPE_CHECKING:
    from bert_serving.publishing.publication import Destination
    from bert_serving.publishing.rollout.gate import GateReport


def publish(
    export: Annotated[
        Path, typer.Argument(help="Version folder that export wrote, or a folder of versions (the highest is taken).")
    ],
    to: Annotated[str, typer.Option(help="Folder of models, or its URL: s3://bucket/models, gs://bucket/models.")],
    name: Annotated[str | None, typer.Option(help="The model's name.", show_default="the manifest's")] = None,
    version: Annotated[int | None, typer.Option(help="A positive integer.", show_default="the manifest's")] = None,
    gate: Annotated[Path | None, typer.Option(help="Gate file (TOML): what the candidate must do.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help=f"The version that serves: {MODEL_HELP}", show_default="the highest at TO, if TO is a folder"
        ),
    ] = None,
    force: Annotated[
        str | None, typer.Option(help="Publish although the gate says no; the reason is recorded.", metavar="REASON")
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Go on where a publisher on another machine broke off.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Verify an export again, hold it against a gate, and publish it: as a whole or not at all."""
    from bert_serving.errors import InputError
    from bert_serving.observer import Observer
    from bert_serving.publishing import publication
    from bert_serving.publishing.rollout.gate import load_gate
    from bert_serving.publishing.storage.location import open_place
    from bert_serving.saved_model.versions import latest_version

    if gate is None and (force is not None or against is not None):
        raise InputError("--force and --against belong to --gate; give the gate file, or leave them out")
    if force is not None and not force.strip():
        raise InputError("--force needs a reason, which is recorded; got an empty one")
    rules = load_gate(gate) if gate is not None else None
    folder = latest_version(export)
    destination = publication.destination_of(folder, open_place(to), name=name, version=version)
    observer = Observer() if as_json else ConsoleObserver()
    destination.models.check()
    if publication.already_published(folder, destination):
        observer.note(f"{destination.url} holds this very export already; nothing to do")
        _show(destination, None, as_json=as_json)
        return
    publication.check_free(destination)
    publication.verify_again(folder, observer)
    report = None
    if rules is not None:
        from bert_serving.cli.gate_models import hold_against

        report = hold_against(rules, folder, against or _serving(destination), force or "", observer)
        if not as_json:
            _show_gate(report)
        report.insist(str(folder))
    record = {"gate": None if report is None else report.record()}
    publication.publish(folder, destination, record, take_over=take_over, observer=observer)
    _show(destination, report, as_json=as_json)


def _serving(destination: "Destination") -> str | None:
    """The highest version at a destination that is a folder."""
    from bert_serving.publishing.publication import published_numbers

    folder, numbers = destination.model.folder, published_numbers(destination.model)
    return str(folder / str(numbers[-1])) if folder is not None and numbers else None


def _show_gate(report: "GateReport") -> None:
    rows = [
        ["yes" if each.passed else "NO", each.rule, f"{each.value:.4g}", f"{each.limit:.4g}", each.detail]
        for each in report.checks
    ]
    against = f", against {report.against}" if report.against else ", no version to compare with"
    show_table(f"Gate on {report.data}: {report.rows:,} rows{against}", ("passed", "rule", "found", "limit", ""), rows)
    if report.forced and not report.passed:
        console.print(f"  published all the same: {report.forced}", soft_wrap=True, markup=False)


def _show(destination: "Destination", report: "GateReport | None", *, as_json: bool) -> None:
    if as_json:
        print_json({"published": destination.url, "gate": None if report is None else report.record()})
        return
    console.print(f"  published: {destination.url}", soft_wrap=True, markup=False)
