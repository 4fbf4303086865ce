"""What an export is asked for, and what of it can be refused before any work."""

from dataclasses import dataclass
from pathlib import Path

from bert_serving import contract, names
from bert_serving.contract import Graph, Precision
from bert_serving.errors import ExportError
from bert_serving.io.files import glob_characters
from bert_serving.saved_model.versions import names_by_version

# TensorFlow 2.20 writes it into the saver of every export.
_OPERATION_OF_ALL = "DisableCopyOnRead"


@dataclass(frozen=True)
class ExportOptions:
    """What to write, and where.

    Attributes:
        base: folder of models; the version lands in `base/name/version`.
        name: the model's name on the server.
        version: a positive integer; None takes the next one.
        graph: how padding is treated; an encoder other than BERT gets `trimmed` instead of `ragged`.
        precision: number format of the ragged graph's weights and matrix products.
        max_probability_difference, max_label_change_rate, max_metric_loss, max_log_loss_increase, max_mean_probability_difference:
            limits of `AgreementLimits`; None takes the precision's own.
        minimum_tf_serving: refuse operations that this version lacks.
    """

    base: Path
    name: str
    version: int | None = None
    graph: Graph = Graph.RAGGED
    precision: Precision = Precision.FLOAT32
    max_probability_difference: float | None = None
    max_label_change_rate: float | None = None
    max_metric_loss: float | None = None
    max_log_loss_increase: float | None = None
    max_mean_probability_difference: float | None = None
    minimum_tf_serving: str = contract.DEFAULT_MINIMUM_TF_SERVING

    @property
    def folder(self) -> Path:
        """The model's folder, which holds its versions."""
        return self.base / self.name

    @property
    def limits(self) -> dict[str, float | None]:
        """Limits of verification by name; None where the precision's own holds."""
        return {
            "max_probability_difference": self.max_probability_difference,
            "max_label_change_rate": self.max_label_change_rate,
            "max_metric_loss": self.max_metric_loss,
            "max_log_loss_increase": self.max_log_loss_increase,
            "max_mean_probability_difference": self.max_mean_probability_difference,
        }


def check_options(options: ExportOptions) -> None:
    """Refuses what no model could be exported with, before a model is loaded.

    Raises:
        ExportError: the name, the folder, the version or the graph with its precision cannot be used, or the oldest TensorFlow Serving
            version to support lacks an operation that the export will have.
    """
    check_target(options)
    if reason := too_old("an export", _OPERATION_OF_ALL, options.minimum_tf_serving):
        raise ExportError(f"{reason}; raise it")
    if options.precision is Precision.INT8 and (reason := too_old_for_int8(options.minimum_tf_serving)):
        raise ExportError(f"{reason}; raise it, or choose another --precision (export.precision)")


def check_target(options: ExportOptions) -> None:
    """Refuses a name, a folder, a version or a graph with a precision that cannot be written; needs no TensorFlow.

    Raises:
        ExportError: one of them cannot be used.
    """
    if problem := names.MODEL.problem(options.name):
        raise ExportError(f"{problem} (--name, export.name)")
    if characters := glob_characters(options.base):
        raise ExportError(f"{options.base}: TensorFlow cannot read from a path with {characters}; choose another --to")
    free_version(options.folder, options.version)
    if options.graph is not Graph.RAGGED and options.precision in (Precision.BFLOAT16, Precision.INT8):
        raise ExportError(float32_only(options.graph, options.precision))


def free_version(model_folder: Path, version: int | None) -> int:
    """The version to write: the given one, or the one after the highest.

    Raises:
        ExportError: it is no version number, or it exists.
    """
    # A file, too, whose name is a number: no folder can have its name, and TensorFlow Serving takes it for a version.
    taken = names_by_version(path.name for path in model_folder.iterdir()) if model_folder.is_dir() else {}
    following = max(taken, default=0) + 1
    chosen = following if version is None else version
    if not 1 <= chosen <= names.HIGHEST_VERSION:
        raise ExportError(
            f"version {chosen} is not a positive integer up to {names.HIGHEST_VERSION}; choose another --version"
        )
    if chosen in taken:
        raise ExportError(
            f"{model_folder / taken[chosen][-1]}: version {chosen} exists and is never overwritten; "
            f"leave --version out for {following}"
        )
    return chosen


def float32_only(graph: Graph, precision: Precision) -> str:
    """Why a graph is refused in a reduced precision."""
    return f"the {graph} graph computes in float32 only, got {precision}; leave --precision (export.precision) out"


def too_old_for_int8(minimum_tf_serving: str) -> str | None:
    """Why int8 is refused for the oldest server to support; None where it is not."""
    from bert_serving.saved_model.graphs import quantized  # noqa: PLC0415  brings TensorFlow

    return too_old("int8", quantized.OPERATION, minimum_tf_serving)


def too_old(what: str, operation: str, minimum_tf_serving: str) -> str | None:
    """Why something with this operation is refused for the oldest server to support; None where it is not."""
    from bert_serving.saved_model.operations.versions import first_version, version_key  # noqa: PLC0415  brings TensorFlow

    first = first_version(operation)
    if version_key(minimum_tf_serving) >= version_key(first):
        return None
    return (
        f"{what} needs TensorFlow Serving {first}, the floor is {minimum_tf_serving} "
        "(--minimum-tf-serving, export.minimum_tf_serving)"
    )
