"""Limits of verification: how much an export's answers may differ from those of the model in memory."""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from bert_serving.contract import Precision


def formerly(name: str, old: str, default: Any = ...) -> Any:
    """A field that has another name in manifests of earlier versions."""
    return Field(default, validation_alias=AliasChoices(name, old))


class AgreementLimits(BaseModel):
    """Verification tolerance of an export; None means that a measure is told, but has no limit.

    Answers in float32 are those of the same function, so the worst difference decides. A reduced precision is another function:
    its worst difference grows with the number of texts and says little, so labeled validation texts decide where there are any.

    Attributes:
        max_probability_difference: largest difference of a probability, on golden and validation texts.
        max_label_change_rate: fraction of the validation texts that may get another label.
        max_metric_loss: how much worse the metric of the head may get: a decrease of accuracy, for regression an increase of the mean
            absolute error in standard deviations of the labels.
        max_log_loss_increase: how much the log loss may increase, in nats.
        max_mean_probability_difference: mean over the texts of the largest difference of a probability in each.
    """

    model_config = ConfigDict(frozen=True)

    max_probability_difference: float | None = formerly("max_probability_difference", "largest_difference", None)
    max_label_change_rate: float | None = formerly("max_label_change_rate", "changed_labels", None)
    max_metric_loss: float | None = None
    max_log_loss_increase: float | None = None
    max_mean_probability_difference: float | None = None

    @classmethod
    def of(cls, precision: Precision, *, labeled: bool = False, **chosen: float | None) -> "AgreementLimits":
        """The limits of a precision.

        Args:
            precision: of the export.
            labeled: whether labeled validation texts judge a reduced precision.
            chosen: limits by name, which hold beside or instead of the precision's own; None takes the precision's own.

        Example:
            >>> AgreementLimits.of(Precision.INT8, labeled=True, max_metric_loss=0.02).max_metric_loss
            0.02
        """
        own = _JUDGED if labeled and precision is not Precision.FLOAT32 else _LIMITS[precision]
        return own.model_copy(update={name: value for name, value in chosen.items() if value is not None})

    def golden(self, precision: Precision) -> float:
        """Largest difference of a probability on golden texts."""
        return _GOLDEN[precision] if self.max_probability_difference is None else self.max_probability_difference


# Float32 rounds differently in other batches than the reference's, or on another machine; 1.8e-6 was the largest difference. A
# real error is orders of magnitude larger. Bfloat16 has 8 significant bits; a difference of 0.02 in a probability changes few
# labels. A confident network turns a small error between two labels into a large difference of their probabilities: in int8 for
# single texts (benchmarks/serving_graphs.py, emotion: 0.33 at most, 0.0006 on average), so that the label change rate decides.
_LIMITS = {
    Precision.FLOAT32: AgreementLimits(max_probability_difference=1e-5, max_label_change_rate=0.002),
    Precision.BFLOAT16: AgreementLimits(max_probability_difference=0.02, max_label_change_rate=0.002),
    Precision.INT8: AgreementLimits(max_probability_difference=0.5, max_label_change_rate=0.005),
}
# One point of accuracy is what a change of the seed or of the test data makes, and what people state models to. The 2,000 texts that
# are compared at most show a loss within it where up to 4% of the labels change evenly both ways.
_JUDGED = AgreementLimits(max_metric_loss=0.01, max_log_loss_increase=0.02, max_mean_probability_difference=0.02)
# On golden texts, a dozen edge cases without labels, only a gross error is looked for in a reduced precision.
_GOLDEN = {Precision.FLOAT32: 1e-5, Precision.BFLOAT16: 0.1, Precision.INT8: 0.5}
