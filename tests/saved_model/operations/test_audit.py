"""The audit of operations, on graphs that hold one kind each."""

import json
import re
import shutil

import pytest
import tensorflow as tf
import tensorflow_text
from google.protobuf import text_format
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from bert_serving.cli.export.inspect import inspect
from bert_serving.encoders.trust import check_harmless
from bert_serving.errors import EncoderError, ExportError
from bert_serving.saved_model.operations.audit import audit_operations
from bert_serving.saved_model.operations.versions import (
    is_known,
    needs_of,
    newest_known,
    oldest_known,
    version_key,
)
from bert_serving.saved_model.verification.verify import check_operations, verify
from bert_serving.unsafe_operations import REASONS

VOCABULARY = ["[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly"]


# === Graphs with one operation of interest each: string [B] in ===


def plain(text):
    return tf.strings.length(text)


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


def mixed_product(text):
    numbers = tf.cast(tf.strings.length(text), tf.int8)[:, tf.newaxis]
    return tf.raw_ops.BatchMatMulV3(x=numbers, y=tf.transpose(numbers), Tout=tf.int32)


def segment_maximum(text):
    return tf.raw_ops.SegmentMaxV2(data=tf.strings.length(text), segment_ids=tf.strings.length(text), num_segments=4)


def web_picture(text):
    return tf.raw_ops.DecodeWebP(contents=text[0])


def gradient_product(text):
    """An attribute, younger than its operation."""
    numbers = tf.cast(tf.strings.length(text), tf.float32)[:, tf.newaxis]
    return tf.raw_ops.MatMul(a=numbers, b=tf.transpose(numbers), grad_a=True)


def ordinary_product(text):
    """Attributes with their default values are not written, whatever their age."""
    numbers = tf.cast(tf.strings.length(text), tf.float32)[:, tf.newaxis]
    return tf.raw_ops.MatMul(a=numbers, b=tf.transpose(numbers))


def bfloat16_range(text):
    """A data type that the operation has taken for long, but for which a kernel came later."""
    return tf.cast(tf.range(tf.cast(tf.size(text), tf.bfloat16)), tf.float32)


def branch(text):
    """Its operation stands in a function that a function of the library calls."""
    return tf.cond(tf.size(text) > 3, lambda: fast_bert_normalize(text), lambda: text)


def deep(text):
    """Its operation stands in a branch of a loop's body."""

    def body(step, value):
        return step + 1, tf.cond(step > 1, lambda: round_robin(value)[:, 0], lambda: value)

    return tf.while_loop(lambda step, _: step < 3, body, (0, text), shape_invariants=(tf.TensorShape([]), text.shape))[
        1
    ]


def py_function(text):
    return tf.numpy_function(lambda value: value, [text], tf.string)


def eager_py_function(text):
    return tf.py_function(lambda value: value, [text], tf.string)


def generator(text):
    numbers = tf.data.Dataset.from_generator(lambda: iter([1]), output_signature=tf.TensorSpec([], tf.int32))
    return numbers.get_single_element() + tf.size(text)


def read_file(text):
    return tf.map_fn(tf.io.read_file, text)


def write_file(text):
    with tf.control_dependencies([tf.io.write_file("/tmp/never", text[0])]):
        return tf.identity(text)


def read_in_branch(text):
    return tf.cond(tf.size(text) > 3, lambda: tf.io.read_file(text[0]), lambda: text[0])


def read_records(text):
    return tf.data.TFRecordDataset(text[0]).get_single_element()


def print_text(text):
    with tf.control_dependencies([tf.print(text, output_stream="file:///tmp/never")]):
        return tf.identity(text)


def restore(text):
    return tf.raw_ops.RestoreV2(prefix=text[0], tensor_names=["v"], shape_and_slices=[""], dtypes=[tf.float32])[0]


