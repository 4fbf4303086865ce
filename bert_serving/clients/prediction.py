"""A classifier's prediction for one text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The predicted label and the probability of every label.

    Attributes:
        label: the predicted label.
        probabilities: in label order; float32 values, so that gRPC and REST give equal ones.
    """

    label: str
    probabilities: tuple[float, ...]
