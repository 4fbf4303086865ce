"""A classifier's prediction for one text."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Prediction:
    """The predicted label and the probability of every label.

    ```python
    from bert_serving import Prediction

    prediction = Prediction("pos", (0.125, 0.875), labels=("neg", "pos"))
    assert prediction.scores == {"neg": 0.125, "pos": 0.875}
    ```

    Attributes:
        label: the predicted label.
        probabilities: in label order; float32 values, so that gRPC and REST give equal ones.
        labels: names of the probabilities; empty where they are not known, as in the answers of a client, which must be right
            while a server changes its model.
    """

    label: str
    probabilities: tuple[float, ...]
    labels: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def scores(self) -> Mapping[str, float]:
        """The probability of each label; empty where the labels are not known."""
        return dict(zip(self.labels, self.probabilities, strict=False))
