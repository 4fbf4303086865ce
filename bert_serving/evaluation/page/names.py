"""Names that the report's page uses for the models and the data."""

from dataclasses import dataclass

from bert_serving.contract import Scaling


@dataclass(frozen=True)
class ReportNames:
    """Names of what the page reports on.

    Attributes:
        model: the model, as the user named it.
        data: the rows, such as a file's name.
        other: the second model.
        scaling: the scaling of the model's logits, where it is known.
        notes: problems of the measurement, such as rows that the model was trained on.
    """

    model: str
    data: str
    other: str = ""
    scaling: Scaling | None = None
    notes: tuple[str, ...] = ()
