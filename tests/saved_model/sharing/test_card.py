"""The card of a model, read as a hub, a Markdown reader and a terminal read it."""

import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from bert_serving import contract
from bert_serving.classifier import ClassifierOptions, build_classifier
from bert_serving.contract import Head
from bert_serving.data.table import table_sha256
from bert_serving.encoders.catalog.catalog import CATALOG, licensing_of_entry
from bert_serving.errors import RunFolderError
from bert_serving.evaluation.intervals import score_intervals
from bert_serving.evaluation.predictions import Predictions
from bert_serving.metrics import measure
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.observer import Observer
from bert_serving.saved_model import writer
from bert_serving.saved_model.manifest import EncoderOrigin, load_manifest
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.sharing.calling import GRPC_ADDRESS, REST_ADDRESS
from bert_serving.saved_model.sharing.card import classifier_card, encoder_card
from bert_serving.saved_model.sharing.provenance import provenance_of
from bert_serving.saved_model.verification.verify import verify
from bert_serving.saved_model.writer import write_export
from bert_serving.training.run_folder import RunFolder

AWKWARD = (
    "a|b",
    "`tick`",
    "``",
    " ",
    "*bold* _it_",
    "<script>x</script>",
    "[link](x)",
    "order_status",
    "back\\slash",
    "\\|",
    " both ends ",
    "漢字 😀",
)
READ = "the text to read"


@pytest.fixture(scope="module")
def manifest(exported):
    return load_manifest(exported)


@pytest.fixture(scope="module")
def provenance(trained):
    return provenance_of(trained.run)


