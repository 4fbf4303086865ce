"""Temperature scaling: the scaling of logits with the least log loss on validation rows."""

# scipy and scikit-learn are imported where they are needed: they take a second.
# ruff: noqa: PLC0415

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bert_serving.answers import scaled_probabilities
from bert_serving.contract import Head, Scaling
from bert_serving.data.table import LabeledTable
from bert_serving.errors import InputError
from bert_serving.evaluation.calibration import calibration
from bert_serving.evaluation.predictions import Predictions

LOWEST, HIGHEST = 0.05, 20.0
"""bounds of the temperature; a log loss that falls as far as a bound has no minimum"""
STEEPEST = 4.0
"""greatest exponent; the least is its inverse"""
SIGNIFICANCE = 0.01
"""level of the likelihood-ratio test that decides whether an exponent is used"""
_FLAT = 1e-9
"""nats; smaller differences are rounding"""
_TOLERANCE = 1e-6
"""of the logarithms of temperature and exponent"""


@dataclass(frozen=True)
class TemperatureFit:
    """A scaling of logits and its effect on the rows that it was fitted on.

    Attributes:
        temperature, exponent: of the scaling.
        rows: number of rows that it was fitted on.
        log_loss_before, log_loss_after: nats.
        calibration_error_before, calibration_error_after: expected calibration error, 0 to 1.
    """

    temperature: float
    exponent: float
    rows: int
    log_loss_before: float
    log_loss_after: float
    calibration_error_before: float
    calibration_error_after: float

    @property
    def scaling(self) -> Scaling:
        """The scaling of the logits."""
        return Scaling(self.temperature, self.exponent)

    def to_json(self) -> dict[str, Any]:
        """As a run folder's calibration.json holds it."""
        return asdict(self)


def fit_temperature(
    head: Head, labels: tuple[str, ...], table: LabeledTable, logits: np.ndarray, *, with_exponent: bool = True
) -> TemperatureFit:
    """Fits temperature scaling: the scaling with the least log loss on rows that the model was not trained on.

    First the temperature alone (Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2). It scales all
    predictions alike. Where a model is overconfident in some predictions and underconfident in others, an exponent
    improves the log loss further; it is used where Wilks's likelihood-ratio test says that the improvement is
    significant. Both keep the order of the labels, as the functions of Rahimi et al. 2020
    (https://arxiv.org/abs/2003.06820) do.

    Args:
        head: what the model predicts.
        labels: in the order of the outputs.
        table: the rows, N of them.
        logits: float [N, C], [N, 1] for a binary head.
        with_exponent: whether to fit an exponent, too.

    Raises:
        InputError: a regression head, which has no probabilities; or the log loss has no minimum, because the rows are
            too few or all predicted correctly.
    """
    if head is Head.REGRESSION:
        raise InputError("a regression head has no probabilities to calibrate; there is nothing to do")

    def predicted(scaling: Scaling) -> Predictions:
        return Predictions(head, labels, table, scaled_probabilities(head, logits, scaling))

    def loss(scaling: Scaling) -> float:
        return float(predicted(scaling).losses.mean())

    before = predicted(Scaling())
    temperature = _temperature(loss)
    if temperature is None:
        raise InputError(
            f"{table.source}: no temperature fits these {len(table)} rows, of which {int((~before.correct).sum())} are "
            "predicted wrong; give the run more validation rows"
        )
    count = before.values.size if head is Head.MULTILABEL else len(table)
    scaling = _with_exponent(loss, temperature, count) if with_exponent else Scaling(temperature)
    after = predicted(scaling)
    return TemperatureFit(
        temperature=scaling.temperature,
        exponent=scaling.exponent,
        rows=len(table),
        log_loss_before=float(before.losses.mean()),
        log_loss_after=float(after.losses.mean()),
        calibration_error_before=_error(before),
        calibration_error_after=_error(after),
    )


def _temperature(loss: Callable[[Scaling], float]) -> float | None:
    """The temperature with the least loss; None where the loss falls towards a bound."""
    from scipy.optimize import minimize_scalar

    minimum = minimize_scalar(
        lambda logarithm: loss(Scaling(float(np.exp(logarithm)))),
        bounds=(float(np.log(LOWEST)), float(np.log(HIGHEST))),
        method="bounded",
        options={"xatol": _TOLERANCE},
    )
    if minimum.fun > min(loss(Scaling(LOWEST)), loss(Scaling(HIGHEST))) - _FLAT:
        return None
    return float(np.exp(minimum.x))


def _with_exponent(loss: Callable[[Scaling], float], temperature: float, count: int) -> Scaling:
    """The scaling with an exponent where that improves the mean loss of `count` predictions significantly."""
    from scipy.optimize import minimize
    from scipy.stats import chi2

    alone, start = Scaling(temperature), float(np.log(temperature))
    simplex = [[start, 0.0], [start + 0.2, 0.0], [start, 0.2]]
    minimum = minimize(
        lambda logarithms: loss(Scaling(*np.exp(logarithms).tolist())),
        [start, 0.0],
        method="Nelder-Mead",
        options={"xatol": _TOLERANCE, "fatol": _FLAT, "initial_simplex": simplex},
    )
    better = Scaling(*np.exp(minimum.x).tolist())
    if not 1 / STEEPEST < better.exponent < STEEPEST:
        return alone
    improved = 2 * count * (loss(alone) - minimum.fun) > chi2.isf(SIGNIFICANCE, 1)
    return better if improved else alone


def _error(predictions: Predictions) -> float:
    measured = calibration(predictions)
    return 0.0 if measured is None else measured.expected_error
