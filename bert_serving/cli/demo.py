"""`bert-serving demo`: all steps on sample data, from training to predictions by a model server."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bert_serving.cli.few_labels import demo_few_labels
from bert_serving.console import ConsoleObserver, show_lines, show_predictions, show_step

if TYPE_CHECKING:
    from bert_serving.model_server.process import ModelServerProcess

TEXTS = (
    "my panniers were meant to come on tuesday and its friday",
    "Rear wheel buckled after I hit a kerb, can you true it this week?",
    "These gloves pinch. Could I swap them for the next size up?",
    "The motor cuts out on hills, I bought it here in spring and want it put right.",
    "have you got the blue one in a medium",
    "Would 32 mm tyres clear the guards on a touring frame?",
)
# Probabilities from the server may differ from those in memory only by float32 rounding.
_TOLERANCE = 2e-6


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run and the export.")] = Path("demo"),
    few: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Instead: train on this many rows of each label, by contrastive training and by fine-tuning, and compare.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run all steps on sample data: train, evaluate, export, verify, serve and predict."""
    from bert_serving.config import load_run_file
    from bert_serving.errors import RunFolderError

    started = time.monotonic()
    if out.exists() and any(out.iterdir()):
        raise RunFolderError(f"{out}: is not empty; give another folder with --out, or remove it")
    config = load_run_file(sample_run_file())
    if few is not None:
        demo_few_labels(config, few, out, started)
        return
    show_step(1, "Fine-tune a pretrained BERT on messages to a bicycle shop")
    observer = ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.saved_model.export import export_run
        from bert_serving.saved_model.options import ExportOptions
        from bert_serving.training.run import train

    try:
        trained = train(config, out / "run", observer=observer)
    finally:
        observer.close()
    from bert_serving.cli.training.train import show_results

    show_results(trained.metrics)
    show_step(2, "Export a SavedModel and verify it in a fresh process")
    options = ExportOptions(out / "models", config.export.name, graph=config.export.graph)
    server = _model_server(options.base / config.export.name, config.export.name)
    try:
        exported = export_run(trained.run, options, classifier=trained.classifier, observer=observer)
        from bert_serving.cli.export.export import show_export

        show_export(exported)
        show_step(3, "Serve it and predict over gRPC and REST")
        predictions = _predict(server, config.export.name, observer)
    finally:
        server.stop()
    in_memory = trained.classifier.predict(TEXTS)
    show_predictions(TEXTS, trained.classifier.options.labels, in_memory.tolist())
    _compare(in_memory, predictions)
    show_lines(
        f"\n  plots:    {trained.run.pictures}\n  export:   {exported}\n  serve it: bert-serving serve --port=8500 --rest_api_port=8501 "
        f"--model_name={config.export.name} --model_base_path={exported.parent.absolute()}\n"
        f"  done in {time.monotonic() - started:.0f} s"
    )


def sample_run_file() -> Path:
    """The demo's run file, which is installed with its data in the package."""
    from importlib.resources import files

    return Path(str(files("bert_serving.data"))) / "sample" / "demo.toml"


def _model_server(base_path: Path, name: str) -> "ModelServerProcess":
    """A server that starts during the export, and loads the version as soon as it is written."""
    from bert_serving.model_server.process import ModelServerProcess

    server = ModelServerProcess(base_path, name)
    base_path.mkdir(parents=True, exist_ok=True)
    server.launch()
    return server


def _predict(server: "ModelServerProcess", name: str, observer: ConsoleObserver) -> dict[str, list[tuple[float, ...]]]:
    from bert_serving.clients.grpc_client import GrpcClient
    from bert_serving.clients.rest_client import RestClient

    is_stock = "tensorflow_model_server" in server.program[0]
    program = "tensorflow_model_server" if is_stock else "the embedded model server"
    with observer.stage(f"Waiting for {program} to load the model"):
        server.wait_until_available()
    with GrpcClient(server.grpc_address) as grpc_client, RestClient(server.rest_url) as rest_client:
        return {
            "gRPC": [prediction.probabilities for prediction in grpc_client.predict(name, TEXTS)],
            "REST": [prediction.probabilities for prediction in rest_client.predict(name, TEXTS)],
        }


def _compare(in_memory: Any, predictions: dict[str, list[tuple[float, ...]]]) -> None:
    import numpy as np

    from bert_serving.errors import VerificationError

    differences = {name: float(np.abs(np.array(rows) - in_memory).max()) for name, rows in predictions.items()}
    shown = " and ".join(f"{value:.1e} over {name}" for name, value in differences.items())
    show_lines(f"  largest difference of a probability from the model in memory: {shown}")
    wrong = [f"{name} differs by {value:.1e}" for name, value in differences.items() if not value <= _TOLERANCE]
    if wrong:
        raise VerificationError("the served model", wrong)
