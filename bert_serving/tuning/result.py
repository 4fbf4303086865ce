"""What a search has found: its trials, the best one, and the files that tell of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bert_serving.config import RunConfig
from bert_serving.io.files import write_whole
from bert_serving.notebook import table, text
from bert_serving.plots import tuning as plots
from bert_serving.run_file import dump_run_file
from bert_serving.search_space import Choices, Range
from bert_serving.tuning.selection import best_of, lower_is_better, with_values
from bert_serving.wording import score_name

BEST = "best.toml"
TRIALS = "trials.tsv"
PICTURES = "pictures"
_FACTS = ("trial", "state", "score", "epochs", "seconds")


@dataclass(frozen=True)
class Tuning:
    """The trials of a search and the best of them; `tune` makes one.

    Attributes:
        folder: with best.toml, trials.tsv and pictures/.
        metric: name of the validation metric by which trials are compared.
        space: the values of each key that was searched.
        trials: a row for each finished trial: `trial` (its number), `state` ("complete", "pruned" or "failed"), `score` (the
            validation metric, None unless complete), `epochs` (trained), `seconds`, `values` by key, `validation` (the metric
            after each epoch), `error`.
        importances: share of each key in the spread of the scores; empty before ten trials are complete.

    ```python
    import bert_serving as bs

    tuning = bs.tune("tiny.toml", out="tuning/few", trials=1)
    print(tuning.best["score"], tuning.best["values"])
    run = bs.train(tuning.run_file, out="runs/best")
    ```
    """

    folder: Path
    metric: str
    space: Mapping[str, Range | Choices]
    trials: Sequence[Mapping[str, Any]]
    importances: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def best(self) -> Mapping[str, Any] | None:
        """The trial with the best score, the first of several; None if none is complete."""
        scores = {row["trial"]: row["score"] for row in self.trials if row["score"] is not None}
        if not scores:
            return None
        number = best_of(scores, self.metric)
        return next(row for row in self.trials if row["trial"] == number)

    @property
    def run_file(self) -> Path:
        """The run file with the best values, ready for `train`."""
        return self.folder / BEST

    def write(self, config: RunConfig) -> None:
        """Writes trials.tsv and, where a trial is complete, best.toml.

        Args:
            config: the run file that was searched from.
        """
        write_whole(self.folder / TRIALS, self._tsv().encode())
        if self.best is not None:
            best = with_values(config, self.best["values"])
            head = (
                f"# The best of {len(self.trials)} trials: {score_name(self.metric)} {self.best['score']:.4f} on validation "
                f"(trial {self.best['trial']}).\n"
            )
            write_whole(self.run_file, (head + dump_run_file(best)).encode())

    def draw(self) -> None:
        """Writes the pictures that the trials so far allow."""
        if self.best is None:
            return
        folder, better = self.folder / PICTURES, "lower" if lower_is_better(self.metric) else "higher"
        plots.draw_trials(self.trials, score_name(self.metric), better, folder / "history.png")
        logs = [key for key, each in self.space.items() if isinstance(each, Range) and each.log]
        plots.draw_slices(self.trials, list(self.space), logs, score_name(self.metric), folder / "slices.png")
        if self.importances:
            plots.draw_importances(self.importances, folder / "importances.png")

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return {
            "metric": self.metric,
            "best": self.best,
            "run_file": str(self.run_file),
            "importances": dict(self.importances),
            "trials": list(self.trials),
        }

    def _tsv(self) -> str:
        keys = list(self.space)
        lines = [[*_FACTS, *keys, "error"]]
        for row in self.trials:
            facts = ["" if row[name] is None else str(row[name]) for name in _FACTS]
            values = [str(row["values"].get(key, "")) for key in keys]
            lines.append([*facts, *values, " ".join((row["error"] or "").split())])
        return "".join("\t".join(line) + "\n" for line in lines)

    def _repr_html_(self) -> str:
        keys = list(self.space)
        rows = [
            [
                text(cell)
                for cell in (row["trial"], row["state"], row["score"], *(row["values"].get(key) for key in keys))
            ]
            for row in sorted(self.trials, key=self._rank)
        ]
        return table(("trial", "state", self.metric, *keys), rows, f"Trials in {self.folder}")

    def _rank(self, row: Mapping[str, Any]) -> tuple[bool, float]:
        """Best first, trials without a score last."""
        score = row["score"]
        return score is None, 0.0 if score is None else score if lower_is_better(self.metric) else -score

    def ranked(self) -> list[Mapping[str, Any]]:
        """The trials, best first."""
        return sorted(self.trials, key=self._rank)
