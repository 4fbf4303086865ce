"""The audit of operations, on graphs that hold one kind each."""

import pytest
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from bert_serving.errors import ExportError
from bert_serving.saved_model.operations import audit_operations
from bert_serving.saved_model.verify import check_operations

VOCABULARY = ["[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly"]


def case_fold(text):
    return tensorflow_text.case_fold_utf8(text)


def source_offsets(text):
    normalized, offsets = tensorflow_text.normalize_utf8_with_offsets_map(text, "NFKC")
    starts = tf.expand_dims(tf.zeros_like(normalized, tf.int64), 1)
    return tensorflow_text.find_source_offsets(offsets, starts)


def fast_wordpiece(text):
    return tensorflow_text.FastWordpieceTokenizer(VOCABULARY, token_out_type=tf.int32).tokenize(text).to_tensor()


def fast_bert_normalize(text):
    return tensorflow_text.FastBertNormalizer(lower_case_nfd_strip_accents=True).normalize(text)


def byte_split(text):
    return tensorflow_text.ByteSplitter().split(text).to_tensor()


def round_robin(text):
    segments = [tf.strings.split(text), tf.strings.split(text)]
    return tensorflow_text.RoundRobinTrimmer(4).trim(segments)[0].to_tensor()


def plain(text):
    return tf.strings.length(text)


def py_function(text):
    return tf.numpy_function(lambda value: value, [text], tf.string)


def read_file(text):
    return tf.map_fn(tf.io.read_file, text)


def write_file(text):
    with tf.control_dependencies([tf.io.write_file("/tmp/never", text[0])]):
        return tf.identity(text)


def branch(text):
    """Its operation stands in a function that a function of the library calls."""
    return tf.cond(tf.size(text) > 3, lambda: fast_bert_normalize(text), lambda: text)


def save(call, folder):
    module = tf.Module()
    module.call = tf.function(call, input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call.get_concrete_function()})
    return folder


@pytest.mark.parametrize(
    ("call", "operation", "oldest"),
    [
        (plain, "StringLength", "2.2"),
        (case_fold, "CaseFoldUTF8", "2.2"),
        (source_offsets, "NormalizeUTF8WithOffsetsMap", "2.5"),
        (fast_wordpiece, "FastWordpieceTokenizeWithOffsets", "2.10"),
        (fast_bert_normalize, "FastBertNormalize", "2.12"),
        (byte_split, "TFText>ByteSplitWithOffsets", "2.12"),
        (round_robin, "TFText>RoundRobinTrim", "2.20"),
        (branch, "FastBertNormalize", "2.12"),
    ],
)
def test_the_oldest_server_that_has_all_operations_is_found(call, operation, oldest, tmp_path):
    audit = audit_operations(save(call, tmp_path / "model"))
    assert operation in audit.operations
    assert (audit.oldest_tf_serving, audit.missing, audit.unsafe) == (oldest, (), ())
    assert list(audit.operations) == sorted(set(audit.operations))


@pytest.mark.parametrize(
    ("call", "minimum", "newer"),
    [
        (round_robin, "2.19", ["TFText>RoundRobinTrim"]),
        (round_robin, "2.20", []),
        (round_robin, "2.9", ["TFText>RoundRobinTrim"]),
        (fast_bert_normalize, "2.12", []),
        (fast_bert_normalize, "2.11", ["FastBertNormalize"]),
        (fast_wordpiece, "2.9", ["FastWordpieceTokenizeWithOffsets"]),
        (plain, "2.2", []),
    ],
)
def test_operations_newer_than_the_floor_are_refused_by_name(call, minimum, newer, tmp_path):
    folder = save(call, tmp_path / "model")
    assert audit_operations(folder).needs_newer_than(minimum) == newer
    problems = check_operations(folder, minimum)
    assert len(problems) == bool(newer)
    for problem in problems:
        assert newer[0] in problem
        assert f"the floor is {minimum}" in problem


@pytest.mark.parametrize(
    ("call", "operation"), [(py_function, "PyFunc"), (read_file, "ReadFile"), (write_file, "WriteFile")]
)
def test_operations_that_touch_files_or_run_code_are_refused(call, operation, tmp_path):
    folder = save(call, tmp_path / "model")
    assert audit_operations(folder).unsafe == (operation,)
    (problem,) = check_operations(folder, "2.20")
    assert operation in problem


def test_an_operation_that_no_server_has_is_refused(tmp_path):
    folder = save(branch, tmp_path / "model")
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op == "FastBertNormalize":
                node.op = "Addons>Sparkle"
    path.write_bytes(model.SerializeToString())
    audit = audit_operations(folder)
    assert audit.missing == ("Addons>Sparkle",)
    assert audit.oldest_tf_serving is None
    assert check_operations(folder, "2.12") == ["no stock TensorFlow Serving has the operations Addons>Sparkle"]


def test_our_own_export_needs_nothing_newer_than_the_default_floor(exported):
    audit = audit_operations(exported)
    assert audit.needs_newer_than("2.12") == []
    assert audit.missing == audit.unsafe == ()
    assert "WordpieceTokenizeWithOffsets" in audit.operations


@pytest.mark.parametrize("content", [None, b"", b"no protobuf at all", b"\xff" * 64])
def test_a_folder_without_a_readable_graph_is_one_clear_line(content, tmp_path):
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ExportError) as caught:
        audit_operations(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "saved_model.pb" in str(caught.value)
    assert "\n" not in str(caught.value)
