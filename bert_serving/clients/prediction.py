"""What a classifier says about one text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """A label and the probability of each label.

    Attributes:
        label: the predicted label.
        probabilities: in label order; each is exactly a float32 value, so that gRPC and REST give the same.
    """

    label: str
    probabilities: tuple[float, ...]
