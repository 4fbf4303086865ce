"""Verification: what it lets pass, and what each damage is called."""

import json
import shutil

import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the operations of the graph
from support.tiny import POSITIONS
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from bert_serving import contract
from bert_serving.contract import GOLDEN_FILE
from bert_serving.errors import BertServingError, VerificationError
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.verification import verify as verify_module
from bert_serving.saved_model.verification.verify import verify, verify_in_fresh_process


@pytest.fixture
def copy(exported, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(exported, tmp_path / "1")


def problems_of(folder, **options):
    """The lines of a failed verification, however it fails."""
    try:
        result = verify(folder, **options)
    except BertServingError as error:
        return [str(error)]
    assert result.passed == (not result.problems)
    return list(result.problems)


def test_an_export_passed_in_a_fresh_process_before_it_was_published(exported):
    verdict = load_manifest(exported).verification
    assert (verdict.passed, verdict.problems, verdict.golden_texts) == (True, (), 12)
    assert 0 <= verdict.max_probability_difference <= 2e-6


def test_the_fresh_process_has_nothing_of_this_one_but_the_folder(exported, tmp_path, monkeypatch):
    """A stand-in for Python writes down how it was called; the real one runs in `exported` and in test_cli.py."""
    program = tmp_path / "python"
    verdict = json.dumps({"passed": True, "golden_texts": 3})
    program.write_text(
        f'#!/bin/sh\necho chatter; echo "$@ $TF_CPP_MIN_LOG_LEVEL $CUDA_VISIBLE_DEVICES" > {tmp_path}/call\n'
    )
    program.write_text(program.read_text() + f"echo '{verdict}'\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    assert verify_in_fresh_process(exported, minimum_tf_serving="2.12").golden_texts == 3
    assert (
        tmp_path / "call"
    ).read_text() == f"-m bert_serving.saved_model.verification.verify {exported} --minimum 2.12 3 -1\n"


def rewrite_json(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def change_golden(name, amount):
    def change(folder):
        rewrite_json(folder / GOLDEN_FILE, lambda golden: golden[name][3].__setitem__(0, golden[name][3][0] + amount))

    return change


def damage_variables(folder):
    path = folder / "variables" / "variables.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut_variables(folder):
    path = folder / "variables" / "variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:1000])


def drop_from_table(folder):
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    del model.meta_graphs[0].signature_def["classify"]
    path.write_bytes(model.SerializeToString())


def save_without_embed(folder):
    model = tf.saved_model.load(str(folder))
    signatures = {name: function for name, function in model.signatures.items() if name != "embed"}
    other = folder.with_name("2")
    tf.saved_model.save(model, str(other), signatures=signatures)
    shutil.copy(other / "saved_model.pb", folder)
    shutil.copytree(other / "variables", folder / "variables", dirs_exist_ok=True)


def write(name, content):
    def damage(folder):
        (folder / name).write_bytes(content)

    return damage


def remove(name):
    def damage(folder):
        (folder / name).unlink()

    return damage


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (write("assets/labels.txt", b"praise\nblame\n"), "does not hold the manifest's labels"),
        pytest.param(
            write("assets/labels.txt", b"blame\npraise"),
            "does not hold the manifest's labels",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            write("assets/labels.txt", b"\xff\xfe"),
            "does not hold the manifest's labels",
            marks=pytest.mark.slow,
        ),
        (remove("assets/labels.txt"), "assets/labels.txt is missing"),
        pytest.param(remove("assets/vocab.txt"), "assets/vocab.txt is missing", marks=pytest.mark.slow),
        (write("assets/vocab.txt", b"[PAD]\n[UNK]\n"), "probabilities"),
        pytest.param(change_golden("probabilities", 1e-3), "probabilities", marks=pytest.mark.slow),
        pytest.param(change_golden("probabilities", float("nan")), "probabilities", marks=pytest.mark.slow),
        pytest.param(change_golden("logits", 1e-2), "logits", marks=pytest.mark.slow),
        pytest.param(change_golden("pooled", 1e-2), "pooled output", marks=pytest.mark.slow),
        (remove(GOLDEN_FILE), "golden.json is missing"),
        (write(GOLDEN_FILE, b"{"), "golden.json: damaged"),
        pytest.param(write(GOLDEN_FILE, b"[]"), "golden.json: damaged", marks=pytest.mark.slow),
        (damage_variables, "cannot load the SavedModel"),
        pytest.param(cut_variables, "cannot load the SavedModel", marks=pytest.mark.slow),
        pytest.param(remove("variables/variables.index"), "cannot load the SavedModel", marks=pytest.mark.slow),
        pytest.param(save_without_embed, "signature embed is missing", marks=pytest.mark.slow),
        (drop_from_table, "signature classify is missing"),
        (write("saved_model.pb", b"\xff" * 50), "saved_model.pb"),
        (remove("saved_model.pb"), "saved_model.pb is missing"),
        (remove(contract.MANIFEST_FILE), "assets.extra/bert_serving.json is missing"),
        (write(contract.MANIFEST_FILE, b"{"), "bert_serving.json: damaged manifest"),
        pytest.param(
            write(contract.MANIFEST_FILE, b"\xff\xfe"), "bert_serving.json: damaged manifest", marks=pytest.mark.slow
        ),
        (remove(contract.WARMUP_FILE), "assets.extra/tf_serving_warmup_requests is missing"),
    ],
)
def test_what_was_damaged_is_named(damage, named, copy):
    damage(copy)
    problems = problems_of(copy)
    assert problems
    assert [problem for problem in problems if named in problem], problems
    assert not [problem for problem in problems if "\n" in problem]


def test_a_manifest_of_other_labels_contradicts_the_signatures(copy):
    rewrite_json(copy / contract.MANIFEST_FILE, lambda manifest: manifest["labels"].append("third"))
    problems = "\n".join(problems_of(copy))
    for named in ("assets/labels.txt", "signature serving_default returns", "signature classify returns"):
        assert named in problems


def test_an_export_refuses_more_tokens_than_its_manifest_says(copy):
    assert load_manifest(copy).max_tokens == POSITIONS
    rewrite_json(copy / contract.MANIFEST_FILE, lambda manifest: manifest.update(max_tokens=POSITIONS - 1))
    assert problems_of(copy) == ["signature tokens answers a row of 32 tokens instead of refusing it; export again"]


def test_the_floor_of_the_manifest_counts_unless_another_is_asked_for(copy):
    rewrite_json(copy / contract.MANIFEST_FILE, lambda manifest: manifest.update(minimum_tf_serving="2.1"))
    (problem,) = problems_of(copy)
    assert "the floor is 2.1" in problem
    assert problems_of(copy, minimum_tf_serving="2.10") == []


def test_the_verdict_is_one_line_of_json_and_an_exit_status_and_nothing_is_changed(copy, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["verify", str(copy), "--minimum", "2.12"])
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert verify_module._main() == 0
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["passed"], verdict["problems"]) == (True, [])
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    damage_variables(copy)
    assert verify_module._main() == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["passed"] is False
    assert "cannot load the SavedModel" in verdict["problems"][0]


@pytest.mark.parametrize("script", ["exit 9", "echo no verdict", "echo '{\"passed\": 3'; exit 1"])
def test_a_verifying_process_that_gives_no_verdict_has_failed(script, copy, tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho the last words >&2\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with pytest.raises(VerificationError, match=r"the verifying process ended with status \d: the last words"):
        verify_in_fresh_process(copy)
