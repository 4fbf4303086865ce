"""`bert-serving versions`: what is published, which labels lead there, and which servers have it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bert_serving.cli.display import print_json, show_table

_SHOWN_SCORES = ("accuracy", "macro_f1", "micro_f1", "pearson", "log_loss")
SERVER_HELP = "Address of a server's gRPC port, host:port. Repeatable."
CONFIG_HELP = "The servers' models.config."


def versions(
    model: Annotated[str, typer.Argument(help="The model's folder, or its URL: s3://bucket/models/NAME.")],
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP)] = None,
    server: Annotated[list[str] | None, typer.Option(help=SERVER_HELP)] = None,
    name: Annotated[str | None, typer.Option(help="The model's name there.", show_default="the folder's")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the published versions of a model, highest first."""
    from bert_serving.publishing.published_versions import published_versions
    from bert_serving.publishing.rollout.models_config import ModelsConfig
    from bert_serving.publishing.rollout.rollout import ServerGroup
    from bert_serving.publishing.storage.location import open_place

    place = open_place(model)
    name = name or place.name
    labels: dict[str, int] = {}
    if config is not None:
        file = ModelsConfig.load(config)
        labels = dict(file.served(file.only_name(name)).labels)
    found = published_versions(place)
    available = ServerGroup(addresses(server)).available(name) if server else {}
    rows: list[dict[str, Any]] = [
        {
            "version": each.number,
            "complete": each.complete,
            "labels": sorted(label for label, number in labels.items() if number == each.number),
            "available": [address for address, numbers in available.items() if each.number in numbers],
            "bytes": each.size,
            "published": each.published,
            "forced": each.forced,
            "metrics": each.metrics,
        }
        for each in found
    ]
    if as_json:
        print_json({"model": name, "url": place.url, "versions": rows})
        return
    scores = [score for score in _SHOWN_SCORES if any(score in each.metrics for each in found)]
    columns = ("version", "labels", *(["AVAILABLE on"] if server else []), *scores, "MB", "published", "")
    table = [
        [
            str(row["version"]),
            ", ".join(row["labels"]),
            *([", ".join(row["available"])] if server else []),
            *(f"{row['metrics'][score]:.4f}" if score in row["metrics"] else "" for score in scores),
            f"{row['bytes'] / 1e6:,.1f}",
            row["published"].replace("T", " ").removesuffix("+00:00"),
            _remark(row["complete"], row["forced"]),
        ]
        for row in rows
    ]
    show_table(f"Versions of {name} at {place.url}", columns, table)


def addresses(servers: list[str] | None) -> list[str]:
    """Addresses as gRPC takes them; a URL of a server is understood, too."""
    return [each.removeprefix("grpc://").rstrip("/") for each in servers or ()]


def _remark(complete: bool, forced: str) -> str:
    if not complete:
        return "not complete"
    return f"forced: {forced}" if forced else ""
