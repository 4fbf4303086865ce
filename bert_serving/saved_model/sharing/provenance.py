"""Provenance of a model: encoder, data, training and scores, as its run folder has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bert_serving.config import RunConfig
from bert_serving.contract import RUN_FACTS_FILE
from bert_serving.data.audit import Audit
from bert_serving.errors import RunFolderError, describe_problem
from bert_serving.saved_model.manifest import EncoderOrigin
from bert_serving.training.run_folder import AUDIT, CALIBRATION, METRICS, RunFolder


@dataclass(frozen=True)
class Provenance:
    """The facts of a complete run.

    Attributes:
        config: the run file.
        labels: in the order of the outputs; empty for regression.
        encoder: the pretrained encoder.
        rows: number of rows by split.
        data_sha256: digest of the rows by split.
        audit: statistics and warnings of the data.
        metrics: content of metrics.json, as training left the model.
        calibration: content of calibration.json; None for a run that was not calibrated.
        versions: of the packages that trained it.
    """

    config: RunConfig
    labels: tuple[str, ...]
    encoder: EncoderOrigin
    rows: Mapping[str, int]
    data_sha256: Mapping[str, str]
    audit: Audit
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any] | None
    versions: Mapping[str, str]

    @property
    def measured(self) -> str:
        """The split whose scores are reported."""
        return "test" if "test" in self.metrics else "validation"

    @property
    def scores(self) -> dict[str, Any]:
        """The scores on that split."""
        scores: dict[str, Any] = self.metrics[self.measured]
        return scores


@dataclass(frozen=True)
class AdoptedProvenance:
    """The facts of a classifier that was fine-tuned elsewhere.

    Attributes:
        encoder: name and digest of its files.
        architecture: its class in transformers, or the kind of its files.
        transformers: version that wrote it; None where it is unknown.
    """

    encoder: EncoderOrigin
    architecture: str
    transformers: str | None

    @property
    def scores(self) -> dict[str, Any]:
        """Empty: the classifier was not evaluated here."""
        return {}


@dataclass(frozen=True)
class FittedProvenance:
    """The facts of a classifier that a program fitted in memory.

    Attributes:
        encoder: the pretrained encoder.
    """

    encoder: EncoderOrigin

    @property
    def scores(self) -> dict[str, Any]:
        """Empty: the program measured them itself."""
        return {}


AnyProvenance = Provenance | AdoptedProvenance | FittedProvenance


def provenance_of(run: RunFolder) -> Provenance:
    """Reads the facts of a run.

    Raises:
        RunFolderError: the folder is not a run folder, the run is not complete, or a file is missing or damaged.
    """
    config = run.config()
    run.check_complete(METRICS)
    facts = run.facts()
    calibration = run.read_json(CALIBRATION) if run.calibration.exists() else None
    try:
        return Provenance(
            config=config,
            labels=run.labels(),
            encoder=EncoderOrigin(**facts["encoder"]),
            rows=facts["rows"],
            data_sha256=facts["data_sha256"],
            audit=Audit.from_json(run.read_json(AUDIT)),
            metrics=run.read_json(METRICS),
            calibration=calibration,
            versions=facts["versions"],
        )
    except ValidationError as error:
        reason = "; ".join(describe_problem(problem, "encoder") for problem in error.errors())
        raise RunFolderError(f"{run.path}: damaged: {RUN_FACTS_FILE}: {reason}; train again") from None
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{run.path}: damaged: {' '.join(str(error).split())}; train again") from None
