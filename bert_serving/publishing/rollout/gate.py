"""The gate before publishing: rules on a candidate's scores and latency."""

import statistics
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bert_serving.config import DataConfig
from bert_serving.errors import GateError, RunFileError
from bert_serving.evaluation.predictions import Predictions

_LATENCY_TEXTS = 200
_WARMUP_TEXTS = 5
# Scores that are better when lower: for these, a loss is an increase.
_LOWER_IS_BETTER = ("log_loss", "expected_calibration_error", "mean_squared_error", "mean_absolute_error")

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Predict = Callable[[Sequence[str], Sequence[str] | None], np.ndarray]


class GateRules(BaseModel):
    """A gate file: rules that a candidate must meet to be published."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    name: str
    """name of the data set, for the report"""
    data: Annotated[tuple[Path, ...], Field(min_length=1)]
    """labeled text, relative to the gate file"""
    golden: tuple[Path, ...] = ()
    """labeled text of which every row must be predicted correctly"""
    text: str = "text"
    """column of the text"""
    text_pair: str | None = None
    """second text column, for pairs"""
    label: str | tuple[str, ...] = "label"
    """column of the label; for multilabel models also a list of columns of 0 and 1, one for each label"""
    minimum: dict[str, float] = {}
    """smallest value of a score, such as accuracy, macro_f1, pearson"""
    maximum: dict[str, float] = {}
    """largest value of a score, such as log_loss, expected_calibration_error"""
    largest_class_loss: NonNegative | None = None
    """how much lower a label's F1 may be than that of the serving version"""
    largest_loss: dict[str, NonNegative] = {}
    """how much worse a score may be than that of the serving version"""
    largest_latency_ms: Positive | None = None
    """95th percentile of the latency for one text on this machine, in milliseconds"""
    largest_slowdown: Positive | None = None
    """median latency as a multiple of the serving version's, on this machine; not for servers"""

    @field_validator("data", "golden", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def needs_serving(self) -> bool:
        """Whether a rule compares with the serving version."""
        return self.largest_class_loss is not None or bool(self.largest_loss) or self.largest_slowdown is not None

    def columns(self, files: Sequence[Path]) -> DataConfig:
        """Column names of labeled text files, as `read_table` takes them."""
        return DataConfig(train=tuple(files), text=self.text, text_pair=self.text_pair, label=self.label)


@dataclass(frozen=True)
class Check:
    """Result of one rule.

    Attributes:
        rule: description of the rule.
        value: measured value.
        limit: value that the rule compares with.
        passed: whether the rule is met.
        detail: further information, such as the number of rows of a label.
    """

    rule: str
    value: float
    limit: float
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        """The result in one line."""
        return f"{self.rule}: {self.value:.4g}, limit {self.limit:.4g}" + (f" ({self.detail})" if self.detail else "")


def _at_most(rule: str, value: float, limit: float, detail: str = "") -> Check:
    return Check(rule, value, limit, value <= limit, detail)


@dataclass(frozen=True)
class GateReport:
    """Results of all rules for a candidate.

    Attributes:
        data: name of the data set.
        rows: number of its rows.
        against: name of the serving version; empty if there was none to compare with.
        checks: one for each rule.
        metrics: the candidate's scores.
        forced: reason for publishing the candidate even if a rule fails; empty for none.
    """

    data: str
    rows: int
    against: str
    checks: tuple[Check, ...]
    metrics: Mapping[str, float]
    forced: str = ""

    @property
    def passed(self) -> bool:
        """Whether every rule is met."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """One line for each rule that is not met."""
        return [str(check) for check in self.checks if not check.passed]

    def record(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self) | {"passed": self.passed}

    def raise_if_failed(self, candidate: str) -> None:
        """Ends the publication of a candidate that fails the gate and is not forced.

        Args:
            candidate: its folder, for the message.

        Raises:
            GateError: with a line for each rule that is not met.
        """
        if not self.passed and not self.forced:
            raise GateError(f"{candidate} was not published", self.problems)


@dataclass(frozen=True)
class Latency:
    """Seconds for one text, on this machine.

    Attributes:
        median: of the candidate.
        p95: 95th percentile of the candidate.
        serving_median: of the serving version, measured alternately with the candidate; None if it
            was not measured.
    """

    median: float
    p95: float
    serving_median: float | None = None


def load_gate(path: Path) -> GateRules:
    """Reads a gate file and makes its paths absolute.

    Raises:
        RunFileError: the file is missing, is not valid TOML, or has wrong, missing or unknown keys;
            lists all of them.
    """
    try:
        rules = GateRules.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise RunFileError(str(path), [f"cannot read the gate file: {error.strerror}; check --gate"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(str(path), [f"is not valid TOML: {error}"]) from None
    except ValidationError as error:
        raise RunFileError(str(path), [_problem(problem) for problem in error.errors()]) from None
    base = path.absolute().parent
    absolute = {key: tuple(base / file for file in getattr(rules, key)) for key in ("data", "golden")}
    return rules.model_copy(update=absolute)


def judge(
    rules: GateRules,
    candidate: Predictions,
    *,
    serving: Predictions | None = None,
    golden: Predictions | None = None,
    latency: Latency | None = None,
    against: str = "",
) -> GateReport:
    """Applies the rules to a candidate.

    Args:
        rules: the gate.
        candidate: the candidate's predictions for the data set.
        serving: the serving version's predictions for the same rows; None if there is none.
        golden: the candidate's predictions for the golden texts.
        latency: of the candidate.
        against: name of the serving version.

    Raises:
        RunFileError: a rule names a score that this kind of model does not have.
    """
    scores = candidate.metrics
    main_scores = {name: value for name, value in scores.items() if isinstance(value, float)}
    _check_score_names(rules, main_scores)
    checks = [
        Check(f"smallest {name}", scores[name], limit, scores[name] >= limit) for name, limit in rules.minimum.items()
    ]
    checks += [_at_most(f"largest {name}", scores[name], limit) for name, limit in rules.maximum.items()]
    if serving is not None:
        checks += _loss_checks(rules, scores, serving.metrics)
    if golden is not None:
        checks.append(_golden_check(golden))
    if latency is not None:
        checks += _latency_checks(rules, latency)
    compared = against if serving is not None else ""
    return GateReport(rules.name, len(candidate), compared, tuple(checks), main_scores)


def measure_latency(
    candidate: Predict, serving: Predict | None, texts: Sequence[str], pairs: Sequence[str] | None
) -> Latency:
    """Sends one text at a time, alternately to the candidate and the serving version.

    Args:
        candidate: prediction function of the candidate.
        serving: prediction function of the serving version; None to measure the candidate alone.
        texts: at least one text; the first 200 are used.
        pairs: second texts, or None.
    """
    models = [candidate] if serving is None else [candidate, serving]
    seconds: list[list[float]] = [[] for _ in models]
    rows = [number % len(texts) for number in range(_WARMUP_TEXTS)] + list(range(len(texts)))[:_LATENCY_TEXTS]
    for number, row in enumerate(rows):
        for predict, measured in zip(models, seconds, strict=True):
            started = time.perf_counter()
            predict([texts[row]], None if pairs is None else [pairs[row]])
            if number >= _WARMUP_TEXTS:
                measured.append(time.perf_counter() - started)
    medians = [statistics.median(measured) for measured in seconds]
    return Latency(medians[0], float(np.percentile(seconds[0], 95)), medians[1] if serving is not None else None)


def _problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "gate file"
    match problem["type"]:
        case "extra_forbidden":
            return f"{where}: unknown key; known are {', '.join(GateRules.model_fields)}"
        case "missing":
            return f"{where}: missing; add it"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _check_score_names(rules: GateRules, scores: Mapping[str, float]) -> None:
    named = {"minimum": rules.minimum, "maximum": rules.maximum, "largest_loss": rules.largest_loss}
    problems = [
        f"{key}.{name}: this model has no such score; known are {', '.join(scores)}"
        for key, names in named.items()
        for name in names
        if name not in scores
    ]
    if problems:
        raise RunFileError(f"gate {rules.name}", problems)


def _loss_checks(rules: GateRules, scores: Mapping[str, Any], serving: Mapping[str, Any]) -> list[Check]:
    checks = []
    for name, limit in rules.largest_loss.items():
        loss = scores[name] - serving[name] if name in _LOWER_IS_BETTER else serving[name] - scores[name]
        checks.append(_at_most(f"loss of {name}", loss, limit, f"{scores[name]:.4f}, serving {serving[name]:.4f}"))
    if rules.largest_class_loss is not None:
        for label, values in scores.get("per_class", {}).items():
            before = serving["per_class"].get(label, {"f1": 0.0})["f1"]
            detail = f"F1 {values['f1']:.4f}, serving {before:.4f}, {values['support']:,.0f} rows"
            checks.append(_at_most(f"loss of class {label}", before - values["f1"], rules.largest_class_loss, detail))
    return checks


def _golden_check(golden: Predictions) -> Check:
    wrong = [row for row in range(len(golden)) if not golden.correct[row]]
    shown = [f"{golden.table.texts[row][:40]!r} is {golden.predicted_label(row)}" for row in wrong[:3]]
    return _at_most("golden texts answered wrong", len(wrong), 0, "; ".join(shown) or f"{len(golden)} texts")


def _latency_checks(rules: GateRules, latency: Latency) -> list[Check]:
    checks = []
    median = f"median {1000 * latency.median:.1f} ms"
    if rules.largest_latency_ms is not None:
        rule = "95th percentile of latency in ms"
        checks.append(_at_most(rule, 1000 * latency.p95, rules.largest_latency_ms, median))
    if rules.largest_slowdown is not None and latency.serving_median is not None:
        rule = "latency as a multiple of the serving version's"
        detail = f"{median}, serving {1000 * latency.serving_median:.1f} ms"
        checks.append(_at_most(rule, latency.median / latency.serving_median, rules.largest_slowdown, detail))
    return checks
