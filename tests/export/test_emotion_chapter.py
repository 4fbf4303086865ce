"""The script that draws a chapter's pictures from a run."""

import importlib.util
import shutil

import numpy as np
import pytest
from matplotlib.image import imread
from support.paths import ROOT

from bert_serving.contract import Head
from bert_serving.errors import InputError, RunFolderError

SCRIPT = ROOT / "export" / "emotion_chapter.py"


@pytest.fixture(scope="module")
def chapter():
    spec = importlib.util.spec_from_file_location("emotion_chapter", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _without_umap(monkeypatch):
    """UMAP takes long to import; PCA draws the same pictures."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "umap" else found(name))


def test_a_run_gives_all_pictures_and_its_figures_beside_the_books(chapter, trained, tmp_path, capsys):
    assert chapter.main([str(trained.run.path), str(tmp_path / "chapter")]) == 0
    pictures = {path.name for path in (tmp_path / "chapter").glob("*.png")}
    assert pictures == {
        "accuracy.png",
        "class_distribution.png",
        "token_lengths.png",
        "feature_density.png",
        "confusion_matrix_logistic.png",
        "confusion_matrix_fine_tuned.png",
    }
    assert all(imread(tmp_path / "chapter" / name).size for name in pictures)
    shown = capsys.readouterr().out
    for model, book in (
        ("majority", "0.352"),
        ("logistic regression on frozen features", "0.633"),
        ("fine-tuned", "0.9225"),
    ):
        line = next(line for line in shown.splitlines() if line.startswith(model))
        assert line.split("│")[1].strip() == book
    assert f"{trained.metrics['validation']['accuracy']:.4f}" in line
    assert f"{trained.metrics['test']['accuracy']:.4f}" in line


@pytest.mark.slow
def test_rows_are_listed_from_the_highest_loss_and_from_the_lowest(chapter, trained, tmp_path):
    chapter.main([str(trained.run.path), str(tmp_path)])
    lines = [line.split("\t") for line in (tmp_path / "rows_by_loss.tsv").read_text("utf-8").splitlines()]
    assert lines[0] == ["loss", "label", "answer", "text"]
    table = trained.splits.validation
    assert sorted(line[3] for line in lines[1:11]) == sorted(table.texts)  # ten rows: all of them, twice
    losses = [float(line[0]) for line in lines[1:11]]
    assert losses == sorted(losses, reverse=True)
    assert lines[11:] == lines[10:0:-1]
    scores = trained.classifier.predict([lines[1][3]])[0]
    place = trained.classifier.options.labels.index(lines[1][1])
    assert losses[0] == pytest.approx(-np.log(scores[place]), abs=1e-3)


def test_mistakes_are_named(chapter, trained, tmp_path, capsys):
    assert chapter.main([]) == 2
    assert "usage: python export/emotion_chapter.py RUN_DIR [FOLDER]" in capsys.readouterr().err
    with pytest.raises(RunFolderError, match="not a run folder"):
        chapter.main([str(tmp_path)])
    run = shutil.copytree(trained.run.path, tmp_path / "run")
    toml = (run / "run.toml").read_text().replace(f'kind = "{Head.SOFTMAX}"', 'kind = "multilabel"')
    (run / "run.toml").write_text(toml.replace('best_metric = "accuracy"\n', ""))
    with pytest.raises(InputError, match="a multilabel head has no chapter"):
        chapter.main([str(run)])
