"""The user's own normalization: found, refused, carried into the SavedModel when it is TensorFlow's."""

import numpy as np
import pytest
import tensorflow as tf
from support.tiny import write_run_file

from bert_serving.config import load_run_file
from bert_serving.encoders.token_cache import cached_token_rows
from bert_serving.errors import ExportError, RunFileError
from bert_serving.io.cache import folder_sha256
from bert_serving.observer import Observer
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.text.normalization import find_normalization, is_normalized, write_normalized, write_prefixed
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train

MODULE = """
import re
import tensorflow as tf

table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], ["b"]), "")
number = 3


def without_tags(texts):
    return tf.strings.regex_replace(texts, "<[^>]*>", " ")


def python_without_tags(text):
    return re.sub("<[^>]*>", " ", text)


def neither(text):
    return text.absent()


def lengths(texts):
    return tf.strings.length(texts)


def python_length(text):
    return len(text.strip())


def joined(texts):
    return tf.strings.reduce_join(texts, keepdims=True)


def turned(texts):
    return tf.reverse(texts, [0])


def looked_up(texts):
    return table.lookup(texts)


def called_back(texts):
    return tf.ensure_shape(tf.py_function(lambda each: each, [texts], tf.string), [None])


def read(texts):
    return tf.strings.join([texts, tf.io.read_file("/etc/hostname")])
"""
TAGGED = ["<b>good</b> film", "the bike<br/>is not very good", "bad"]
PLAIN = [" good  film", "the bike is not very good", "bad"]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "cleaning.py"
    path.write_text(MODULE, "utf-8")
    return path


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("absent", "cannot be imported: AttributeError: module 'cleaning' has no attribute 'absent'; check the name"),
        ("number", "must be a function, got int 3"),
        ("neither", "takes neither a tensor of strings (AttributeError: "),
        ("lengths", "returns a int32 tensor for a tensor of strings; it must return strings of the same shape"),
        ("python_length", "returns int 9 for a str; it must return a str"),
        ("joined", "does not change each text independently"),
        ("turned", "does not change each text independently"),
        ("looked_up", "uses a variable or a table from outside"),
        ("called_back", "EagerPyFunc (runs Python of the process that made the graph)"),
        ("read", "ReadFile (reads files)"),
    ],
)
def test_a_function_that_cannot_normalize_is_refused(module, function, problem):
    with pytest.raises(RunFileError) as raised:
        find_normalization(f"{module}:{function}")
    assert problem in str(raised.value)
    assert str(raised.value).startswith(f"encoder.normalizer: {module}:{function} ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "problem"), [("absent_module:f", "ModuleNotFoundError"), ("no.py:f", "FileNotFound")])
def test_a_module_that_is_not_there_is_told(name, problem):
    with pytest.raises(RunFileError, match=problem):
        find_normalization(name)


def test_functions_of_modules_and_files_are_found_and_told_apart(module, monkeypatch):
    monkeypatch.syspath_prepend(module.parent)
    assert find_normalization("cleaning:without_tags").in_graph
    assert find_normalization(f"{module}:without_tags").in_graph
    assert not find_normalization(f"{module}:python_without_tags").in_graph


@pytest.mark.slow
def test_a_preprocessing_normalizes_first_and_its_word_pieces_are_cached(module, encoder_folder, tmp_path, monkeypatch):
    inner = load_preprocessing(encoder_folder / "preprocessing")
    found = find_normalization(f"{module}:without_tags")
    for name in ("one", "two"):
        write_normalized(inner.folder, found, tmp_path / name, sha256=folder_sha256(inner.folder))
    assert is_normalized(tmp_path / "one", found.name)
    assert not is_normalized(tmp_path / "one", "another:function")
    one, two = (load_preprocessing(tmp_path / name) for name in ("one", "two"))
    for mine, theirs in zip(one.token_rows(TAGGED, None, 16), inner.token_rows(PLAIN, None, 16), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert one.special == inner.special
    packed = one.model(tf.constant(TAGGED))
    np.testing.assert_array_equal(packed["input_word_ids"], inner.model(tf.constant(PLAIN))["input_word_ids"])
    first = cached_token_rows(one, TAGGED, None, 16)
    monkeypatch.setattr(type(one), "token_rows", None)
    np.testing.assert_array_equal(cached_token_rows(two, TAGGED, None, 16)[0], first[0])
    with pytest.raises(TypeError):
        cached_token_rows(inner, TAGGED, None, 16)


@pytest.mark.parametrize("name", ["without_tags", ":without_tags", "cleaning.py:"])
def test_a_name_without_module_or_function_is_told(encoder_folder, rows, tmp_path, name):
    path = write_run_file(tmp_path, encoder_folder, rows)
    with pytest.raises(RunFileError, match=r"expected module:function or file\.py:function, got"):
        load_run_file(path, [f"encoder.normalizer={name}"])


@pytest.mark.slow
def test_a_run_in_python_normalizes_and_is_not_exported(module, encoder_folder, rows, tmp_path):
    (tmp_path / "cleaning.py").write_bytes(module.read_bytes())
    tagged = [(f"<i>{text}</i>", label) for text, label in rows]
    path = write_run_file(tmp_path, encoder_folder, tagged, epochs=1)
    settings = ["encoder.normalizer=cleaning.py:python_without_tags", "encoder.cache_tokens=true"]
    trained = train(load_run_file(path, settings), tmp_path / "run")
    answers = trained.classifier.predict(TAGGED)
    np.testing.assert_allclose(trained.classifier.predict(PLAIN), answers, atol=1e-6)
    with pytest.raises(
        ExportError, match=r"encoder\.normalizer is a function in Python, which a SavedModel cannot hold"
    ):
        export_run(trained.run, ExportOptions(tmp_path / "models", "python"), observer=Observer())
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
@pytest.mark.parametrize("graph", ["ragged", "trimmed"])
def test_an_export_carries_the_normalization(module, encoder_folder, rows, tmp_path, bert_serving, graph):
    own = tmp_path / "cleaning.py"
    own.write_bytes(module.read_bytes())
    path = write_run_file(tmp_path, encoder_folder, rows, epochs=1)
    settings = ["encoder.normalizer=cleaning.py:without_tags", "encoder.cache_tokens=true"]
    trained = train(load_run_file(path, settings), tmp_path / "run")
    own.unlink()
    ended = bert_serving("export", trained.run.path, "--to", "models", "--name", "own", "--graph", graph)
    assert (ended.status, ended.err) == (0, "")
    model, loaded = ExportedModel(tmp_path / "models" / "own" / "1"), load_classifier(trained.run)
    np.testing.assert_allclose(model.predict(TAGGED), loaded.predict(TAGGED), atol=1e-5)
    np.testing.assert_allclose(model.predict(TAGGED), model.predict(PLAIN), atol=1e-6)


def test_a_prefix_stands_before_every_text_and_after_the_normalizer(encoder_folder, tmp_path):
    write_prefixed(encoder_folder / "preprocessing", "very bad ", tmp_path / "prefixed")
    found = load_preprocessing(tmp_path / "prefixed")
    plain = load_preprocessing(encoder_folder / "preprocessing")
    texts = ["good film", ""]
    expected = plain.segment(tf.constant([f"very bad {text}" for text in texts]))
    assert found.segment(tf.constant(texts)).to_list() == expected.to_list()
    assert (found.special, found.vocabulary) == (plain.special, plain.vocabulary)
