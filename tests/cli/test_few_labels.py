"""`demo --few`: both methods on the same rows, beside TF-IDF."""

import pytest

from bert_serving.cli import demo as demo_module
from bert_serving.cli.few_labels import few_label_runs
from bert_serving.config import load_run_file
from bert_serving.training.run_folder import RunFolder


def test_both_runs_learn_from_the_same_rows(run_file):
    runs = few_label_runs(load_run_file(run_file), 5)
    contrastive, fine_tuning = runs["contrastive"], runs["fine_tuning"]
    assert contrastive.data == fine_tuning.data
    assert contrastive.data.max_rows_per_label == 5
    assert (contrastive.training.method, contrastive.training.epochs) == ("contrastive", 1)
    assert fine_tuning.training.method == "fine_tuning"
    assert contrastive.training.seed == fine_tuning.training.seed


@pytest.mark.slow
def test_the_scores_of_all_three_stand_side_by_side(run_file, bert_serving, monkeypatch, tmp_path):
    monkeypatch.setattr(demo_module, "sample_run_file", lambda: run_file)
    out = tmp_path / "demo"
    ended = bert_serving("demo", "--few", 4, "--out", out)
    assert ended.status == 0
    for name in ("contrastive (test)", "fine-tuning (test)", "TF-IDF (test)", f"bert-serving export {out}/contrastive"):
        assert name in ended.out.replace("\n", " ") or name.split(" (")[0] in ended.out
    for method in ("contrastive", "fine_tuning"):
        run = RunFolder(out / method)
        assert run.is_complete
        assert run.facts()["rows"]["train"] == 8