def baked_vocabulary(text):
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    filled = tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename="/etc/passwd", key_index=-2, value_index=-1, delimiter="\t"
    )
    with tf.control_dependencies([filled]):
        return tf.raw_ops.LookupTableFindV2(table_handle=table, keys=text, default_value=tf.constant(0, tf.int64))


def stop_the_server(text):
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="", exit_without_error=True)]):
        return tf.identity(text)


def save(call, folder):
    module = tf.Module()
    module.call = tf.function(call, input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call.get_concrete_function()})
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saves each graph once. Tests must not change what they get."""
    folders = {}

    def folder_of(call):
        if call not in folders:
            folders[call] = save(call, tmp_path_factory.mktemp(call.__name__) / "model")
        return folders[call]

    return folder_of


def rewrite(folder, change):
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    change(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())


def all_nodes(graph):
    return [*graph.graph_def.node, *(node for each in graph.graph_def.library.function for node in each.node_def)]


# === Versions ===


def node(operation, **attributes):
    made = NodeDef(op=operation)
    for name, value in attributes.items():
        if isinstance(value, tf.DType):
            made.attr[name].type = value.as_datatype_enum
        elif isinstance(value, list):
            made.attr[name].list.type.extend(each.as_datatype_enum for each in value)
        elif isinstance(value, str):
            made.attr[name].s = value.encode()
        else:
            made.attr[name].b = value
    return made


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        (node("MatMul", T=tf.float32, transpose_a=True), {"MatMul": "2.2"}),
        (node("DenseBincount"), {"DenseBincount": "2.3"}),
        (node("StatelessRandomUniformV2"), {"StatelessRandomUniformV2": "2.4"}),
        (node("OptionsDataset"), {"OptionsDataset": "2.5"}),
        (node("BatchMatMulV3", Ta=tf.int8), {"BatchMatMulV3": "2.6"}),
        (node("AnonymousHashTable"), {"AnonymousHashTable": "2.7"}),
        (node("AnonymousMutableHashTable"), {"AnonymousMutableHashTable": "2.8"}),
        (node("RandomIndexShuffle"), {"RandomIndexShuffle": "2.9"}),
        (node("DisableCopyOnRead"), {"DisableCopyOnRead": "2.10"}),
        (node("UniformQuantizedDot"), {"UniformQuantizedDot": "2.11"}),
        (node("SegmentSumV2"), {"SegmentSumV2": "2.12"}),
        (node("RaggedFillEmptyRows"), {"RaggedFillEmptyRows": "2.13"}),
        (node("TFRecordDatasetV2"), {"TFRecordDatasetV2": "2.14"}),
        (node("RFFTND"), {"RFFTND": "2.15"}),
        (node("DatasetFingerprint"), {"DatasetFingerprint": "2.16"}),
        (node("WeightedFlatMapDataset"), {"WeightedFlatMapDataset": "2.17"}),
        (node("CheckPinned"), {"CheckPinned": "2.18"}),
        (node("DecodeWebP"), {"DecodeWebP": "2.20"}),
        (node("MatMul", grad_a=True), {"MatMul": "2.2", "MatMul with grad_a": "2.16"}),
        (node("MaxPool", padding="SAME"), {"MaxPool": "2.2"}),
        (node("MaxPool", padding="EXPLICIT"), {"MaxPool": "2.2", "MaxPool with padding=EXPLICIT": "2.4"}),
        (node("Softmax", T=tf.bfloat16), {"Softmax": "2.2", "Softmax with T=DT_BFLOAT16": "2.3"}),
        (node("Erf", T=tf.bfloat16), {"Erf": "2.2", "Erf with T=DT_BFLOAT16": "2.8"}),
        (node("Range", Tidx=tf.bfloat16), {"Range": "2.2", "Range with Tidx=DT_BFLOAT16": "2.18"}),
        (node("IdentityN", T=[tf.float32, tf.string]), {"IdentityN": "2.2"}),
        # A name for people, which TensorFlow 2.15 writes and servers since 2.5 pass over.
        (node("VarHandleOp", debug_name="kernel"), {"VarHandleOp": "2.2", "VarHandleOp with debug_name": "2.5"}),
        (node("MatMul", _output_shapes=True, attribute_of_tomorrow=True), {"MatMul": "2.2"}),
        (node("CaseFoldUTF8"), {"CaseFoldUTF8": "2.2"}),
        (node("FindSourceOffsets"), {"FindSourceOffsets": "2.5"}),
        (node("FastWordpieceTokenizeWithOffsets"), {"FastWordpieceTokenizeWithOffsets": "2.10"}),
        (node("FastBertNormalize"), {"FastBertNormalize": "2.12"}),
        (node("TFText>RoundRobinTrim"), {"TFText>RoundRobinTrim": "2.20"}),
        (node("Addons>Sparkle"), {}),
    ],
    ids=lambda value: None if isinstance(value, dict) else value.op,
)
def test_a_node_needs_the_version_of_its_operation_attributes_and_types(asked, needs):
    assert {need.what: need.version for need in needs_of(asked)} == needs


def test_a_type_of_tomorrow_is_no_accident():
    made = node("MatMul")
    made.attr["T"].type = 999
    assert [need.what for need in needs_of(made)] == ["MatMul"]


def test_versions_are_ordered_as_numbers():
    assert sorted(["2.20", "2.9", "2.10", "2.2"], key=version_key) == ["2.2", "2.9", "2.10", "2.20"]
    assert oldest_known() == "2.2"


def test_the_record_holds_all_operations_of_the_installed_tensorflow():
    """When this fails after an upgrade: scripts/record_core_operations.py."""
    assert newest_known() == ".".join(tf.__version__.split(".")[:2])
    public = [name for name in dir(tf.raw_ops) if not name.startswith("_")]
    assert len(public) > 1400
    assert [name for name in public if not is_known(name)] == []


# === The oldest server ===

GRAPHS = [
    (plain, "StringLength", "2.2"),
    (ordinary_product, "MatMul", "2.2"),
    (case_fold, "CaseFoldUTF8", "2.2"),
    (source_offsets, "NormalizeUTF8WithOffsetsMap", "2.5"),
    (mixed_product, "BatchMatMulV3", "2.6"),
    (fast_wordpiece, "FastWordpieceTokenizeWithOffsets", "2.10"),
    (fast_bert_normalize, "FastBertNormalize", "2.12"),
    (byte_split, "TFText>ByteSplitWithOffsets", "2.12"),
    (branch, "FastBertNormalize", "2.12"),
    (segment_maximum, "SegmentMaxV2", "2.13"),
    (gradient_product, "MatMul with grad_a", "2.16"),
    (bfloat16_range, "Range with Tidx=DT_BFLOAT16", "2.18"),
    (web_picture, "DecodeWebP", "2.20"),
    (round_robin, "TFText>RoundRobinTrim", "2.20"),
    (deep, "TFText>RoundRobinTrim", "2.20"),
]


@pytest.mark.parametrize(("call", "reason", "oldest"), GRAPHS)
def test_the_oldest_server_that_has_all_operations_is_found_and_why(call, reason, oldest, saved):
    audit = audit_operations(saved(call))
    assert (audit.oldest_tf_serving, audit.missing, audit.unsafe) == (oldest, (), {})
    assert (reason, oldest) in [(need.what, need.version) for need in audit.needs]
    assert (reason in [need.what for need in audit.newest()]) == (oldest != "2.2")
    assert list(audit.operations) == sorted(set(audit.operations))


@pytest.mark.parametrize(("call", "reason", "oldest"), GRAPHS)
def test_an_operation_counts_in_the_main_graph_as_in_the_function_library(call, reason, oldest, saved, tmp_path):
    folder = shutil.copytree(saved(call), tmp_path / "model")

    def move(graph):
        functions = {function.signature.name for function in graph.graph_def.library.function}
        nodes = [each for each in all_nodes(graph) if each.op not in functions]
        graph.graph_def.library.Clear()
        del graph.graph_def.node[:]
        for position, each in enumerate(nodes):
            graph.graph_def.node.add().CopyFrom(each)
            graph.graph_def.node[position].name = f"node_{position}"

    rewrite(folder, move)
    audit = audit_operations(folder)
    assert audit.oldest_tf_serving == oldest
    assert reason in [need.what for need in audit.needs]


@pytest.mark.parametrize(
    ("call", "minimum", "problem"),
    [
        (plain, "2.2", None),
        (plain, "2.1", "what servers before 2.2 have is not recorded"),
        (fast_wordpiece, "2.10", None),
        (fast_wordpiece, "2.9", "FastWordpieceTokenizeWithOffsets needs TensorFlow Serving 2.10"),
        (fast_bert_normalize, "2.12", None),
        (fast_bert_normalize, "2.11", "FastBertNormalize needs TensorFlow Serving 2.12"),
        (segment_maximum, "2.12", "SegmentMaxV2 needs TensorFlow Serving 2.13"),
        (gradient_product, "2.12", "MatMul with grad_a needs TensorFlow Serving 2.16"),
        (bfloat16_range, "2.12", "Range with Tidx=DT_BFLOAT16 needs TensorFlow Serving 2.18"),
        (round_robin, "2.20", None),
        (round_robin, "2.21", None),
        (round_robin, "2.19", "TFText>RoundRobinTrim needs TensorFlow Serving 2.20"),
        (round_robin, "2.9", "TFText>RoundRobinTrim needs TensorFlow Serving 2.20"),
    ],
)
def test_what_is_newer_than_the_floor_is_refused_by_name_and_version(call, minimum, problem, saved):
    problems = check_operations(audit_operations(saved(call)), minimum)
    assert len(problems) == (problem is not None)
    for found in problems:
        assert problem in found
        assert f"the floor is {minimum} (export.minimum_tf_serving)" in found


def test_all_that_is_newer_is_named_each_with_its_version(saved):
    def several(text):
        return fast_wordpiece(text), gradient_product(text), round_robin(text)

    (problem,) = check_operations(audit_operations(saved(several)), "2.9")
    assert re.findall(r"([\w>]+)(?: with \w+)? needs TensorFlow Serving ([\d.]+)", problem) == [
        ("FastWordpieceTokenizeWithOffsets", "2.10"),
        ("MatMul", "2.16"),
        ("TFText>RoundRobinTrim", "2.20"),
    ]


@pytest.mark.parametrize("operation", ["Addons>Sparkle", "IO>FileRead", "MyTokenizer"])
def test_an_operation_that_no_server_has_is_refused(operation, saved, tmp_path):
    folder = shutil.copytree(saved(branch), tmp_path / "model")

    def rename(graph):
        for each in all_nodes(graph):
            if each.op == "FastBertNormalize":
                each.op = operation

    rewrite(folder, rename)
    audit = audit_operations(folder)
    assert audit.missing == (operation,)
    assert audit.oldest_tf_serving is None
    (problem,) = check_operations(audit, "2.12")
    assert problem.startswith(f"no stock TensorFlow Serving up to 2.20 has the operations {operation};")


# === Unsafe operations ===


@pytest.mark.parametrize(
    ("call", "operation", "reason"),
    [
        (py_function, "PyFunc", "runs Python"),
        (eager_py_function, "EagerPyFunc", "runs Python"),
        (generator, "PyFunc", "runs Python"),
        (read_file, "ReadFile", "reads files"),
        (read_in_branch, "ReadFile", "reads files"),
        (read_records, "TFRecordDataset", "reads files"),
        (restore, "RestoreV2", "reads files"),
        (baked_vocabulary, "InitializeTableFromTextFileV2", "reads files"),
        (write_file, "WriteFile", "writes files"),
        (print_text, "PrintV2", "prints to the server's log"),
        (stop_the_server, "Abort", "ends the server's process"),
    ],
)
def test_operations_that_access_files_or_run_code_are_refused(call, operation, reason, saved):
    audit = audit_operations(saved(call))
    assert operation in audit.unsafe
    assert reason in audit.unsafe[operation]
    (problem,) = check_operations(audit, "2.20")
    assert f"{operation} ({audit.unsafe[operation]})" in problem


def test_every_meta_graph_is_audited_for_tags_decide_which_is_loaded(tmp_path):
    harmless, harmful = save(tf.strings.lower, tmp_path / "harmless"), save(write_file, tmp_path / "harmful")
    model, other = (SavedModel.FromString((each / "saved_model.pb").read_bytes()) for each in (harmless, harmful))
    model.meta_graphs.extend(other.meta_graphs)
    (harmless / "saved_model.pb").write_bytes(model.SerializeToString())
    assert "WriteFile" in audit_operations(harmless).unsafe
    with pytest.raises(EncoderError, match="WriteFile"):
        check_harmless(harmless)


def test_a_saved_model_in_text_form_is_audited_as_it_would_be_loaded(tmp_path):
    folder = save(write_file, tmp_path / "model")
    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pbtxt").write_text(text_format.MessageToString(model), "utf-8")
    assert "WriteFile" in audit_operations(folder).unsafe
    (folder / "saved_model.pbtxt").write_text("meta_graphs {", "utf-8")
    with pytest.raises(ExportError, match="damaged"):
        audit_operations(folder)


def test_the_savers_operations_are_its_own(exported, tmp_path):
    audit = audit_operations(exported)
    assert {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2"} <= set(audit.operations)
    assert audit.unsafe == {}
    folder = shutil.copytree(exported, tmp_path / "1")
    rewrite(folder, lambda graph: graph.saver_def.Clear())
    assert list(audit_operations(folder).unsafe) == ["MergeV2Checkpoints", "RestoreV2", "SaveV2"]


def test_a_signature_that_calls_the_saver_is_refused(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "1")

    def serve_the_restoration(graph):
        graph.signature_def["embed"].outputs["pooled_output"].name = f"{graph.saver_def.restore_op_name}:0"

    rewrite(folder, serve_the_restoration)
    assert list(audit_operations(folder).unsafe) == ["RestoreV2"]


def test_the_saver_of_a_graph_without_functions_is_excused(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        weights = tf.compat.v1.get_variable("weights", [2], use_resource=True)
        session.run(weights.initializer)
        numbers = tf.compat.v1.placeholder(tf.float32, [2])
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "model"), {"in": numbers}, {"out": numbers * weights}
        )
    audit = audit_operations(tmp_path / "model")
    assert {"SaveV2", "RestoreV2"} <= set(audit.operations)
    assert audit.unsafe == {}


@pytest.mark.parametrize("source", ["another file", "no assignment", "an assignment beside it"])
def test_a_vocabulary_that_is_no_asset_is_refused(source, exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "1")

    def redirect(graph):
        assets = [asset.tensor_info.name.partition(":")[0] for asset in graph.asset_file_def]
        assignments = [
            each for each in graph.graph_def.node if each.op == "AssignVariableOp" and each.input[1] in assets
        ]
        assert len(assignments) == len(assets)
        elsewhere = graph.graph_def.node.add(name="elsewhere", op="Const")
        for assignment in assignments:
            if source == "another file":
                assignment.input[1] = elsewhere.name
            elif source == "no assignment":
                assignment.op = "NoOp"
            else:
                graph.graph_def.node.add(name=f"{assignment.name}_2", op="AssignVariableOp").input.extend(
                    [assignment.input[0], elsewhere.name]
                )

    rewrite(folder, redirect)
    assert list(audit_operations(folder).unsafe) == ["InitializeTableFromTextFileV2"]


def test_a_refused_export_is_not_even_loaded(exported, tmp_path, monkeypatch):
    folder = shutil.copytree(exported, tmp_path / "1")

    def misuse(graph):
        for each in all_nodes(graph):
            if each.op == "HashTableV2":
                each.op = "PyFunc"

    rewrite(folder, misuse)
    monkeypatch.setattr(tf.saved_model, "load", lambda *_, **__: pytest.fail("loaded"))
    verdict = verify(folder)
    assert (verdict.passed, verdict.oldest_tf_serving) == (False, "2.10")
    assert verdict.problems == ("a server must not run PyFunc (runs Python of the process that made the graph)",)


# Names of attributes and inputs that are no files or addresses although they sound so.
HARMLESS = {
    "TensorSliceDataset",  # is_files marks elements, it reads none
    "OptionsDataset",  # options of tf.data
    "ShardedFilename",  # makes a name
    "ShardedFilespec",
    "RegexFullMatch",  # a pattern of text
    "RegexReplace",
    "StaticRegexFullMatch",
    "StaticRegexReplace",
    "CTCBeamSearchDecoder",  # top_paths is a number
}


def test_no_operation_that_takes_a_file_or_an_address_is_forgotten():
    telling = re.compile(
        r"file|_path|address|_urls?$|^path|^protocol|logdir|^prefix$|descriptor_source|^db_uri|pattern|memory_region"
    )
    found = set()
    for name in dir(tf.raw_ops):
        if definition := op_def_registry.get(name):
            names = [each.name for each in (*definition.attr, *definition.input_arg)]
            found |= {name} if any(map(telling.search, names)) else set()
    assert len(found) > 50
    assert found - HARMLESS - REASONS.keys() == set()


def test_every_unsafe_operation_exists_or_existed():
    gone = {"TfLiteSubgraphExecute", "TRTEngineOp", "RemoteFusedGraphExecute", "Rpc", "TryRpc"}
    assert {name for name in REASONS if not is_known(name)} == gone


# === Our own export, and what is no export ===


def test_our_own_export_needs_nothing_newer_than_the_default_floor(exported):
    audit = audit_operations(exported)
    # Loaded and run under TensorFlow 2.10, 2.12, 2.15 and 2.18; 2.9 refuses it for this operation (docs/how_to/export.md).
    assert [(need.what, need.version) for need in audit.newest()] == [("DisableCopyOnRead", "2.10")]
    assert audit.needs_newer_than("2.12") == ()
    assert audit.missing == ()
    assert "WordpieceTokenizeWithOffsets" in audit.operations


def test_inspect_shows_what_a_graph_asks_of_a_server(saved, capsys):
    inspect(saved(deep))
    assert (
        "supported by TensorFlow Serving 2.20 and later (because of TFText>RoundRobinTrim)" in capsys.readouterr().out
    )
    inspect(saved(read_file))
    assert "a server must not run ReadFile: it reads files" in capsys.readouterr().out
    inspect(saved(read_file), as_json=True)
    operations = json.loads(capsys.readouterr().out)["operations"]
    assert operations["unsafe"] == {"ReadFile": "reads files"}
    assert operations["oldest_tf_serving"] == "2.2"


def test_inspect_shows_a_model_that_cannot_be_loaded_here(saved, tmp_path, capsys):
    folder = shutil.copytree(saved(plain), tmp_path / "model")

    def rename(graph):
        for each in all_nodes(graph):
            each.op = "IO>Length" if each.op == "StringLength" else each.op

    rewrite(folder, rename)
    inspect(folder)
    shown = capsys.readouterr().out
    assert "not supported by any TensorFlow Serving release: IO>Length" in shown
    assert "serving_default" in shown


@pytest.mark.parametrize("content", [None, b"", b"no protobuf at all", b"\xff" * 64])
def test_a_folder_without_a_readable_graph_is_one_clear_line(content, tmp_path):
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ExportError) as caught:
        audit_operations(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "saved_model.pb" in str(caught.value)
    assert "\n" not in str(caught.value)