def tables(card):
    """Each table of the card as lists of cells, as a reader shows them."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2]):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level >= 4:
            found[-1][-1].append("".join(child.content for child in token.children))
    return found


def table_after(card, heading):
    """The first table after a heading, without its own first row."""
    return tables("---\n---\n" + card.split(heading, 1)[1])[0][1:]


def facts(card):
    return dict(table_after(card, "\n# "))


# === Where it is ===


def test_every_export_carries_its_card(exported, manifest, provenance):
    card = (exported / contract.CARD_FILE).read_text("utf-8")
    assert card == classifier_card(manifest, provenance)
    headings = re.findall(r"^#+ .*", card, re.MULTILINE)
    assert headings == [
        "# tiny", "## How to call it", "### REST", "### gRPC", "### Python", "## Scores", "### Scores per label", "### Scores by slice",
        "## Data", "## Limits",
    ]  # fmt: skip


# === What it says ===


def test_a_hub_reads_the_scores_license_and_language_from_the_metadata(manifest, provenance, trained):
    entry = CATALOG["all-MiniLM-L6-v2"]
    origin = EncoderOrigin(name=entry.name, sha256="0" * 64, **dataclasses.asdict(licensing_of_entry(entry)))
    card = ModelCard(classifier_card(manifest.model_copy(update={"encoder": origin}), provenance))
    assert (card.data.license, card.data.language) == ("apache-2.0", ["en"])
    assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert card.data.pipeline_tag == "text-classification"
    scores = {result.metric_type: result.metric_value for result in card.data.eval_results}
    measured = trained.metrics["test"]
    assert scores == pytest.approx({"accuracy": measured["accuracy"], "f1": measured["macro_f1"]}, abs=5e-5)
    assert {result.dataset_split for result in card.data.eval_results} == {"test"}
    # What is not known is left out.
    unknown = ModelCard(classifier_card(manifest, provenance)).data.to_dict()
    assert not {"license", "language", "base_model"} & unknown.keys()


def test_the_facts_are_those_of_manifest_and_run(exported, manifest, provenance, trained):
    card = classifier_card(manifest, provenance)
    found = facts(card)
    assert found["labels"] == "blame, praise"
    assert manifest.encoder.sha256 in found["encoder"]
    assert found["input"] == "a text, truncated to 16 tokens (word pieces)"
    assert found["needs"] == f"TensorFlow Serving {manifest.oldest_tf_serving} or later"
    assert "12 edge cases" in found["verified"]
    assert found["training"].startswith(
        "4 epochs of 40 rows, batch size 4, best epoch by accuracy on validation data; seed"
    )
    for split, rows, sha256 in table_after(card, "## Data"):
        table = trained.splits.named()[split]
        assert (rows, sha256) == (f"{len(table):,}", table_sha256(table))


def test_scores_stand_beside_those_of_the_baselines_with_intervals(manifest, provenance, trained):
    rows = {row[0]: row[1:] for row in table_after(classifier_card(manifest, provenance), "## Scores")}
    measured, baselines = trained.metrics["test"], trained.metrics["baselines"]
    simple = [baselines[name]["accuracy"] for name in ("tfidf_logistic_regression", "majority")]
    assert measured["accuracy"] == 1
    # Wilson's interval of n out of n begins at n / (n + z²).
    assert rows["accuracy"] == [
        "1.000",
        f"{10 / (10 + 1.959964**2):.3f} to 1.000",
        *(f"{value:.3f}" for value in simple),
    ]
    assert rows["macro F1"][1] == ""
    loss = trained.metrics["intervals"]["scores"]["log_loss"]
    assert rows["log loss (nats)"][:2] == [f"{measured['log_loss']:.3f}", f"{loss['low']:.3f} to {loss['high']:.3f}"]


def test_each_label_and_each_part_of_the_rows_has_its_scores(manifest, provenance):
    wrong = measured_as(
        provenance, Head.SOFTMAX, ("blame", "praise"), [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]
    )
    card = classifier_card(manifest, wrong)
    rows = {row[0]: row[1:] for row in table_after(card, "### Scores per label")}
    assert rows["blame"][0] == f"1.000 ({3 / (3 + 1.959964**2):.3f} to 1.000)"
    assert rows["blame"][1].startswith("0.750 (0.301 to 0.954)")  # Wilson's, of 3 of 4
    assert rows["blame"][3] == "4"
    assert "- `blame` predicted as `praise`: 1 row, 25.0% of the label" in card
    part = {
        "group": "words",
        "name": "1 to 4",
        "rows": 30,
        "score": {"value": 0.5, "low": 0.3, "high": 0.7},
        "short": True,
    }
    parts = [
        part,
        part | {"group": "column shop", "name": "b_k|x", "short": False},
        part | {"group": "label", "name": "blame"},
    ]
    sliced = dataclasses.replace(provenance, metrics=provenance.metrics | {"slices": parts})
    assert table_after(classifier_card(manifest, sliced), "### Scores by slice") == [
        ["length in words", "1 to 4", "30", "0.500 (0.300 to 0.700)", "worse than the rest"],
        ["column shop", "b_k|x", "30", "0.500 (0.300 to 0.700)", ""],
    ]


def measured_as(provenance, head, labels, y_true, predicted):
    """The provenance of a run with such answers on its test data."""
    y_true = np.asarray(y_true)
    values = (
        np.eye(len(labels))[predicted] * 0.8 + 0.1
        if head in (Head.SOFTMAX, Head.BINARY)
        else np.asarray(predicted, float)
    )
    metrics = {"test": measure(head, labels, y_true, values)}
    config = provenance.config.model_copy(update={"head": provenance.config.head.model_copy(update={"kind": head})})
    return dataclasses.replace(provenance, config=config, labels=tuple(labels), metrics=metrics)


@pytest.mark.parametrize(
    ("head", "labels", "y_true", "predicted", "task", "score"),
    [
        (
            Head.SOFTMAX, ("a", "b", "c"), [0, 1, 2], [0, 1, 1],
            "Classification: assigns a text one of 3 labels, with the probability of each.", "accuracy",
        ),
        (Head.BINARY, ("no", "yes"), [0, 1], [0, 1], "Classification: assigns a text one of 2 labels", "accuracy"),
        (
            Head.MULTILABEL, ("a", "b"), [[0, 1], [1, 1]], [[0.2, 0.7], [0.9, 0.4]],
            "Multilabel classification: assigns a text any of 2 labels", "micro F1",
        ),
        (
            Head.REGRESSION, (), [0.5, 2.0, 3.0], [[0.6], [1.5], [3.5]],
            "Regression: predicts a number for a text.", "Spearman's correlation",
        ),
    ],
)  # fmt: skip
def test_the_card_of_every_head_says_what_it_does_and_how_well(
    head, labels, y_true, predicted, task, score, manifest, provenance
):
    own = manifest.model_copy(update={"head": head, "labels": labels})
    card = classifier_card(own, measured_as(provenance, head, labels, y_true, predicted))
    assert task in card
    assert score in [row[0] for row in table_after(card, "## Scores")]
    assert ("### Scores per label" in card) == bool(labels)
    assert ("every text gets one of the labels" in card) == (head in (Head.SOFTMAX, Head.BINARY))
    assert ModelCard(card).data.eval_results


def test_a_card_of_a_calibrated_model_tells_its_temperature(manifest, provenance):
    fit = {"temperature": 1.5, "rows": 10, "calibration_error_before": 0.2, "calibration_error_after": 0.05}
    card = classifier_card(
        manifest.model_copy(update={"temperature": 1.5, "exponent": 1.2}),
        dataclasses.replace(provenance, calibration=fit),
    )
    assert facts(card)["calibration"].startswith(
        "temperature 1.500, exponent 1.200, fitted on 10 validation rows: the expected calibration error there changes from 0.200 to 0.050"
    )
    assert "calibration" not in facts(classifier_card(manifest, provenance))


def test_limits_are_those_that_the_audit_saw(manifest, provenance):
    limits = classifier_card(manifest, provenance).split("## Limits")[1]
    assert provenance.audit.warnings
    for warning in provenance.audit.warnings:
        assert f"\n- {warning}\n" in limits
    train = dataclasses.replace(provenance.audit.splits["train"], rows_per_class={"blame": 8, "praise": 32})
    uneven = dataclasses.replace(provenance.audit, splits=provenance.audit.splits | {"train": train}, warnings=[])
    limits = classifier_card(manifest, dataclasses.replace(provenance, audit=uneven)).split("## Limits")[1]
    assert "- in train `praise` (32 rows) is 4.0 times as frequent as `blame` (8)" in limits
    assert "the audit of the data found no duplicates in train" in limits


def test_scores_on_validation_data_are_called_so(manifest, provenance):
    metrics = {name: value for name, value in provenance.metrics.items() if name != "test"}
    card = classifier_card(manifest, dataclasses.replace(provenance, metrics=metrics))
    assert "rows of the validation data, which selected the best epoch" in card
    assert ModelCard(card).data.eval_results[0].dataset_split == "validation"


def test_a_run_of_before_there_were_intervals_gets_a_card_without_them(manifest, provenance):
    metrics = {name: value for name, value in provenance.metrics.items() if name not in ("intervals", "slices")}
    card = classifier_card(manifest, dataclasses.replace(provenance, metrics=metrics))
    assert "### Scores by slice" not in card
    assert table_after(card, "## Scores")[3][2] == ""


def test_labels_of_any_kind_are_shown_as_they_are(manifest, provenance):
    rows = list(range(len(AWKWARD)))
    awkward = measured_as(provenance, Head.SOFTMAX, AWKWARD, rows, rows[1:] + rows[:1])
    train = dataclasses.replace(provenance.audit.splits["train"], rows_per_class=dict.fromkeys(AWKWARD, 3))
    audit = dataclasses.replace(
        provenance.audit, splits={"train": train}, warnings=[f"label {name!r}" for name in AWKWARD]
    )
    card = classifier_card(manifest.model_copy(update={"labels": AWKWARD}), dataclasses.replace(awkward, audit=audit))
    assert [row[0] for row in table_after(card, "### Scores per label")] == list(AWKWARD)
    audited = [row[0] for row in table_after(card, "Results of the data audit")]
    assert audited[: 2 + len(AWKWARD)] == ["rows", "left out", *(f"label {name}".strip() for name in AWKWARD)]
    html = MarkdownIt("commonmark").enable("table").render(card.split("---\n", 2)[2])
    assert "<script>" not in html
    assert "<a " not in html.replace('<a href="http', "")
    assert "<em>" not in html
    assert "<strong>" not in html


def test_many_labels_are_listed_in_part(manifest, provenance):
    labels = tuple(f"label {number}" for number in range(150))
    many = measured_as(provenance, Head.SOFTMAX, labels, list(range(150)), list(range(150)))
    found = facts(classifier_card(manifest.model_copy(update={"labels": labels}), many))
    assert found["labels"].endswith("label 99 and 50 more (assets/labels.txt)")


def test_intervals_and_slices_of_a_run_are_those_of_its_test_rows(trained):
    table = trained.splits.test
    predictions = Predictions(Head.SOFTMAX, ("blame", "praise"), table, trained.classifier.predict(table.texts, None))
    expected = json.loads(json.dumps(dataclasses.asdict(score_intervals(predictions))))
    found = trained.run.read_json("metrics.json")["intervals"]
    assert found.keys() == expected.keys()
    for name, interval in expected["scores"].items():
        assert found["scores"][name] == pytest.approx(interval, abs=1e-5)
    slices = trained.run.read_json("metrics.json")["slices"]
    assert sum(each["rows"] for each in slices if each["group"] == "words") == len(table)


# === Calling ===


def blocks(card, language):
    return re.findall(rf"```{language}\n(.*?)\n```", card, re.DOTALL)


def run_python(code, capsys):
    capsys.readouterr()
    exec(compile(code, "card", "exec"), {})
    return capsys.readouterr().out


def check_calls(card, version, expected, label, capsys):
    """Runs everything that the card tells to run, against a server of the version folder."""
    name = version.parent.name
    with ServerThread(ServerOptions(models=[ModelConfig(name, version.parent)])) as server:
        programs = blocks(card, "python")
        assert len(programs) == 3
        for program in programs:
            program = program.replace(GRPC_ADDRESS, server.grpc_address).replace("models/", f"{version.parents[1]}/")
            printed = run_python(program, capsys)
            assert printed.split()[0] == label
            found = [float(number) for number in re.findall(r"\d\.\d+(?:e-\d+)?", printed)]
            np.testing.assert_allclose(found, expected, atol=1e-5)
        curl = next(block for block in blocks(card, "") if block.startswith("curl"))
        if shutil.which("curl") is None:
            pytest.skip("needs curl")
        command = curl.replace(f"http://{REST_ADDRESS}", server.rest_url).replace("curl", "curl --silent --noproxy '*'")
        answer = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=60).stdout
        (row,) = json.loads(answer)["predictions"]
        assert row["label"] == label
        np.testing.assert_allclose(row["probabilities"], expected, atol=1e-5)


@pytest.mark.slow
def test_everything_that_the_card_tells_to_run_gives_the_models_answer(exported, trained, capsys):
    expected = trained.classifier.predict([READ])[0]
    label = trained.classifier.options.labels[int(expected.argmax())]
    check_calls((exported / contract.CARD_FILE).read_text("utf-8"), exported, expected, label, capsys)


@pytest.mark.slow
def test_the_card_of_a_model_of_pairs_calls_it_with_pairs(trained, provenance, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(writer, "verify_in_fresh_process", verify)
    options = ClassifierOptions(("same", "other"), sequence_length=16, pairs=True)
    classifier = build_classifier(trained.classifier.encoder, trained.classifier.preprocessing, options)
    export = ExportOptions(tmp_path, "pairs")
    version = write_export(classifier, export, provenance=provenance, observer=Observer())
    card = (version / contract.CARD_FILE).read_text("utf-8")
    assert "Classification: assigns a pair of texts one of 2 labels" in card
    expected = classifier.predict([READ], ["the text beside it"])[0]
    check_calls(card, version, expected, options.labels[int(expected.argmax())], capsys)


def test_the_card_of_an_encoder_tells_how_to_use_it(provenance, encoder_folder, monkeypatch, capsys):
    card = encoder_card(provenance)
    assert card.startswith("---\npipeline_tag: feature-extraction\n")
    assert "fine-tuned on 40 rows for classification with 2 labels" in card
    assert re.findall(r"^## .*", card, re.MULTILINE) == [
        "## How to use it", "## Scores", "## Data", "## Limits",
    ]  # fmt: skip
    monkeypatch.chdir(encoder_folder)
    (program,) = blocks(card, "python")
    assert run_python(program, capsys) == "(1, 8) (1, 16, 8)\n"


# === Runs that cannot have one ===


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("audit.json", None, "audit.json is missing; train again"),
        ("audit.json", "{", "audit.json: damaged"),
        ("audit.json", '{"sequence_length": 3}', "run: damaged: 'splits'; train again"),
        ("run.json", "{}", "run: damaged: 'encoder'; train again"),
        ("run.json", '{"encoder": {"name": "x"}}', "run: damaged: run.json: sha256: missing; train again"),
        ("metrics.json", None, "training is not complete (metrics.json is missing)"),
        ("run.toml", None, "not a run folder"),
    ],
)
def test_a_run_without_its_facts_is_refused_in_one_line(name, content, message, trained, tmp_path):
    run = shutil.copytree(trained.run.path, tmp_path / "run")
    (run / name).unlink() if content is None else (run / name).write_text(content)
    with pytest.raises(RunFolderError) as raised:
        provenance_of(RunFolder(run))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
