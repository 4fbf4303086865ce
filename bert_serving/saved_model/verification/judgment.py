"""The judgment on an export's answers to validation texts: what is refused, and what too few texts cannot tell.

A score of labeled texts is refused where its loss is larger than the limit and larger than chance: the observed loss exceeds the
limit, and its 95% interval, paired by text, lies above zero. Where the interval's upper end is within the limit, too, the export is
shown to be no worse by more than the limit (a test of non-inferiority: Wellek 2010, "Testing Statistical Hypotheses of Equivalence
and Noninferiority"). In between the texts are too few to tell; then the mean difference of a probability decides, for labels of
texts whose probabilities hardly differ change only where two labels were nearly equal.
"""

from bert_serving.saved_model.limits import AgreementLimits
from bert_serving.saved_model.manifest import Agreement, ScoreChange
from bert_serving.wording import score_name

_UNITS = {"log_loss": " nats", "mean_absolute_error": " standard deviations of the labels"}


def check_agreement(agreement: Agreement, limits: AgreementLimits) -> list[str]:
    """Problems with the answers to validation texts: one line for each limit that is exceeded, with value and knob."""
    problems = [
        _loss(change, limit, name, agreement.rows)
        for change, limit, name in (
            (agreement.metric, limits.max_metric_loss, "max_metric_loss"),
            (agreement.log_loss, limits.max_log_loss_increase, "max_log_loss_increase"),
        )
        if change is not None and limit is not None and is_worse(change, limit)
    ]
    texts = f"{agreement.rows:,} validation texts"
    mean = agreement.mean_probability_difference
    if mean is not None and _exceeds(mean, limits.max_mean_probability_difference):
        problems.append(
            f"the probabilities of {texts} differ from the model in memory by {mean:.2g} on average, "
            f"limit {limits.max_mean_probability_difference:.2g}{knob('max_mean_probability_difference')}"
        )
    if _exceeds(agreement.max_probability_difference, limits.max_probability_difference):
        problems.append(
            f"a probability of {texts} differs from the model in memory by {agreement.max_probability_difference:.2g}, "
            f"limit {limits.max_probability_difference:.2g}{knob('max_probability_difference')}"
        )
    if _exceeds(agreement.changed_labels / max(agreement.rows, 1), limits.max_label_change_rate):
        problems.append(
            f"{agreement.changed_labels} of {texts} get another label than from the model in memory, "
            f"limit {limits.max_label_change_rate:.2%}{knob('max_label_change_rate')}"
        )
    return problems


def is_worse(change: ScoreChange, limit: float) -> bool:
    """Whether a loss is larger than the limit, and larger than chance."""
    # NaN is worse.
    return not change.loss <= limit and not change.low <= 0


def undecided(agreement: Agreement, limits: AgreementLimits) -> str | None:
    """What the texts are too few to tell; None where they tell it, or where their labels do not judge.

    Example:
        >>> accuracy = ScoreChange(score="accuracy", reference=0.9, export=0.9, loss=0.0, low=-0.09, high=0.09)
        >>> agreement = Agreement(rows=20, max_probability_difference=0.1, changed_labels=0, metric=accuracy)
        >>> undecided(agreement, AgreementLimits(max_metric_loss=0.01))
        '20 labeled validation texts are too few to tell a loss of 0.01 in accuracy from chance: 0.0000 (95% interval -0.0900 to 0.0900)'
    """
    change, limit = agreement.metric, limits.max_metric_loss
    if change is None or limit is None or change.high <= limit:
        return None
    return (
        f"{agreement.rows:,} labeled validation texts are too few to tell a loss of {limit:g} in {score_name(change.score)} "
        f"from chance: {_interval(change)}"
    )


def knob(name: str) -> str:
    """The option and the key of a run file that set a limit, in parentheses."""
    return f" (--{name.replace('_', '-')}, export.{name})"


def _loss(change: ScoreChange, limit: float, name: str, rows: int) -> str:
    verb = "falls" if change.score == "accuracy" else "rises"
    unit = _UNITS.get(change.score, "")
    return (
        f"{score_name(change.score)} on {rows:,} labeled validation texts {verb} from {change.reference:.4f} to {change.export:.4f}, "
        f"by {_interval(change)}{unit}, limit {limit:g}{knob(name)}"
    )


def _interval(change: ScoreChange) -> str:
    return f"{change.loss:.4f} (95% interval {change.low:.4f} to {change.high:.4f})"


def _exceeds(value: float, limit: float | None) -> bool:
    # NaN exceeds every limit.
    return limit is not None and not value <= limit
