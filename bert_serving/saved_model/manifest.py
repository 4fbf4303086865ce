"""The manifest of an export: its origin, labels and settings, and the result of its verification."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from bert_serving.contract import MANIFEST_FILE, MANIFEST_FORMAT, Graph, Head, Precision, Scaling
from bert_serving.errors import ExportError, describe_problem


def _formerly(name: str, old: str, default: Any = ...) -> Any:
    """A field that has another name in manifests of earlier versions."""
    return Field(default, validation_alias=AliasChoices(name, old))


class EncoderOrigin(BaseModel):
    """The pretrained encoder that a classifier started from."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    license: str | None = None
    """as model hubs spell it; None when unknown"""
    languages: tuple[str, ...] = ()
    """ISO 639 codes; empty when unknown"""


class AgreementLimits(BaseModel):
    """Verification tolerance: how far an export's answers may be from those of the model in memory."""

    model_config = ConfigDict(frozen=True)

    max_probability_difference: float = _formerly("max_probability_difference", "largest_difference")
    """largest difference of a probability"""
    max_label_change_rate: float = _formerly("max_label_change_rate", "changed_labels")
    """fraction of the validation rows that may get another label"""

    @classmethod
    def of(
        cls,
        precision: Precision,
        *,
        max_probability_difference: float | None = None,
        max_label_change_rate: float | None = None,
    ) -> "AgreementLimits":
        """The limits of a precision, with others in their place where these are not None."""
        others = {
            "max_probability_difference": max_probability_difference,
            "max_label_change_rate": max_label_change_rate,
        }
        return _LIMITS[precision].model_copy(
            update={name: value for name, value in others.items() if value is not None}
        )


# Float32 rounds differently in other batches than the reference's, or on another machine; 1.8e-6 was the largest difference. A
# real error is orders of magnitude larger. Bfloat16 has 8 significant bits; a difference of 0.02 in a probability changes few
# labels. A confident network turns a small error between two labels into a large difference of their probabilities: in int8 for
# single texts (benchmarks/serving_graphs.py, emotion: 0.33 at most, 0.0006 on average), so that the label change rate decides.
_LIMITS = {
    Precision.FLOAT32: AgreementLimits(max_probability_difference=1e-5, max_label_change_rate=0.002),
    Precision.BFLOAT16: AgreementLimits(max_probability_difference=0.02, max_label_change_rate=0.002),
    Precision.INT8: AgreementLimits(max_probability_difference=0.5, max_label_change_rate=0.005),
}


class Agreement(BaseModel):
    """An export's answers to validation texts compared with those of the model in memory.

    Attributes:
        rows: number of texts.
        max_probability_difference: largest difference of a probability.
        changed_labels: number of texts with another label.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    max_probability_difference: float = _formerly("max_probability_difference", "largest_difference")
    changed_labels: int


class Verification(BaseModel):
    """The result of verification in a fresh process.

    Attributes:
        passed: whether every check passed.
        problems: one line for each check that failed.
        golden_texts: number of texts compared with the model in memory.
        max_probability_difference: largest difference of a probability among them.
        agreement: on validation texts; None where they were not available.
        oldest_tf_serving: oldest version that has all operations of the graph; None when no version does, or it was not checked.
    """

    model_config = ConfigDict(frozen=True)

    passed: bool
    problems: tuple[str, ...] = ()
    golden_texts: int = 0
    max_probability_difference: float | None = _formerly("max_probability_difference", "largest_difference", None)
    agreement: Agreement | None = None
    oldest_tf_serving: str | None = None


class Manifest(BaseModel):
    """`assets.extra/bert_serving.json`."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    format: Literal[1] = MANIFEST_FORMAT  # type: ignore[assignment]
    name: str
    version: int
    created: str
    """UTC, ISO 8601"""
    head: Head
    labels: tuple[str, ...]
    pairs: bool
    sequence_length: int
    max_tokens: int | None = None
    """longest row that the `tokens` signature takes; None in an export of an earlier version, which does not check it"""
    graph: Graph
    precision: Precision
    temperature: float = 1.0
    exponent: float = 1.0
    """temperature scaling of the logits (`contract.Scaling`), with `temperature`"""
    encoder: EncoderOrigin
    versions: dict[str, str]
    """versions of the packages that wrote it"""
    metrics: dict[str, Any]
    """scores on test data, else on validation data, measured at the end of training, before any calibration"""
    minimum_tf_serving: str
    """oldest TensorFlow Serving version that the run file supports"""
    oldest_tf_serving: str | None = None
    """oldest version that has all operations of the graph, those of TensorFlow Text included"""
    limits: AgreementLimits | None = None
    """limits of verification; None means those of the precision"""
    verification: Verification | None = None

    @property
    def scaling(self) -> Scaling:
        """The temperature scaling of the logits."""
        return Scaling(self.temperature, self.exponent)

    def save(self, folder: Path) -> None:
        """Writes the manifest of an export."""
        (folder / MANIFEST_FILE).write_text(self.model_dump_json(indent=2) + "\n", "utf-8")


def load_manifest(folder: Path) -> Manifest | None:
    """Reads the manifest of an export; None when the SavedModel has none.

    Raises:
        ExportError: the manifest is damaged.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        return Manifest.model_validate(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        reason = "; ".join(describe_problem(problem, "manifest") for problem in error.errors())
    except ValueError as error:
        reason = str(error).splitlines()[0]
    raise ExportError(f"{path}: damaged manifest: {reason}; export again")
