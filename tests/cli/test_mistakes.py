"""`bert-serving explain` and `bert-serving map`: one clear line for each mistake."""

import shutil

import pytest
from support.tiny import write_tsv_file


@pytest.fixture
def places(tmp_path, trained, exported, encoder_folder, run_file, rows):
    """Everything that a mistake can be made with."""
    folder = tmp_path / "bad"
    folder.mkdir()
    shutil.copytree(trained.run.path, folder / "incomplete")
    shutil.rmtree(folder / "incomplete" / "weights")
    for kind in ("regression", "multilabel"):
        run = shutil.copytree(trained.run.path, folder / kind)
        toml = (run / "run.toml").read_text().replace('kind = "softmax"', f'kind = "{kind}"')
        (run / "run.toml").write_text(toml.replace('best_metric = "accuracy"\n', ""))
    (folder / "one_label.tsv").write_text("text\tlabel\na\tx\nb\tx\nc\tx\n")
    (folder / "unknown.tsv").write_text("text\tlabel\ngood\tother\n")
    (folder / "file").write_text("")
    (folder / "empty").mkdir()
    names = {"run": trained.run.path, "export": exported, "encoder": encoder_folder, "bad": folder}
    return names | {"test": run_file.parent / "test.tsv", "data": write_tsv_file(tmp_path / "rows.tsv", rows)}


MISTAKES = [
    ("explain nowhere good", "nowhere: not a run folder (run.toml is missing); give the folder that train wrote"),
    ("explain {bad}/empty good", "bad/empty: not a run folder"),
    ("explain {export} good", "is a SavedModel, which has no gradients; give the run folder"),
    ("explain {export}/.. good", "is a SavedModel, which has no gradients; give the run folder"),
    ("explain grpc://localhost:1/tiny good", "is a server's address, which has no gradients"),
    ("explain {bad}/incomplete good", "training is not complete (weights is missing)"),
    ("explain {run} good --label other", "the model has no label 'other'; it has blame, praise"),
    ("explain {run} good --pair bad", "this classifier takes 1 text, got 2"),
    ("explain {run} good --steps 0", "the number of steps must be from 1 to 2048, got 0"),
    ("explain {run} good --png {bad}", "bad: cannot write the picture: is a folder"),
    ("explain {run} good --png {bad}/file/x.png", "cannot write the picture: there is no folder"),
    ("explain {run} good --png /proc/x.png", "/proc/x.png: cannot write the picture: No such file or directory"),
    ("explain {run} good --page {bad}", "bad: cannot write the page: is a folder"),
    ("explain {run} good --page {bad}/no/x.html", "cannot write the page: there is no folder"),
    ("map {encoder}", "an encoder has no rows of its own; give labeled text with --data"),
    ("map nowhere --data {data}", "the catalog has no encoder 'nowhere'"),
    ("map all-minilm --data {data}", "did you mean all-MiniLM-L6-v2, all-MiniLM-L12-v2?"),
    ("map {bad}/file --data {data}", "is neither a folder nor an archive"),
    ("map {export} --data {data}", "has no vocabulary"),
    ("map grpc://localhost:1/x --data {data}", "'grpc://localhost:1/x' cannot be fetched"),
    ("map {bad}/incomplete", "training is not complete (weights is missing)"),
    ("map {bad}/regression", "has a regression head; a map needs one label for each row"),
    ("map {bad}/multilabel", "has a multilabel head; a map needs one label for each row"),
    ("map {run} --test {test}", "--test needs --data"),
    (
        "map {run} --sequence-length 33",
        "the sequence length for the encoder of tiny is 33, the encoder takes at most 32 tokens",
    ),
    ("map {encoder} --data nowhere.tsv", "nowhere.tsv: cannot be read"),
    ("map {encoder} --data {data} --label class", "has no column 'class'"),
    ("map {encoder} --data {bad}/one_label.tsv", "train holds 1 label(s): 'x'"),
    ("map {encoder} --data {data} --test {bad}/unknown.tsv", "validation has labels that train lacks: 'other'"),
    ("map {encoder} --data {data} --out {bad}", "bad: cannot write the page: is a folder"),
    ("map {encoder} --data {data} --out {bad}/no/p.html", "cannot write the page: there is no folder"),
    ("map {encoder} --data {data} --out /proc/p.html", "cannot write the page"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_clear_line_and_leaves_nothing_behind(line, message, places, bert_serving, tmp_path):
    before = set(tmp_path.rglob("*"))
    ended = bert_serving(*(part.format(**places) for part in line.split()))
    assert ended.status == 2, ended
    assert len(ended.err.splitlines()) == 1, ended.err
    assert ended.err.startswith("error: ")
    assert message in ended.err
    assert set(tmp_path.rglob("*")) == before
