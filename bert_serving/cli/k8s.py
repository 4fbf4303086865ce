"""`bert-serving k8s render`: manifests for Kubernetes, filled in for a model."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console

if TYPE_CHECKING:
    from bert_serving.publishing.kubernetes.manifests import Deployed
    from bert_serving.publishing.kubernetes.sizing import Need, Sizing

app = typer.Typer(help="Manifests for Kubernetes.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Manifests for Kubernetes."""


@app.command()
def render(
    model: Annotated[str, typer.Option(help="Name of a published model.")],
    url: Annotated[str, typer.Option(help="Where it was published: s3://bucket/models or gs://bucket/models.")],
    overlay: Annotated[str, typer.Option(help="cpu, gpu, canary, canary-mesh or kserve.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="New folder for `kubectl apply -k`; without it the manifests are printed.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Texts per second that all pods together must answer.")] = None,
    throughput: Annotated[
        float | None, typer.Option(help="Texts per second of one pod, where you have measured them there.")
    ] = None,
    measure: Annotated[
        Path | None, typer.Option(help="The export's folder: measure throughput and load time on this machine.")
    ] = None,
    processors: Annotated[int, typer.Option(help="Processors of one pod.")] = 2,
    namespace: Annotated[str | None, typer.Option(help="Of the cluster.", show_default="the model's name")] = None,
) -> None:
    """Write manifests with names, sizes and resources computed from a published model."""
    from bert_serving.errors import PublishError
    from bert_serving.publishing.kubernetes.manifests import Deployed, rendered, write_manifests
    from bert_serving.publishing.kubernetes.sizing import Need, size
    from bert_serving.publishing.published_versions import published_versions
    from bert_serving.publishing.storage.location import open_place

    place = open_place(url).below(model)
    complete = [each for each in published_versions(place) if each.complete]
    if not complete:
        raise PublishError(f"{place.url}: no version is complete; publish one first")
    load_seconds = None
    if measure is not None:
        throughput, load_seconds = _measured(measure, throughput)
    # The two that are in memory side by side: the new one may be half as large as the one that it replaces.
    need = Need(max(each.size for each in complete[:2]), rate, throughput, load_seconds, processors)
    sizing = size(need)
    numbers = [each.number for each in complete]
    # The highest is tried, the one before it serves.
    serving, canary = (
        (numbers[1], numbers[0]) if overlay.startswith("canary") and len(numbers) > 1 else (numbers[0], None)
    )
    namespace = namespace or model.replace("_", "-").replace(".", "-").lower()
    deployed = Deployed(model, url, serving, canary, overlay, namespace, sizing)
    if out is not None:
        write_manifests(deployed, out)
        _explain(need, sizing, deployed)
        console.print(f"  kubectl apply -k {out}", soft_wrap=True, markup=False)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "k8s"
        write_manifests(deployed, folder)
        print(rendered(folder), end="")


def _measured(export: Path, throughput: float | None) -> tuple[float, float]:
    """Texts per second in batches of 32, and seconds to load and answer for the first time, on this machine."""
    import time

    observer = ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.saved_model.reader import ExportedModel
        from bert_serving.saved_model.versions import latest_version

        folder = latest_version(export)
    texts = [f"Where is my order number {number}? It should have come on Tuesday." for number in range(256)]
    with observer.stage("Measuring throughput and load time"):
        started = time.perf_counter()
        model = ExportedModel(folder)
        pairs = texts if model.manifest is not None and model.manifest.pairs else None
        model.predict(texts[:32], pairs and pairs[:32])
        load_seconds = time.perf_counter() - started
        model.predict(texts, pairs)
        started = time.perf_counter()
        model.predict(texts, pairs)
        found = len(texts) / (time.perf_counter() - started)
    return throughput or found, load_seconds


def _explain(need: "Need", sizing: "Sizing", deployed: "Deployed") -> None:
    if deployed.overlay.startswith("canary"):
        tried = f"canary {deployed.canary}" if deployed.canary else "no canary yet"
        console.print(f"  model:  version {deployed.version} serves, {tried}", soft_wrap=True)
    console.print(f"  memory: {sizing.memory} MiB for two versions of {need.size / 1e6:,.1f} MB", soft_wrap=True)
    if need.rate and need.throughput:
        why = f"{need.rate:g} texts/s at {need.throughput:,.0f} texts/s each, of which 60% are counted on"
    else:
        why = "the fewest; give --rate with --throughput or --measure for as many as you need"
    console.print(f"  pods:   {sizing.pods} ({why})", soft_wrap=True, markup=False)
    console.print(f"  start:  the probe waits {3 * sizing.probe_failures} s", soft_wrap=True)
