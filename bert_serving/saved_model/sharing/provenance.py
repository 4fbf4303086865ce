"""How a model came to be: what its run folder knows of encoder, data, training and scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bert_serving.config import RunConfig
from bert_serving.data.audit import Audit
from bert_serving.errors import RunFolderError
from bert_serving.saved_model.manifest import EncoderOrigin
from bert_serving.training.run_folder import AUDIT, CALIBRATION, METRICS, RunFolder


@dataclass(frozen=True)
class Provenance:
    """The facts of a complete run.

    Attributes:
        config: the run file.
        labels: in the order of the outputs; empty for regression.
        encoder: what training started from.
        rows: number of rows by split.
        data_sha256: digest of the rows by split.
        audit: what the data looks like.
        metrics: metrics.json, as training left the model.
        calibration: calibration.json; None for a run that was not calibrated.
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
        """The split whose scores count."""
        return "test" if "test" in self.metrics else "validation"

    @property
    def scores(self) -> dict[str, Any]:
        """The scores on that split."""
        return self.metrics[self.measured]


@dataclass(frozen=True)
class AdoptedProvenance:
    """The facts of a classifier that was fine-tuned elsewhere.

    Attributes:
        encoder: name and digest of the folder that it came from.
        architecture: its class in transformers.
        transformers: version that wrote it; None where it is not told.
    """

    encoder: EncoderOrigin
    architecture: str
    transformers: str | None

    @property
    def scores(self) -> dict[str, Any]:
        """None: nothing was measured here."""
        return {}


def provenance_of(run: RunFolder) -> Provenance:
    """Reads the facts of a run.

    Raises:
        RunFolderError: the folder is no run folder, the run is not complete, or a file is missing or damaged.
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
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{run.path}: damaged: {' '.join(str(error).split())}; train again") from None
