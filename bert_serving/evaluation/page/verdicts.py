"""The findings at the top of the report's page, with rows to inspect."""

from collections.abc import Iterator

import numpy as np

from bert_serving.contract import Head, Scaling
from bert_serving.evaluation import slices
from bert_serving.evaluation.chance import Chance
from bert_serving.evaluation.page.formats import p_value, score_difference, slice_interval
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.page.rows import label_errors_table, rows_table
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.report import Report
from bert_serving.evaluation.slices import Slice
from bert_serving.html.page import Section
from bert_serving.html.parts import Verdict, Verdicts
from bert_serving.wording import counted, percent, score_name

SLICE_ROWS = 20
NOTABLE_CALIBRATION_ERROR = 0.03


def verdicts(report: Report, names: ReportNames) -> Section:
    """All findings."""
    items = [] if report.chance.better else [_chance_verdict(report.chance)]
    items += [Verdict("fix", note) for note in names.notes]
    items += [_slice_verdict(report.predictions, part) for part in report.short_slices]
    if not report.short_slices:
        items.append(Verdict("ok", "No slice scores significantly lower than the rest", slice_rule(report)))
    items += [
        *_missing_labels(report),
        *_calibration_verdict(report, names),
        *_label_error_verdict(report),
        *_comparison_verdict(report, names),
    ]
    return Section("Findings", (Verdicts(items),), "Click a line for details and rows to inspect.")


def _chance_verdict(chance: Chance) -> Verdict:
    return Verdict(
        "fix",
        chance.finding(),
        f"{chance.advice} Label errors are not looked for: what contradicts a model that has learned nothing is no error.",
    )


def _slice_verdict(predictions: Predictions, part: Slice) -> Verdict:
    worst = part.rows[np.argsort(-predictions.losses[part.rows], kind="stable")]
    if predictions.head is Head.REGRESSION:
        scores = f"mean absolute error {part.score.value:.3g}, {part.rest:.3g} in the rest"
        description = "in the slice"
    else:
        scores = f"accuracy {part.score.value:.1%}, {part.rest:.1%} in the rest"
        worst = worst[~predictions.correct[worst]]
        description = "predicted incorrectly"
    return Verdict(
        "check",
        f"Slice {part.group} = {part.name}: {scores}",
        f"{counted(len(part.rows), 'row')}; {slice_interval(part.score, predictions.head)}; corrected p "
        f"{p_value(part.p_value)}. The rows with the highest loss:",
        rows_table(predictions, worst, SLICE_ROWS, description),
    )


def _missing_labels(report: Report) -> Iterator[Verdict]:
    missing = [label for label, values in report.metrics.get("per_class", {}).items() if not values["support"]]
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        yield Verdict(
            "check",
            f"{counted(len(missing), 'label')} without rows: {', '.join(missing[:10])}{more}",
            "Averages such as macro F1 count a label without rows as 0; these rows cannot measure it.",
        )


def _calibration_verdict(report: Report, names: ReportNames) -> Iterator[Verdict]:
    measured = report.calibration
    if measured is None:
        return
    error = f"expected calibration error {measured.expected_error:.1%}"
    if measured.expected_error < NOTABLE_CALIBRATION_ERROR:
        yield Verdict("ok", f"Probabilities are well calibrated: {error}")
        return
    overconfident = measured.confidence > measured.accuracy
    if report.predictions.head is Head.MULTILABEL:
        direction = "probabilities too high" if overconfident else "probabilities too low"
    else:
        direction = "overconfident" if overconfident else "underconfident"
    if names.scaling in (None, Scaling()):
        advice = (
            "bert-serving calibrate fits temperature scaling on the validation split; predicted labels do not change."
        )
    else:
        advice = f"The temperature {names.scaling}, fitted on other rows, does not suit these."
    yield Verdict(
        "check",
        f"Probabilities are poorly calibrated: {error}, {direction}",
        f"The mean confidence is {measured.confidence:.1%}, the accuracy {measured.accuracy:.1%}. {advice}",
    )


def _label_error_verdict(report: Report) -> Iterator[Verdict]:
    errors = report.label_errors
    if errors is None:
        return
    if not errors.suspicious:
        yield Verdict("ok", "No probable label errors")
        return
    rows = len(report.predictions)
    yield Verdict(
        "check",
        f"{counted(errors.suspicious, 'label')} of {rows:,} ({percent(errors.suspicious / rows)}) may be wrong",
        "The most suspicious ones; section “Label errors (confident learning)” lists more.",
        label_errors_table(report.predictions, errors, SLICE_ROWS),
    )


def _comparison_verdict(report: Report, names: ReportNames) -> Iterator[Verdict]:
    comparison = report.comparison
    if comparison is None:
        return
    score = "mean_absolute_error" if report.predictions.head is Head.REGRESSION else "accuracy"
    difference = comparison.differences[score]
    significant = comparison.p_value < slices.SIGNIFICANCE
    if significant:
        better = (difference.value > 0) == (score == "accuracy")
        title = f"{names.other} is significantly {'better' if better else 'worse'}"
    else:
        title = f"{names.other} is neither significantly better nor significantly worse"
    detail = (
        f"Difference in {score_name(score)}: {score_difference(score, difference)}; "
        f"{comparison.test}: p {p_value(comparison.p_value)}."
    )
    yield Verdict("check" if significant else "ok", title, detail)


def slice_rule(report: Report) -> str:
    """The rule by which a slice scores significantly lower."""
    if report.predictions.head is Head.REGRESSION:
        gap = f"its mean absolute error is at least {10 * slices.SMALLEST_GAP:.0%} above that of all other rows"
        test = "the Mann-Whitney U test"
    else:
        gap = f"its accuracy is at least {100 * slices.SMALLEST_GAP:.0f} points below that of all other rows"
        test = "Fisher's exact test"
    return (
        f"A slice scores significantly lower when it has at least {slices.FEWEST_ROWS} rows, {gap}, and {test} "
        f"(one-sided, corrected for the number of slices by Holm's method) gives p below {slices.SIGNIFICANCE}."
    )
