"""The scaling of logits that makes a model's probabilities mean what they say."""

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
"""a log loss that falls as far as these edges has no minimum: the rows hold no mistake to learn from, or little else"""
STEEPEST = 4.0
"""no exponent is over it, nor under its inverse"""
SIGNIFICANCE = 0.01
"""an exponent is taken where chance alone would improve the log loss as much with this probability"""
_FLAT = 1e-9
"""nats; rounding alone makes smaller differences"""
_TOLERANCE = 1e-6
"""of the logarithms of temperature and exponent"""


@dataclass(frozen=True)
class TemperatureFit:
    """A scaling of logits and what it does to the rows that it was fitted on.

    Attributes:
        temperature, exponent: of the scaling.
        rows: how many rows it was fitted on.
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
        """What is to be done to the logits."""
        return Scaling(self.temperature, self.exponent)

    def to_json(self) -> dict[str, Any]:
        """As a run folder's calibration.json holds it."""
        return asdict(self)


def fit_temperature(
    head: Head, labels: tuple[str, ...], table: LabeledTable, logits: np.ndarray, *, with_exponent: bool = True
) -> TemperatureFit:
    """The scaling with the least log loss on rows that the model has not learnt from.

    First the temperature alone (Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2). It scales every answer
    alike; where that is not what the model needs, because it is too sure between two labels and not sure enough elsewhere or
    the other way round, an exponent improves the log loss by more than chance (Wilks's likelihood-ratio test), and is taken.
    Both keep the order of the labels, as the functions of Rahimi et al. 2020 (https://arxiv.org/abs/2003.06820) do.

    Args:
        head: what the model predicts.
        labels: in the order of the outputs.
        table: the rows, N of them.
        logits: float [N, C], [N, 1] for a binary head.
        with_exponent: whether an exponent is looked for, too.

    Raises:
        InputError: a regression head, which has no probabilities; or the log loss has no minimum, because the rows are
            too few or all answered right.
    """
    if head is Head.REGRESSION:
        raise InputError("a regression head has no probabilities to calibrate; there is nothing to do")

    def at(scaling: Scaling) -> Predictions:
        return Predictions(head, labels, table, scaled_probabilities(head, logits, scaling))

    def loss(scaling: Scaling) -> float:
        return float(at(scaling).losses.mean())

    before = at(Scaling())
    temperature = _temperature(loss)
    if temperature is None:
        raise InputError(
            f"{table.source}: no temperature fits these {len(table)} rows, of which {int((~before.right).sum())} are answered "
            "wrong; give the run more validation rows"
        )
    answers = before.values.size if head is Head.MULTILABEL else len(table)
    scaling = _with_exponent(loss, temperature, answers) if with_exponent else Scaling(temperature)
    after = at(scaling)
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
    """The temperature with the least loss; None where the loss falls towards an edge."""
    from scipy.optimize import minimize_scalar

    edges = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(
        lambda logarithm: loss(Scaling(float(np.exp(logarithm)))),
        bounds=edges,
        method="bounded",
        options={"xatol": _TOLERANCE},
    )
    if found.fun > min(loss(Scaling(LOWEST)), loss(Scaling(HIGHEST))) - _FLAT:
        return None
    return float(np.exp(found.x))


def _with_exponent(loss: Callable[[Scaling], float], temperature: float, answers: int) -> Scaling:
    """The scaling with an exponent where that improves the mean loss of so many answers by more than chance."""
    from scipy.optimize import minimize
    from scipy.stats import chi2

    alone = Scaling(temperature)
    found = minimize(
        lambda logarithms: loss(Scaling(*np.exp(logarithms).tolist())),
        [np.log(temperature), 0.0],
        method="Nelder-Mead",
        options={"xatol": _TOLERANCE, "fatol": _FLAT, "initial_simplex": _around(np.log(temperature))},
    )
    better = Scaling(*np.exp(found.x).tolist())
    if not 1 / STEEPEST < better.exponent < STEEPEST:
        return alone
    improved = 2 * answers * (loss(alone) - found.fun) > chi2.isf(SIGNIFICANCE, 1)
    return better if improved else alone


def _around(logarithm: float) -> list[list[float]]:
    return [[logarithm, 0.0], [logarithm + 0.2, 0.0], [logarithm, 0.2]]


def _error(predictions: Predictions) -> float:
    found = calibration(predictions)
    return 0.0 if found is None else found.expected_error
