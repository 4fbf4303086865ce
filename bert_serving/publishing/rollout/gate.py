"""The gate before publishing: is a candidate good enough, and no worse than the version that serves?"""

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
from bert_serving.metrics import measure

_LATENCY_TEXTS = 200
_WARMUP_TEXTS = 5
# A score that is better when it is lower has a largest value instead of a smallest.
_LOWER_IS_BETTER = ("log_loss", "expected_calibration_error", "mean_squared_error", "mean_absolute_error")

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Predict = Callable[[Sequence[str], Sequence[str] | None], np.ndarray]


class GateRules(BaseModel):
    """A gate file: what a candidate must do before it is published."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    name: str
    """of the data set, for the report"""
    data: Annotated[tuple[Path, ...], Field(min_length=1)]
    """labeled text, relative to the gate file"""
    golden: tuple[Path, ...] = ()
    """texts each of which must get its label"""
    text: str = "text"
    """column of the text"""
    text_pair: str | None = None
    """second text column, for pairs"""
    label: str = "label"
    """column of the label"""
    minimum: dict[str, float] = {}
    """smallest value of a score, such as accuracy, macro_f1, pearson"""
    maximum: dict[str, float] = {}
    """largest value of a score, such as log_loss, expected_calibration_error"""
    largest_class_loss: NonNegative | None = None
    """how much less a class's F1 may be than that of the serving version"""
    largest_loss: dict[str, NonNegative] = {}
    """how much worse a score may be than that of the serving version"""
    largest_latency_ms: Positive | None = None
    """95th percentile for one text, on this machine, in milliseconds"""
    largest_slowdown: Positive | None = None
    """median latency as a multiple of the serving version's, measured in turns on this machine; for folders"""

    @field_validator("data", "golden", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def needs_serving(self) -> bool:
        """Whether a rule compares with the serving version."""
        return self.largest_class_loss is not None or bool(self.largest_loss) or self.largest_slowdown is not None

    def columns(self, files: Sequence[Path]) -> DataConfig:
        """How the columns of some of the files are named."""
        return DataConfig(train=tuple(files), text=self.text, text_pair=self.text_pair, label=self.label)


@dataclass(frozen=True)
class Check:
    """One rule and what was found.

    Attributes:
        rule: what is asked, for people.
        value: what was found.
        limit: what it is compared with.
        passed: whether the rule holds.
        detail: what else one wants to know, such as the rows of a class.
    """

    rule: str
    value: float
    limit: float
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.value:.4g}, limit {self.limit:.4g}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class GateReport:
    """Why a candidate may pass, or not.

    Attributes:
        data: name of the data set.
        rows: number of its rows.
        against: the version it was compared with; empty when there was none.
        checks: one for each rule.
        metrics: the candidate's scores.
        forced: the reason for publishing all the same.
    """

    data: str
    rows: int
    against: str
    checks: tuple[Check, ...]
    metrics: Mapping[str, float]
    forced: str = ""

    @property
    def passed(self) -> bool:
        """Whether every rule holds."""
        return all(check.passed for check in self.checks)

    @property
    def problems(self) -> list[str]:
        """One line for each rule that does not hold."""
        return [str(check) for check in self.checks if not check.passed]

    def record(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self) | {"passed": self.passed}

    def insist(self, subject: str) -> None:
        """Ends the publication of a candidate that does not pass and is not forced.

        Raises:
            GateError: with a line for each rule that does not hold.
        """
        if not self.passed and not self.forced:
            raise GateError(f"{subject} was not published", self.problems)


@dataclass(frozen=True)
class Latency:
    """Seconds for one text, on this machine.

    Attributes:
        median: of the candidate.
        p95: its 95th percentile.
        serving_median: of the serving version, measured in turns with it; None when that is no folder.
    """

    median: float
    p95: float
    serving_median: float | None = None


