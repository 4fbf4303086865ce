"""The temperature that makes a model's probabilities mean what they say."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.table import LabelledTable
from bert_serving.errors import InputError
from bert_serving.evaluation.calibration import calibration
from bert_serving.evaluation.predictions import Predictions

LOWEST, HIGHEST = 0.05, 20.0
"""a log loss that falls as far as these edges has no minimum: the rows hold no mistake to learn from, or little else"""
_FLAT = 1e-9
"""nats; rounding alone makes smaller differences"""
_TOLERANCE = 1e-6
"""of the temperature's logarithm"""


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature and what it does to the rows that it was fitted on.

    Attributes:
        temperature: logits are divided by it; above 1 makes a model less sure of itself.
        rows: how many rows it was fitted on.
        log_loss_before, log_loss_after: nats.
        calibration_error_before, calibration_error_after: expected calibration error, 0 to 1.
    """

    temperature: float
    rows: int
    log_loss_before: float
    log_loss_after: float
    calibration_error_before: float
    calibration_error_after: float

    def to_json(self) -> dict[str, Any]:
        """As a run folder's calibration.json holds it."""
        return asdict(self)


def fit_temperature(head: Head, labels: tuple[str, ...], table: LabelledTable, logits: np.ndarray) -> TemperatureFit:
    """The temperature with the least log loss on rows that the model has not learnt from (Guo et al. 2017, section 4.2).

    Args:
        head: what the model predicts.
        labels: in the order of the outputs.
        table: the rows, N of them.
        logits: float [N, C], [N, 1] for a binary head.

    Raises:
        InputError: a regression head, which has no probabilities; or the log loss has no minimum, because the rows are
            too few or all answered right.
    """
    from scipy.optimize import minimize_scalar

    if head is Head.REGRESSION:
        raise InputError("a regression head has no probabilities to calibrate; there is nothing to do")

    def at(temperature: float) -> Predictions:
        return Predictions(head, labels, table, scaled_probabilities(head, logits, temperature))

    def loss(logarithm: float) -> float:
        return float(at(float(np.exp(logarithm))).losses.mean())

    edges = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(loss, bounds=edges, method="bounded", options={"xatol": _TOLERANCE})
    before = at(1.0)
    if found.fun > min(map(loss, edges)) - _FLAT:
        raise InputError(
            f"{table.source}: no temperature fits these {len(table)} rows, of which {int((~before.right).sum())} are answered "
            "wrong; give the run more validation rows"
        )
    after = at(float(np.exp(found.x)))
    return TemperatureFit(
        temperature=float(np.exp(found.x)),
        rows=len(table),
        log_loss_before=float(before.losses.mean()),
        log_loss_after=float(after.losses.mean()),
        calibration_error_before=_error(before),
        calibration_error_after=_error(after),
    )


def scaled_probabilities(head: Head, logits: np.ndarray, temperature: float) -> np.ndarray:
    """Logits as probabilities, float64 [N, C], as `classifier.probabilities` does it in float32."""
    from scipy.special import expit, softmax

    scaled = np.asarray(logits, np.float64) / temperature
    match head:
        case Head.SOFTMAX:
            return np.asarray(softmax(scaled, axis=1))
        case Head.BINARY:
            return np.concatenate([expit(-scaled), expit(scaled)], axis=1)
    return np.asarray(expit(scaled))


def _error(predictions: Predictions) -> float:
    found = calibration(predictions)
    return 0.0 if found is None else found.expected_error
