"""Loading a version folder and asking it."""

import shutil

import numpy as np
import pytest

from bert_serving import contract
from bert_serving.errors import ExportError, InputError
from bert_serving.io.files import glob_characters
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.verification.golden import Golden
from bert_serving.saved_model.versions import latest_version


@pytest.fixture(scope="module")
def model(exported):
    return ExportedModel(exported)


def test_a_loaded_export_knows_its_signatures_and_its_manifest(model):
    assert set(model.signatures) == set(contract.SIGNATURES)
    assert model.manifest.name == "tiny"
    assert model.manifest.labels == ("blame", "praise")
    assert model.manifest.verification.passed


def test_answers_come_in_the_order_of_the_texts(model):
    texts = [f"{word} " * count for count in (1, 9, 3) for word in ("good", "bad", "film")] * 9
    together = model.predict(texts)
    assert together.shape == (81, 2)
    assert together.dtype == np.float32
    alone = np.concatenate([model.predict([text]) for text in texts[:9]])
    np.testing.assert_allclose(together, np.tile(alone, (9, 1)), atol=2e-6)


def test_bytes_and_strings_are_the_same_text(model):
    np.testing.assert_array_equal(model.predict(["good \u6f22"]), model.predict(["good \u6f22".encode()]))


def test_no_texts_have_no_answers(model):
    assert model.predict([]).shape == (0, 2)


def test_pairs_for_a_model_of_single_texts_are_refused(model):
    with pytest.raises(InputError, match="takes text, the data has text, text_pair"):
        model.predict(["a"], ["b"])


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 99, b"no protobuf"])
def test_a_folder_that_holds_no_saved_model_is_one_clear_line(content, tmp_path):
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ExportError) as caught:
        ExportedModel(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_saved_model_of_another_origin_has_no_manifest(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "1")
    shutil.rmtree(tmp_path / "1" / "assets.extra")
    other = ExportedModel(tmp_path / "1")
    assert other.manifest is None
    assert other.predict(["good"]).shape == (1, 2)


@pytest.mark.parametrize("content", ["{", "{}", '{"format": 2}', "[]", "null"])
def test_a_damaged_manifest_is_named(content, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "1")
    (tmp_path / "1" / contract.MANIFEST_FILE).write_text(content)
    with pytest.raises(ExportError, match=r"bert_serving\.json: damaged manifest") as caught:
        ExportedModel(tmp_path / "1")
    assert "\n" not in str(caught.value)


def test_golden_texts_survive_the_way_to_the_file_and_back(exported):
    golden = Golden.load(exported)
    assert golden is not None
    assert b"broken \xff\xfe utf-8 \xe4\xb8" in golden.texts
    assert golden.pairs is None
    assert golden.probabilities.shape == (len(golden.texts), 2)
    assert golden.pooled.shape == (len(golden.texts), 8)


# === Versions ===


def versions(folder, *names):
    for name in names:
        (folder / name).mkdir()
    return folder


def test_the_highest_version_is_meant_by_number_not_by_spelling(tmp_path):
    versions(tmp_path, "2", "10", "9", ".tmp-11-x", "latest", "²", "-12", "1e3")
    (tmp_path / "99").write_text("a file")
    assert latest_version(tmp_path) == tmp_path / "10"


def test_leading_zeros_are_kept(tmp_path):
    assert latest_version(versions(tmp_path, "007")) == tmp_path / "007"


def test_a_version_folder_means_itself(exported):
    assert latest_version(exported) == exported
    assert latest_version(exported.parent) == exported


@pytest.mark.parametrize("name", ["nowhere", "empty", "file"])
def test_what_holds_no_version_is_refused(name, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match=f"{name}: neither a SavedModel nor a folder of versions"):
        latest_version(tmp_path / name)


def test_a_path_that_tensorflow_takes_for_a_pattern_is_told(tmp_path):
    assert glob_characters(tmp_path / "a-b_c.d e") == ""
    assert glob_characters(tmp_path / "a[1]*") == "*["
