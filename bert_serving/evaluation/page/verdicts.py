"""What the report's page says first: findings, each with rows to look at."""

import numpy as np

from bert_serving.contract import Head, Scaling
from bert_serving.evaluation import slices
from bert_serving.evaluation.page.rows import label_errors_table, rows_table
from bert_serving.evaluation.page.words import Names, counted, interval_words, p_value, signed, spelled
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.report import Report
from bert_serving.evaluation.slices import Slice
from bert_serving.html.page import Section
from bert_serving.html.parts import Verdict, Verdicts

SLICE_ROWS = 20
NOTABLE_CALIBRATION_ERROR = 0.03


def verdicts(report: Report, names: Names) -> Section:
    """All findings."""
    items = [Verdict("fix", note) for note in names.notes]
    items += [_slice_verdict(report.predictions, each) for each in report.short_slices]
    if not report.short_slices:
        items.append(Verdict("good", "No slice falls clearly short of the rest", slice_rule(report)))
    items += [*_missing_labels(report), *_calibration_verdict(report, names), *_label_error_verdict(report)]
    items += _comparison_verdict(report, names)
    return Section("What to look at", (Verdicts(items),), "Findings of this report, each with rows to look at.")


def _slice_verdict(predictions: Predictions, each: Slice) -> Verdict:
    worst = each.rows[np.argsort(-predictions.losses[each.rows], kind="stable")]
    if predictions.head is Head.REGRESSION:
        said = f"off by {each.score.value:.3g} on average, the rest by {each.rest:.3g}"
    else:
        said = f"{each.score.value:.1%} right, {each.rest:.1%} of the rest"
        worst = worst[~predictions.right[worst]]
    return Verdict(
        "look",
        f"{each.group} {each.name}: {said}",
        f"{counted(len(each.rows), 'row')}; {interval_words(each.score, predictions.head)}; corrected p {p_value(each.p_value)}. "
        f"The rows with the highest loss:",
        rows_table(
            predictions,
            worst,
            SLICE_ROWS,
            "answered wrong" if predictions.head is not Head.REGRESSION else "in the slice",
        ),
    )


def _missing_labels(report: Report) -> list[Verdict]:
    missing = [label for label, values in report.metrics.get("per_class", {}).items() if not values["support"]]
    if not missing:
        return []
    shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    return [
        Verdict(
            "look",
            f"{counted(len(missing), 'label')} without rows: {shown}",
            "Averages such as macro F1 count a label without rows as 0; nothing can be said about it.",
        )
    ]


def _calibration_verdict(report: Report, names: Names) -> list[Verdict]:
    found = report.calibration
    if found is None:
        return []
    if found.expected_error < NOTABLE_CALIBRATION_ERROR:
        return [Verdict("good", f"Probabilities mean what they say: calibration error {found.expected_error:.1%}")]
    if report.predictions.head is Head.MULTILABEL:
        manner = "too high" if found.confidence > found.right else "too low"
    else:
        manner = "too sure of itself" if found.confidence > found.right else "less sure of itself than it could be"
    if names.scaling in (None, Scaling()):
        advice = "bert-serving calibrate fits a temperature to a run, which leaves the answers as they are."
    else:
        advice = f"The temperature {names.scaling}, fitted on other rows, does not suit these."
    return [
        Verdict(
            "look",
            f"Probabilities are off: calibration error {found.expected_error:.1%}, {manner}",
            f"The mean confidence is {found.confidence:.1%}, {found.right:.1%} of the answers are right. {advice}",
        )
    ]


def _label_error_verdict(report: Report) -> list[Verdict]:
    found = report.label_errors
    if found is None:
        return []
    share = found.suspicious / len(report.predictions)
    if not found.suspicious:
        return [Verdict("good", "No label looks wrong")]
    return [
        Verdict(
            "look",
            f"{counted(found.suspicious, 'label')} of {len(report.predictions):,} ({share:.1%}) may be wrong",
            "The most suspicious ones; section “Probable label errors” has more.",
            label_errors_table(report.predictions, found, SLICE_ROWS),
        )
    ]


def _comparison_verdict(report: Report, names: Names) -> list[Verdict]:
    found = report.comparison
    if found is None:
        return []
    score = "mean_absolute_error" if report.predictions.head is Head.REGRESSION else "accuracy"
    difference = found.differences[score]
    if found.p_value >= slices.SIGNIFICANCE:
        title = f"{names.other} is neither clearly better nor clearly worse"
    else:
        better = (difference.value > 0) == (score == "accuracy")
        title = f"{names.other} is clearly {'better' if better else 'worse'}"
    detail = f"{spelled(score)} {signed(difference, score)}; {found.test}: p {p_value(found.p_value)}."
    return [Verdict("look" if found.p_value < slices.SIGNIFICANCE else "good", title, detail)]


def slice_rule(report: Report) -> str:
    """When a slice falls short."""
    if report.predictions.head is Head.REGRESSION:
        gap = f"its mean distance is at least {10 * slices.SMALLEST_GAP:.0%} over that of all other rows"
        test = "Mann and Whitney's test"
    else:
        gap = f"its accuracy is at least {100 * slices.SMALLEST_GAP:.0f} points below that of all other rows"
        test = "Fisher's exact test"
    return (
        f"A slice falls short when it has at least {slices.FEWEST_ROWS} rows, {gap}, and {test} (one-sided, corrected for the "
        f"number of slices by Holm's method) gives p below {slices.SIGNIFICANCE}."
    )