def load_gate(path: Path) -> GateRules:
    """Reads a gate file and makes its paths absolute.

    Raises:
        RunFileError: the file is missing, is no TOML, or has wrong, missing or unknown keys; lists all of them.
    """
    try:
        rules = GateRules.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise RunFileError(str(path), [f"cannot read the gate file: {error.strerror}; check --gate"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(str(path), [f"is not valid TOML: {error}"]) from None
    except ValidationError as error:
        raise RunFileError(str(path), [_problem(each) for each in error.errors()]) from None
    base = path.absolute().parent
    listed = {key: tuple(base / each for each in getattr(rules, key)) for key in ("data", "golden")}
    return rules.model_copy(update=listed)


def judge(
    rules: GateRules,
    candidate: Predictions,
    *,
    serving: Predictions | None = None,
    golden: Predictions | None = None,
    latency: Latency | None = None,
    against: str = "",
) -> GateReport:
    """Holds a candidate against the rules.

    Args:
        rules: the gate file.
        candidate: its answers to the data set.
        serving: the serving version's answers to the same rows; None when there is no such version yet.
        golden: the candidate's answers to the golden texts.
        latency: of the candidate.
        against: name of the serving version.

    Raises:
        RunFileError: a rule asks for a score that this kind of model does not have.
    """
    scores = measure(candidate.head, candidate.labels, candidate.y_true, candidate.values)
    _check_names(rules, scores)
    checks = [*_absolute(rules, scores)]
    if serving is not None:
        before = measure(serving.head, serving.labels, serving.y_true, serving.values)
        checks += _relative(rules, scores, before)
    if golden is not None:
        wrong = [row for row in range(len(golden)) if not golden.correct[row]]
        checks.append(Check("golden texts answered wrong", len(wrong), 0, not wrong, _mistakes(golden, wrong)))
    if latency is not None:
        checks += _timely(rules, latency)
    main = {name: value for name, value in scores.items() if isinstance(value, float)}
    return GateReport(rules.name, len(candidate), against if serving is not None else "", tuple(checks), main)


def measure_latency(
    candidate: Predict, serving: Predict | None, texts: Sequence[str], pairs: Sequence[str] | None
) -> Latency:
    """Asks for one text at a time; candidate and serving version take turns, so that both see the same machine."""
    subjects = [candidate] if serving is None else [candidate, serving]
    seconds: list[list[float]] = [[] for _ in subjects]
    rows = [number % len(texts) for number in range(_WARMUP_TEXTS)] + list(range(len(texts)))[:_LATENCY_TEXTS]
    for number, row in enumerate(rows):
        for subject, found in zip(subjects, seconds, strict=True):
            started = time.perf_counter()
            subject([texts[row]], None if pairs is None else [pairs[row]])
            if number >= _WARMUP_TEXTS:
                found.append(time.perf_counter() - started)
    mine = seconds[0]
    return Latency(
        statistics.median(mine),
        float(np.percentile(mine, 95)),
        statistics.median(seconds[1]) if serving is not None else None,
    )


def _problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "gate file"
    match problem["type"]:
        case "extra_forbidden":
            return f"{where}: unknown key; known are {', '.join(GateRules.model_fields)}"
        case "missing":
            return f"{where}: missing; add it"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _check_names(rules: GateRules, scores: Mapping[str, Any]) -> None:
    known = [name for name, value in scores.items() if isinstance(value, float)]
    asked = {"minimum": rules.minimum, "maximum": rules.maximum, "largest_loss": rules.largest_loss}
    problems = [
        f"{key}.{name}: this model has no such score; known are {', '.join(known)}"
        for key, names in asked.items()
        for name in names
        if name not in known
    ]
    if problems:
        raise RunFileError(f"gate {rules.name}", problems)


def _absolute(rules: GateRules, scores: Mapping[str, Any]) -> list[Check]:
    smallest = [
        Check(f"smallest {name}", scores[name], limit, scores[name] >= limit) for name, limit in rules.minimum.items()
    ]
    largest = [
        Check(f"largest {name}", scores[name], limit, scores[name] <= limit) for name, limit in rules.maximum.items()
    ]
    return smallest + largest


def _relative(rules: GateRules, scores: Mapping[str, Any], before: Mapping[str, Any]) -> list[Check]:
    checks = []
    for name, limit in rules.largest_loss.items():
        loss = scores[name] - before[name] if name in _LOWER_IS_BETTER else before[name] - scores[name]
        detail = f"{scores[name]:.4f}, serving {before[name]:.4f}"
        checks.append(Check(f"loss of {name}", loss, limit, loss <= limit, detail))
    if rules.largest_class_loss is not None:
        for label, values in scores.get("per_class", {}).items():
            was = before["per_class"].get(label, {"f1": 0.0})["f1"]
            detail = f"F1 {values['f1']:.4f}, serving {was:.4f}, {values['support']:,.0f} rows"
            loss, limit = was - values["f1"], rules.largest_class_loss
            checks.append(Check(f"loss of class {label}", loss, limit, loss <= limit, detail))
    return checks


def _timely(rules: GateRules, latency: Latency) -> list[Check]:
    checks = []
    if rules.largest_latency_ms is not None:
        found, limit = 1000 * latency.p95, rules.largest_latency_ms
        detail = f"median {1000 * latency.median:.1f} ms"
        checks.append(Check("95th percentile of latency in ms", found, limit, found <= limit, detail))
    if rules.largest_slowdown is not None and latency.serving_median is not None:
        times, limit = latency.median / latency.serving_median, rules.largest_slowdown
        detail = f"median {1000 * latency.median:.1f} ms, serving {1000 * latency.serving_median:.1f} ms"
        checks.append(Check("latency as a multiple of the serving version's", times, limit, times <= limit, detail))
    return checks


def _mistakes(golden: Predictions, wrong: Sequence[int]) -> str:
    shown = [f"{golden.table.texts[row][:40]!r} is {golden.predicted_label(row)}" for row in wrong[:3]]
    return "; ".join(shown) if wrong else f"{len(golden)} texts"
