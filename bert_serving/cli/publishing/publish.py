"""`bert-serving publish`: publishes a verified export to where servers load it from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.options import MODEL_HELP
from bert_serving.console import command_observer, print_json, show_lines, show_table

if TYPE_CHECKING:
    from bert_serving.publishing.rollout.gate import GateReport


def publish(
    export: Annotated[
        Path, typer.Argument(help="Version folder that export wrote, or a folder of versions (the highest is used).")
    ],
    to: Annotated[str, typer.Option(help="Folder of models, or its URL: s3://bucket/models, gs://bucket/models.")],
    name: Annotated[str | None, typer.Option(help="Name of the model.", show_default="the manifest's")] = None,
    version: Annotated[
        int | None, typer.Option(help="Version number, a positive integer.", show_default="the manifest's")
    ] = None,
    gate: Annotated[
        Path | None, typer.Option(help="Gate file (TOML) with the rules that the export must meet.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help=f"The serving version, for the gate to compare with: {MODEL_HELP}",
            show_default="the highest version at TO, if TO is a folder",
        ),
    ] = None,
    force: Annotated[
        str | None,
        typer.Option(help="Publish even if the gate fails; the reason is recorded.", metavar="REASON"),
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Continue an upload that another machine has interrupted.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Verify an export again, check it against a gate, and publish it completely or not at all."""
    from bert_serving.errors import InputError
    from bert_serving.publishing import publication
    from bert_serving.publishing.rollout.gate import load_gate
    from bert_serving.publishing.storage.location import open_location
    from bert_serving.saved_model.versions import latest_version

    if gate is None and (force is not None or against is not None):
        raise InputError("--force and --against need --gate; give the gate file, or leave them out")
    if force is not None and not force.strip():
        raise InputError("--force needs a reason, which is recorded; got an empty one")
    rules = load_gate(gate) if gate is not None else None
    folder = latest_version(export)
    target = publication.publication_target(folder, open_location(to), name=name, version=version)
    observer = command_observer(as_json=as_json)
    target.models.check()
    report = None
    if publication.already_published(folder, target):
        observer.note(f"{target.url} already holds this export; nothing to do")
    else:
        report = publication.publish_checked(
            folder,
            target,
            rules=rules,
            baseline=against,
            forced=force or "",
            take_over=take_over,
            observer=observer,
            show_gate=(lambda _: None) if as_json else _show_gate,
        )
    if as_json:
        print_json({"published": target.url, "gate": None if report is None else report.record()})
    else:
        show_lines(f"  published: {target.url}")


def _show_gate(report: "GateReport") -> None:
    rows = [
        ["yes" if check.passed else "NO", check.rule, f"{check.value:.4g}", f"{check.limit:.4g}", check.detail]
        for check in report.checks
    ]
    against = f", against {report.against}" if report.against else ", without a serving version to compare with"
    title = f"Gate on {report.data}: {report.rows:,} rows{against}"
    show_table(title, ("passed", "rule", "measured", "limit", ""), rows)
    if report.forced and not report.passed:
        show_lines(f"  published although the gate failed: {report.forced}")
