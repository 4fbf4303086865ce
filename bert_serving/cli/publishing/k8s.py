"""`bert-serving k8s render`: Kubernetes manifests for a published model."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.console import ConsoleObserver, show_lines

if TYPE_CHECKING:
    from bert_serving.publishing.kubernetes.deployment import Deployment

app = typer.Typer(help="Write Kubernetes manifests for a published model.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Write Kubernetes manifests for a published model."""


@app.command()
def render(
    model: Annotated[str, typer.Option(help="Name of a published model.")],
    url: Annotated[str, typer.Option(help="URL of the folder of models: s3://bucket/models or gs://bucket/models.")],
    overlay: Annotated[
        str, typer.Option(help="Kustomize overlay: cpu, gpu, canary, canary-mesh, kserve or kserve-standard.")
    ] = "cpu",
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder to write, for `kubectl apply -k`.", show_default="none; the manifests are printed"
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Texts per second that all pods together must serve.")] = None,
    throughput: Annotated[float | None, typer.Option(help="Texts per second of one pod, if measured there.")] = None,
    measure: Annotated[
        Path | None,
        typer.Option(help="Folder of the export, to measure throughput and load time on this machine."),
    ] = None,
    processors: Annotated[int, typer.Option(help="Number of CPUs of one pod.")] = 2,
    namespace: Annotated[
        str | None, typer.Option(help="Kubernetes namespace.", show_default="the model's name with dashes")
    ] = None,
) -> None:
    """Write manifests with names, replicas and resources computed for a published model."""
    from bert_serving.publishing.kubernetes.deployment import plan_deployment
    from bert_serving.publishing.kubernetes.manifests import build_manifests, write_manifests
    from bert_serving.publishing.kubernetes.measurement import measure_export

    load_seconds = None
    if measure is not None:
        measured, load_seconds = measure_export(measure, ConsoleObserver())
        throughput = throughput or measured
    deployment = plan_deployment(
        model,
        url,
        overlay=overlay,
        namespace=namespace,
        rate=rate,
        throughput=throughput,
        load_seconds=load_seconds,
        processors=processors,
    )
    if out is not None:
        write_manifests(deployment, out)
        _show(deployment)
        show_lines(f"  kubectl apply -k {out}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "k8s"
        write_manifests(deployment, folder)
        print(build_manifests(folder), end="")


def _show(deployment: "Deployment") -> None:
    from bert_serving.publishing.kubernetes.deployment import CANARY_OVERLAYS
    from bert_serving.publishing.kubernetes.object_names import dashed
    from bert_serving.publishing.kubernetes.sizing import PROBE_SECONDS, USABLE_SHARE

    workload, sizing = deployment.workload, deployment.sizing
    if deployment.overlay in CANARY_OVERLAYS:
        canary = "no canary yet" if deployment.canary is None else f"canary {deployment.canary}"
        show_lines(f"  model:  version {deployment.version} serves, {canary}")
    if deployment.is_kserve:
        show_lines(
            f"  name:   {dashed(deployment.model)} for KServe and its clients, in the namespace {deployment.namespace}"
        )
    show_lines(f"  memory: {sizing.memory} MiB for two versions of {workload.size / 1e6:,.1f} MB")
    if workload.rate and workload.throughput:
        reason = (
            f"{workload.rate:g} texts/s at {workload.throughput:,.0f} texts/s each, "
            f"of which {USABLE_SHARE:.0%} are planned for"
        )
    else:
        reason = "the minimum; give --rate with --throughput or --measure to compute the number"
    show_lines(f"  pods:   {sizing.min_pods} ({reason})")
    show_lines(f"  start:  the startup probe allows {PROBE_SECONDS * sizing.probe_failures} s")
