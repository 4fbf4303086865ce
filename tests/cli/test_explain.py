"""`bert-serving explain`: what it answers and writes."""

import json
import re
import shutil

import pytest
from matplotlib.image import imread
from support.other_encoders import write_bag_of_words

from bert_serving.cli.analysis.explain import _style
from bert_serving.contract import Head
from bert_serving.explanation.integrated_gradients import explain
from bert_serving.plots.results import draw_explanation

TEXT = "The good-looking BIKE is not bad"


def json_of(ended) -> dict:
    assert (ended.status, ended.err) == (0, "")
    return json.loads(ended.out)


def test_probabilities_and_words_are_shown(trained, bert_serving):
    ended = bert_serving("explain", trained.run.path, TEXT)
    assert (ended.status, ended.err) == (0, "")
    found = explain(trained.classifier, TEXT)
    assert f"Attributions to the label {found.label}" in ended.out
    assert f"  {TEXT}\n" in ended.out  # the words as they stand
    bars = dict(re.findall(r"^(blame|praise) +│ +([\d.]+) │ [█▏]+", ended.out, re.MULTILINE))
    assert bars == {label: f"{value:.3f}" for label, value in zip(found.labels, found.probabilities, strict=True)}
    strongest = found.ranking[0]
    assert re.search(rf"^{strongest.text} +│ +\{strongest.attribution:+.3f} *$", ended.out, re.MULTILINE)
    assert f"logit of {found.label}: {found.baseline_logit:.3f} with the words masked" in ended.out
    assert "note:" not in ended.out


def test_json_holds_everything_and_nothing_else_is_printed(trained, bert_serving, tmp_path):
    answer = json_of(
        bert_serving(
            "explain", trained.run.path, TEXT, "--label", "blame", "--png", "x.png", "--page", "x.html", "--json"
        )
    )
    found = explain(trained.classifier, TEXT, label="blame")
    assert answer["label"] == "blame"
    assert [word["word"] for word in answer["words"]] == [word.text for word in found.words]
    assert [word["attribution"] for word in answer["words"]] == pytest.approx(
        [word.attribution for word in found.words], abs=1e-5
    )
    assert answer["probabilities"] == pytest.approx(dict(zip(found.labels, found.probabilities, strict=True)))
    assert sum(word["attribution"] for word in answer["words"]) == pytest.approx(answer["sum"])
    assert abs(answer["sum"] - (answer["logit"] - answer["masked_logit"])) <= 0.02 * abs(
        answer["logit"] - answer["masked_logit"]
    )
    assert (answer["complete"], answer["cut_at"], answer["pair"]) == (True, None, None)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")) == ["x.html", "x.png"]


def test_the_picture_and_the_page_show_the_words(trained, bert_serving, tmp_path):
    text = 'good <b>film</b> "bad" $1 好'
    ended = bert_serving("explain", trained.run.path, text, "--label", "praise", "--png", "x.png", "--page", "x.html")
    assert (ended.status, ended.err) == (0, "")
    assert "picture: x.png" in ended.out
    height, width, _ = imread(tmp_path / "x.png").shape
    assert 500 < width < 900
    assert height > 400
    page = (tmp_path / "x.html").read_text("utf-8")
    assert "Explanation of the label praise" in page
    assert "<b>" not in page
    assert re.search(r'class="piece for" style="--weight:1.000"[^>]*>good<', page)
    assert "Integrated gradients" in page


def test_a_text_that_was_cut_says_so(trained, bert_serving):
    ended = bert_serving("explain", trained.run.path, "good film " * 10, "--page", "x.html")
    assert "note: the text was truncated at 16 tokens; the last 6 words had no influence" in ended.out


def test_a_text_that_starts_with_a_dash_follows_two_dashes(trained, bert_serving):
    assert json_of(bert_serving("explain", trained.run.path, "--json", "--", "-good film"))["words"][0]["word"] == "-"


@pytest.mark.parametrize("head", [Head.REGRESSION, Head.MULTILABEL, Head.BINARY])
def test_pictures_and_pages_fit_every_head(head, trained, tmp_path):
    import dataclasses

    from bert_serving.explanation.page import explain_page

    labels = {Head.REGRESSION: ("value",), Head.BINARY: ("blame", "praise")}.get(head, ("x", "blame", "praise"))
    found = explain(trained.classifier, TEXT)
    found = dataclasses.replace(
        found, head=head, labels=labels, label=labels[0], probabilities=found.probabilities[:1].repeat(len(labels))
    )
    draw_explanation(found, tmp_path / "x.png")
    assert imread(tmp_path / "x.png").size > 0
    page = explain_page(found, "tiny").render()
    assert ("Probabilities" in page) == (head is not Head.REGRESSION)
    assert ("several labels may apply" in page) == (head is Head.MULTILABEL)


@pytest.mark.parametrize(
    ("weight", "style"),
    [
        (1, "black on rgb(86,180,233)"),
        (-1, "black on rgb(230,159,0) underline"),
        (0.5, "black on rgb(170,218,244)"),
        (0.01, ""),
        (None, "dim strike"),
    ],
)
def test_colors_tell_direction_and_strength(weight, style):
    assert _style(weight) == style


@pytest.fixture
def useless(trained, tmp_path):
    """A run whose scores say that it always answers "praise"."""
    run = shutil.copytree(trained.run.path, tmp_path / "useless")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["test"] |= {"rows": 10, "confusion_matrix": [[0, 5], [0, 5]]}
    (run / "metrics.json").write_text(json.dumps(metrics))
    return run


@pytest.mark.slow
def test_a_model_that_is_no_better_than_chance_is_told_first(useless, bert_serving, tmp_path):
    said = "The model is no better than chance on its test rows: accuracy 0.500"
    ended = bert_serving("explain", useless, TEXT, "--page", "page.html")
    assert (ended.status, ended.err) == (0, "")
    assert 0 < ended.out.index(said) < ended.out.index("Probabilities")
    assert said in (tmp_path / "page.html").read_text("utf-8")
    assert json_of(bert_serving("explain", useless, TEXT, "--json"))["warning"].startswith(said)


def test_damaged_scores_are_one_clear_line(useless, bert_serving):
    (useless / "metrics.json").write_text('{"test": {}}')
    ended = bert_serving("explain", useless, TEXT)
    assert (ended.status, ended.err) == (2, f"error: {useless}: damaged: metrics.json: KeyError('rows'); train again\n")


# === Mistakes ===


def test_an_empty_text_has_nothing_to_explain(trained, bert_serving):
    ended = bert_serving("explain", trained.run.path, "")
    assert (ended.status, ended.err) == (
        2,
        "error: the text '' has no words to explain; give one with letters or signs\n",
    )


@pytest.mark.slow
def test_a_run_whose_encoder_stayed_a_tf_hub_module_is_refused(run_file, encoder_folder, bert_serving, tmp_path):
    write_bag_of_words(tmp_path / "encoder")
    sets = (
        f"encoder.path={tmp_path}/encoder",
        f"encoder.preprocessing={encoder_folder}/preprocessing",
        "training.epochs=1",
    )
    trained = bert_serving("train", run_file, *(part for each in sets for part in ("--set", each)), "--out", "run")
    assert trained.status == 0, trained
    ended = bert_serving("explain", "run", "good film")
    assert ended.status == 2
    assert "is a TF Hub module without access to its embeddings" in ended.err
