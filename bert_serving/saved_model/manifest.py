"""The manifest of an export: its origin, labels and settings, and the result of its verification."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bert_serving.contract import (
    MANIFEST_FILE,
    MANIFEST_FORMAT,
    Graph,
    Head,
    LongTexts,
    Precision,
    Scaling,
    Thresholds,
)
from bert_serving.errors import ExportError, describe_problem
from bert_serving.saved_model.limits import AgreementLimits, formerly
from bert_serving.wording import score_name


class EncoderOrigin(BaseModel):
    """The pretrained encoder that a classifier started from."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    license: str | None = None
    """as model hubs spell it; None when unknown"""
    languages: tuple[str, ...] = ()
    """ISO 639 codes; empty when unknown"""


class ScoreChange(BaseModel):
    """A score of an export beside that of the model in memory, on the same labeled texts.

    Attributes:
        score: "accuracy" (multilabel: subset accuracy), "log_loss" or "mean_absolute_error".
        reference: of the model in memory.
        export: of the export.
        loss: how much worse the export is; the mean absolute error in standard deviations of the labels.
        low, high: 95% interval of the loss, paired by text.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    score: str
    reference: float
    export: float
    loss: float
    low: float
    high: float


class Agreement(BaseModel):
    """An export's answers to validation texts compared with those of the model in memory.

    Attributes:
        rows: number of texts.
        max_probability_difference: largest difference of a probability.
        changed_labels: number of texts with another label.
        mean_probability_difference: mean over the texts of the largest difference of a probability in each; None in a manifest of an
            earlier version.
        metric: change of accuracy, for regression of the mean absolute error; None where the texts have no labels.
        log_loss: change of the log loss; None without labels and for regression.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    rows: int
    max_probability_difference: float = formerly("max_probability_difference", "largest_difference")
    changed_labels: int
    mean_probability_difference: float | None = None
    metric: ScoreChange | None = None
    log_loss: ScoreChange | None = None

    def summary(self) -> str:
        """The measures as one line for people."""
        scores = [
            f"{score_name(change.score)} {change.export:.4f} (in memory {change.reference:.4f})"
            for change in (self.metric, self.log_loss)
            if change is not None
        ]
        differences = f"a probability differs by {self.max_probability_difference:.1e} at most"
        if self.mean_probability_difference is not None:
            differences += f", {self.mean_probability_difference:.1e} on average"
        return ", ".join(
            [f"{self.rows:,} validation texts", *scores, differences, f"{self.changed_labels:,} changed labels"]
        )


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

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    passed: bool
    problems: tuple[str, ...] = ()
    golden_texts: int = 0
    max_probability_difference: float | None = formerly("max_probability_difference", "largest_difference", None)
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
    long_texts: LongTexts = LongTexts.TRUNCATE
    """what is read of a text with more tokens than `sequence_length`"""
    window_overlap: int | None = None
    """windows: tokens that neighboring windows share"""
    max_windows: int | None = None
    """windows: how many a text has at most"""
    graph: Graph
    precision: Precision
    temperature: float = 1.0
    exponent: float = 1.0
    """temperature scaling of the logits (`contract.Scaling`), with `temperature`"""
    thresholds: Thresholds = ()
    """fitted decision thresholds by which `label` is predicted (`contract.Thresholds`); empty for a model without"""
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
    """limits of verification; None means those of the precision without labeled texts"""
    verification: Verification | None = None

    @property
    def max_text_tokens(self) -> int:
        """Most tokens that the encoder runs on for one text."""
        return self.sequence_length * (self.max_windows or 1)

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
