"""The manifest of an export: where it comes from, what it answers, what was verified."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from bert_serving.contract import MANIFEST_FILE, MANIFEST_FORMAT, Graph, Head, Precision, Scaling
from bert_serving.errors import ExportError


def _formerly(name: str, old: str, default: Any = ...) -> Any:
    """A field that manifests of earlier versions have under another name."""
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


class Limits(BaseModel):
    """How far an export's answers may be from those of the model in memory."""

    model_config = ConfigDict(frozen=True)

    max_probability_difference: float = _formerly("max_probability_difference", "largest_difference")
    """of a probability"""
    max_label_change_rate: float = _formerly("max_label_change_rate", "changed_labels")
    """share of the validation rows"""

    @classmethod
    def of(
        cls,
        precision: Precision,
        *,
        max_probability_difference: float | None = None,
        max_label_change_rate: float | None = None,
    ) -> "Limits":
        """The limits that are given, and for those that are not the precision's own."""
        own = _LIMITS[precision]
        return cls(
            max_probability_difference=own.max_probability_difference
            if max_probability_difference is None
            else max_probability_difference,
            max_label_change_rate=own.max_label_change_rate if max_label_change_rate is None else max_label_change_rate,
        )


# Float32 rounding in other batches than the reference's, or on another machine; 1.8e-6 was the largest seen. A real difference is
# orders of magnitude larger. Bfloat16 has 8 significant bits; a difference of 0.02 in a probability changes few answers.
# A network that is sure of itself turns a small error between two labels into a large difference of their probabilities. In int8 that
# is a matter of single texts (benchmarks/serving_graphs.py, emotion: 0.33 at most, 0.0006 on average), so that what is answered decides.
_LIMITS = {
    Precision.FLOAT32: Limits(max_probability_difference=1e-5, max_label_change_rate=0.002),
    Precision.BFLOAT16: Limits(max_probability_difference=0.02, max_label_change_rate=0.002),
    Precision.INT8: Limits(max_probability_difference=0.5, max_label_change_rate=0.005),
}


class Agreement(BaseModel):
    """How the export's answers to validation texts compare with those of the model in memory.

    Attributes:
        rows: number of texts.
        max_probability_difference: largest difference of a probability.
        changed_labels: number of texts with another answer.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    max_probability_difference: float = _formerly("max_probability_difference", "largest_difference")
    changed_labels: int


class Verification(BaseModel):
    """What was found when the export was verified in a fresh process.

    Attributes:
        passed: whether every check passed.
        problems: one line for each check that failed.
        golden_texts: number of texts compared with the model in memory.
        max_probability_difference: largest difference of a probability among them.
        agreement: on validation texts; None where they were not at hand.
        oldest_tf_serving: oldest version that has all operations of the graph; None when no version does, or it was not asked.
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
    graph: Graph
    precision: Precision
    temperature: float = 1.0
    exponent: float = 1.0
    """what is done to logits before they become probabilities (`contract.Scaling`)"""
    encoder: EncoderOrigin
    versions: dict[str, str]
    """of the packages that wrote it"""
    metrics: dict[str, Any]
    """scores on test data, else on validation data, measured at the end of training, before any calibration"""
    minimum_tf_serving: str
    """what the run file asked for"""
    oldest_tf_serving: str | None = None
    """oldest version that has all operations of the graph; of TensorFlow itself and of TensorFlow Text"""
    limits: Limits | None = None
    """of verification; None means those of the precision"""
    verification: Verification | None = None

    @property
    def scaling(self) -> Scaling:
        """What is done to logits before they become probabilities."""
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
    except (ValueError, ValidationError) as error:
        raise ExportError(f"{path}: damaged manifest: {str(error).splitlines()[0]}; export again") from None
