"""`bert-serving versions`: published versions with their labels and the servers that have them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bert_serving.cli.options import MODEL_NAME_HELP, PublishedArgument, Servers
from bert_serving.console import print_json, show_table

_SHOWN_SCORES = ("accuracy", "macro_f1", "micro_f1", "pearson", "log_loss")


def versions(
    model: PublishedArgument,
    config: Annotated[Path | None, typer.Option(help="Path of the servers' models.config, to show the labels.")] = None,
    server: Servers = None,
    name: Annotated[str | None, typer.Option(help=MODEL_NAME_HELP, show_default="the folder's")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the published versions of a model, highest first."""
    from bert_serving.publishing.published_versions import published_versions
    from bert_serving.publishing.rollout.models_config import ModelsConfig
    from bert_serving.publishing.rollout.server_group import ServerGroup
    from bert_serving.publishing.storage.location import open_location

    location = open_location(model)
    name = name or location.name
    labels: dict[str, int] = {}
    if config is not None:
        file = ModelsConfig.load(config)
        labels = dict(file.served(file.only_name(name)).labels)
    published = published_versions(location)
    available = ServerGroup(server or []).available(name)
    rows: list[dict[str, Any]] = [
        {
            "version": version.number,
            "folder": version.folder,
            "ignored_folders": list(version.ignored),
            "complete": version.complete,
            "labels": sorted(label for label, number in labels.items() if number == version.number),
            "available": [address for address, numbers in available.items() if version.number in numbers],
            "bytes": version.size,
            "published": version.published,
            "forced": version.forced,
            "metrics": version.metrics,
        }
        for version in published
    ]
    if as_json:
        print_json({"model": name, "url": location.url, "versions": rows})
        return
    scores = [score for score in _SHOWN_SCORES if any(score in version.metrics for version in published)]
    columns = ("version", "labels", *(["AVAILABLE on"] if server else []), *scores, "MB", "published", "")
    table = [
        [
            str(row["version"]),
            ", ".join(row["labels"]),
            *([", ".join(row["available"])] if server else []),
            *(f"{row['metrics'][score]:.4f}" if score in row["metrics"] else "" for score in scores),
            f"{row['bytes'] / 1e6:,.1f}",
            row["published"].replace("T", " ").removesuffix("+00:00"),
            _remark(row),
        ]
        for row in rows
    ]
    show_table(f"Versions of {name} at {location.url}", columns, table)


def _remark(row: dict[str, Any]) -> str:
    remarks = [] if row["complete"] else ["not complete"]
    if row["folder"] != str(row["version"]):
        remarks.append(f"in folder {row['folder']!r}")
    if row["ignored_folders"]:
        remarks.append(f"servers ignore {', '.join(map(repr, row['ignored_folders']))}, of the same number")
    return "; ".join([*remarks, *([f"forced: {row['forced']}"] if row["forced"] else [])])
