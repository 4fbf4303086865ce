"""Hugging Face folders to encoder folders: the same numbers as PyTorch's, and what is wrong with some folders."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
from safetensors.numpy import load_file, save_file
from support.hugging_face_folders import PIECES, write_fine_tuned
from support.paths import RECORDED
from support.tiny import POSITIONS, VOCABULARY, write_hugging_face_folder
from support.tokenizer_folders import added, rules

from bert_serving import contract
from bert_serving.encoders.architecture import Architecture, assign_weights, build_network, sample_inputs
from bert_serving.encoders.conversion.families import FAMILIES
from bert_serving.encoders.conversion.hugging_face import (
    convert_hugging_face,
    is_hugging_face_folder,
    read_architecture,
    rename_weights,
)
from bert_serving.encoders.conversion.tokenizer import read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.encoders.loading import infer_architecture
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import load_preprocessing

REFERENCE = json.loads((RECORDED / "minilm_reference.json").read_text("utf-8"))
# The recorded values are rounded to six digits.
TOLERANCE = 1e-5


@pytest.fixture
def folder(hugging_face_folder, tmp_path) -> Path:
    """A Hugging Face folder of the test's own."""
    return shutil.copytree(hugging_face_folder, tmp_path / "mine")


@pytest.fixture(scope="module")
def minilm(minilm_folder, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("encoders") / "minilm"
    convert_hugging_face(minilm_folder, target)
    return target


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def change_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def refusal(folder: Path, target: Path) -> str:
    with pytest.raises(EncoderError) as raised:
        convert_hugging_face(folder, target)
    assert "\n" not in str(raised.value)
    assert not target.exists()
    return str(raised.value)


def outputs(encoder: Path, texts: list[list[str | None]], length: int = 16) -> list[dict[str, tf.Tensor]]:
    """The encoder's answers to texts, or pairs of texts, one by one, as its SavedModel gives them."""
    model = hub.load(str(encoder / "encoder"))
    preprocessing = load_preprocessing(encoder / "preprocessing")
    segments = [[preprocessing.segment(tf.constant([part])) for part in parts if part is not None] for parts in texts]
    return [model(preprocessing.model.bert_pack_inputs(each, length)) for each in segments]


# === A real encoder ===


def test_outputs_are_those_that_pytorch_gave(minilm):
    entries = [*REFERENCE["pooled_output"], REFERENCE["sequence_output"]]
    *found, last = outputs(minilm, [entry["texts"] for entry in entries], REFERENCE["sequence_length"])
    for answer, entry in zip(found, entries[:-1], strict=True):
        np.testing.assert_allclose(answer[contract.POOLED_OUTPUT][0], entry["values"], atol=TOLERANCE, rtol=0)
    tokens = last[contract.SEQUENCE_OUTPUT][0][: len(entries[-1]["values"])]
    np.testing.assert_allclose(tokens, entries[-1]["values"], atol=TOLERANCE, rtol=0)


def test_variables_have_the_names_of_tf_hubs_encoders(minilm):
    layer = hub.KerasLayer(str(minilm / "encoder"), trainable=True)
    names = [variable.name for variable in layer.variables]
    assert len(names) == len(set(names)) == len(layer.trainable_variables) == 103
    assert {
        "word_embeddings/embeddings:0",
        "position_embedding/embeddings:0",
        "type_embeddings/embeddings:0",
        "embeddings/layer_norm/gamma:0",
        "transformer/layer_0/self_attention/query/kernel:0",
        "transformer/layer_5/output_layer_norm/beta:0",
        "pooler_transform/kernel:0",
    } < set(names)


def test_the_architecture_is_that_of_the_configuration(minilm):
    assert Architecture.load(minilm / "encoder.json") == Architecture(
        vocab_size=30522,
        num_hidden_layers=6,
        hidden_size=384,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=512,
    )


# === The encoder SavedModel ===


def test_outputs_are_those_of_tf_hubs_text_encoders(encoder_folder):
    inputs = sample_inputs(len(VOCABULARY))
    answer = hub.load(str(encoder_folder / "encoder"))(inputs)
    assert answer.keys() == {"pooled_output", "sequence_output", "encoder_outputs", "default"}
    assert answer["pooled_output"].shape == (2, 8)
    assert answer["sequence_output"].shape == (2, 8, 8)
    assert [layer.shape for layer in answer["encoder_outputs"]] == [(2, 8, 8)] * 2
    np.testing.assert_array_equal(answer["default"], answer["pooled_output"])


def test_padding_changes_nothing(encoder_folder):
    model = hub.load(str(encoder_folder / "encoder"))
    inputs = sample_inputs(len(VOCABULARY), rows=1, length=8)
    short = {name: tensor[:, :4] for name, tensor in inputs.items()}
    np.testing.assert_allclose(model(inputs)["pooled_output"], model(short)["pooled_output"], atol=1e-6)


@pytest.mark.slow
def test_a_gradient_step_changes_every_variable_of_a_trainable_hub_layer(encoder_folder):
    layer = hub.KerasLayer(str(encoder_folder / "encoder"), trainable=True)
    inputs = {name: tf_keras.layers.Input((None,), dtype=tf.int32, name=name) for name in contract.TOKEN_INPUTS}
    answer = layer(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(answer["pooled_output"]))
    # Every position, type and word must occur to get a gradient; only the last layer's keys' biases never do.
    ids = tf.reshape(tf.range(2 * POSITIONS) % len(VOCABULARY), [2, POSITIONS])
    types = tf.repeat([[0, 1]], POSITIONS // 2, axis=1)
    batch = {
        contract.WORD_IDS: ids,
        contract.MASK: tf.ones_like(ids),
        contract.TYPE_IDS: tf.concat([types, types], axis=0),
    }
    before = {variable.name: variable.numpy() for variable in layer.variables}
    model.compile(tf_keras.optimizers.legacy.Adam(1e-2), "mse")
    model.fit(batch, np.array([[3.0], [-3.0]]), verbose=0)
    same = {variable.name for variable in layer.variables if np.array_equal(variable.numpy(), before[variable.name])}
    assert {name for name in same if "key/bias" not in name} == set()


def test_a_frozen_hub_layer_has_nothing_to_train(encoder_folder):
    layer = hub.KerasLayer(str(encoder_folder / "encoder"), trainable=False)
    assert layer.trainable_variables == []
    assert len(layer.non_trainable_variables) == len(FAMILIES["bert"].weight_names(2, projection=False))


def test_dropout_works_in_training_only(encoder_folder):
    layer = hub.KerasLayer(str(encoder_folder / "encoder"), trainable=True)
    inputs = sample_inputs(len(VOCABULARY))
    calm = [layer(inputs, training=False)["pooled_output"].numpy() for _ in range(2)]
    wild = [layer(inputs, training=True)["pooled_output"].numpy() for _ in range(2)]
    np.testing.assert_array_equal(*calm)
    assert not np.allclose(*wild)
    assert not np.allclose(calm[0], wild[0])


@pytest.mark.slow
def test_a_folder_can_be_moved_after_conversion(folder, tmp_path):
    convert_hugging_face(folder, tmp_path / "first")
    [expected] = outputs(tmp_path / "first", [["good film", "bad"]])
    shutil.move(tmp_path / "first", tmp_path / "second")
    shutil.rmtree(folder)
    [found] = outputs(tmp_path / "second", [["good film", "bad"]])
    np.testing.assert_array_equal(found["pooled_output"], expected["pooled_output"])


# === Configurations ===


@pytest.mark.slow
def test_a_cased_encoder_gets_cased_preprocessing(folder):
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    convert_hugging_face(folder, folder / "out")
    pieces = load_preprocessing(folder / "out/preprocessing").segment(tf.constant(["GOOD good"])).flat_values
    assert [VOCABULARY[piece] for piece in pieces] == ["[UNK]", "good"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("gelu", "gelu"), ("gelu_new", "gelu_tanh"), ("gelu_pytorch_tanh", "gelu_tanh"), ("relu", "relu")],
)
def test_activations_are_translated(folder, theirs, ours):
    change_config(folder, hidden_act=theirs)
    assert read_architecture(json.loads((folder / "config.json").read_text())).activation == ours


def test_another_activation_gives_other_outputs():
    inputs, found = sample_inputs(20), {}
    for activation in ("gelu", "gelu_tanh", "relu"):
        architecture = Architecture(20, 1, 8, 2, 16, 32, activation=activation)
        network = build_network(architecture)
        random = np.random.default_rng(0)
        assign_weights(network, {each.name: random.normal(size=each.shape) for each in network.variables})
        found[activation] = network(inputs)["sequence_output"].numpy()
    assert np.abs(found["gelu"] - found["gelu_tanh"]).max() > 1e-4
    assert np.abs(found["gelu"] - found["relu"]).max() > 1e-2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"model_type": "unheard"},
            "model_type is 'unheard', only bert, electra, distilbert, albert, roberta, xlm-roberta",
        ),
        ({"model_type": ...}, "model_type is None, only bert, electra, distilbert, albert, roberta, xlm-roberta"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key', only 'absolute' works"),
        ({"hidden_act": "silu"}, "hidden_act 'silu' is not one of gelu, gelu_new, gelu_pytorch_tanh, relu"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0.0, expected a number above 0"),
        ({"hidden_size": ...}, "key 'hidden_size' is missing; it must describe a bert model"),
        ({"num_hidden_layers": "two"}, "a size is not a number: invalid literal"),
        ({"num_hidden_layers": None}, "a size is not a number: "),
        ({"num_attention_heads": 0}, "num_attention_heads 0 does not divide hidden_size 8"),
        ({"num_attention_heads": 3}, "num_attention_heads 3 does not divide hidden_size 8"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0, expected 1 or more"),
    ],
)
def test_a_configuration_that_cannot_be_converted_is_refused(folder, tmp_path, changes, problem):
    change_config(folder, **changes)
    assert refusal(folder, tmp_path / "out").startswith(f"config.json: {problem}")


@pytest.mark.parametrize(
    ("tokenizer", "problem"),
    [
        ({"strip_accents": False}, "/tokenizer_config.json: strip_accents is false while texts are lower-cased"),
        (
            {"do_lower_case": False, "strip_accents": True},
            "/tokenizer_config.json: strip_accents is true while texts are not lower-cased",
        ),
        ({"tokenize_chinese_chars": False}, "/tokenizer_config.json: tokenize_chinese_chars is false"),
        (
            {"tokenizer_class": "BertJapaneseTokenizer"},
            ": tokenizer_class is 'BertJapaneseTokenizer', which splits words",
        ),
    ],
)
def test_a_tokenizer_that_cuts_texts_in_another_way_is_refused(folder, tmp_path, tokenizer, problem):
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert refusal(folder, tmp_path / "out").startswith(f"{folder}{problem}")


TOKENIZER = rules(VOCABULARY)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"normalizer": None}, 'normalizer is null, only "BertNormalizer" can be converted'),
        ({"normalizer": {"type": "Sequence"}}, 'normalizer is "Sequence", only "BertNormalizer"'),
        (
            {"normalizer": {"type": "BertNormalizer", "clean_text": False}},
            "normalizer.clean_text is false, only true can be converted",
        ),
        ({"pre_tokenizer": {"type": "Whitespace"}}, 'pre_tokenizer is "Whitespace", only "BertPreTokenizer"'),
        ({"pre_tokenizer": None}, 'pre_tokenizer is null, only "BertPreTokenizer"'),
        ({"model": {"type": "BPE"}}, 'model is "BPE", only "WordPiece"'),
        ({"model": {"continuing_subword_prefix": "@@"}}, 'model.continuing_subword_prefix is "@@", only "##"'),
        ({"model": {"max_input_chars_per_word": 200}}, "model.max_input_chars_per_word is 200, only 100"),
        (
            {
                "added_tokens": [
                    added(word, id=15 + number) for number, word in enumerate(("<a>", "<b>", "<c>", "<d>"), 1)
                ]
            },
            "gives the added token '<a>' the id 16, expected 15, the next one after the vocabulary's 15",
        ),
    ],
)
def test_rules_of_a_tokenizer_json_that_are_not_ours_are_refused(folder, tmp_path, changes, problem):
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER | changes))
    assert refusal(folder, tmp_path / "out").startswith(f"{folder}/tokenizer.json: {problem}")


def test_the_rules_of_a_real_encoder_are_ours(minilm_folder):
    pieces = read_tokenizer(minilm_folder, read_json(minilm_folder / "config.json")).pieces
    assert (pieces.size, pieces.lower_case) == (30522, True)


@pytest.mark.parametrize("source", ["vocab.txt", pytest.param("tokenizer.json", marks=pytest.mark.slow)])
def test_an_albert_with_berts_vocabulary_has_its_texts_cut_by_wordpiece(tmp_path, source):
    """As the Chinese ones have."""
    folder = tmp_path / "albert"
    write_fine_tuned(folder, "albert")
    (folder / "spiece.model").unlink()
    tokens = [*VOCABULARY, *(f"more{number}" for number in range(PIECES - len(VOCABULARY)))]
    if source == "vocab.txt":
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    else:
        (folder / "tokenizer.json").write_text(json.dumps(rules(tuple(tokens))))
    convert_hugging_face(folder, tmp_path / "out")
    segment = load_preprocessing(tmp_path / "out" / "preprocessing").segment(tf.constant(["GOOD film"]))
    assert segment.flat_values.numpy().tolist() == [VOCABULARY.index(word) for word in ("good", "film")]


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[]", "null", '"bert"'])
def test_a_configuration_that_is_no_json_object_is_named(folder, tmp_path, name, content):
    (folder / name).write_text(content)
    assert refusal(folder, tmp_path / "out").startswith(f"{folder / name}: cannot read it: ")


# === Files ===


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("config.json", "{folder}/config.json: missing; a Hugging Face folder needs it"),
        ("vocab.txt", "{folder}: the encoder folder has no vocabulary (vocab.txt is missing)"),
        ("model.safetensors", "{folder}/model.safetensors: no such weight file"),
    ],
)
def test_a_missing_file_is_named(folder, tmp_path, name, problem):
    (folder / name).unlink()
    assert refusal(folder, tmp_path / "out").startswith(problem.format(folder=folder))
    assert is_hugging_face_folder(folder) is (name != "config.json")


def test_corrupt_weights_are_named(folder, tmp_path):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(folder, tmp_path / "out").startswith(f"{path}: not a complete safetensors file (")


def test_a_vocabulary_that_is_larger_than_the_table_is_refused(folder, tmp_path):
    (folder / "vocab.txt").write_text("\n".join([*VOCABULARY, "more"]) + "\n", "utf-8")
    expected = f"{folder}: the vocabulary has 16 tokens, the encoder's embedding table 15 rows, so some tokens have no embedding"
    assert refusal(folder, tmp_path / "out").startswith(expected)


@pytest.mark.slow
def test_a_vocabulary_may_be_smaller_than_the_table(folder, tmp_path):
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY[:-2]) + "\n", "utf-8")
    convert_hugging_face(folder, tmp_path / "out")
    [answer] = outputs(tmp_path / "out", [["good wheel"]])
    assert answer[contract.SEQUENCE_OUTPUT].shape == (1, 16, 8)
    assert Architecture.load(tmp_path / "out/encoder.json").vocab_size == len(VOCABULARY)


# === Tensors ===


def test_a_missing_and_an_unknown_tensor_are_both_named(folder, tmp_path):
    def rename(tensors):
        tensors["encoder.layer.1.crossattention.weight"] = tensors.pop("encoder.layer.1.output.dense.bias")

    change_weights(folder, rename)
    assert refusal(folder, tmp_path / "out") == (
        "model.safetensors: the tensors are not those of a bert with 2 layers: encoder.layer.1.output.dense.bias is "
        "missing; encoder.layer.1.crossattention.weight is unknown"
    )


def test_of_many_missing_tensors_five_are_named(folder, tmp_path):
    change_weights(
        folder,
        lambda tensors: [
            tensors.pop(name) for name in list(tensors) if "layer.1.output" in name or "LayerNorm" in name
        ],
    )
    message = refusal(folder, tmp_path / "out")
    assert message.startswith(
        "model.safetensors: the tensors are not those of a bert with 2 layers: embeddings.LayerNorm."
    )
    assert message.endswith("; and 7 more")


def test_heads_of_other_tasks_and_the_prefix_of_bert_are_left_aside(hugging_face_folder, folder):
    def wrap(tensors):
        for name in list(tensors):
            tensors[f"bert.{name}"] = tensors.pop(name)
        tensors["cls.predictions.bias"] = np.zeros(3, np.float32)
        tensors["classifier.weight"] = np.zeros((2, 8), np.float32)
        tensors["bert.embeddings.position_ids"] = np.arange(POSITIONS)[None]

    architecture = read_architecture(json.loads((folder / "config.json").read_text()))
    plain = rename_weights(load_file(folder / "model.safetensors"), architecture)
    change_weights(folder, wrap)
    wrapped = rename_weights(load_file(folder / "model.safetensors"), architecture)
    assert plain.keys() == wrapped.keys()
    assert all(np.array_equal(plain[name], wrapped[name]) for name in plain)


def test_tensors_under_the_names_of_the_first_checkpoints_are_the_same(hugging_face_folder, folder):
    def age(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("weight", "gamma").replace("bias", "beta")
            tensors[f"bert.{old}"] = tensors.pop(name)

    architecture = read_architecture(json.loads((folder / "config.json").read_text()))
    new = rename_weights(load_file(folder / "model.safetensors"), architecture)
    change_weights(folder, age)
    assert "bert.embeddings.LayerNorm.gamma" in load_file(folder / "model.safetensors")
    old = rename_weights(load_file(folder / "model.safetensors"), architecture)
    assert old.keys() == new.keys()
    assert all(np.array_equal(old[name], new[name]) for name in new)


@pytest.mark.parametrize("model_type", ["bert", pytest.param("albert", marks=pytest.mark.slow)])
def test_an_encoder_that_was_saved_without_its_pooler_gets_a_neutral_one(tmp_path, model_type):
    folder = tmp_path / "masked"
    tensors = write_fine_tuned(folder, model_type, architectures=["BertForMaskedLM"])
    name = f"{FAMILIES[model_type].prefix}{FAMILIES[model_type].pooler}"
    change_weights(folder, lambda tensors: [tensors.pop(f"{name}.{part}") for part in ("weight", "bias")])
    convert_hugging_face(folder, tmp_path / "out")
    found = {each.name: each.numpy() for each in hub.load(str(tmp_path / "out/encoder")).variables}
    np.testing.assert_array_equal(found["pooler_transform/kernel:0"], np.eye(8))
    np.testing.assert_array_equal(found["pooler_transform/bias:0"], np.zeros(8))
    words = tensors[f"{FAMILIES[model_type].prefix}embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(found["word_embeddings/embeddings:0"], words)


@pytest.mark.parametrize(
    ("architecture", "parts", "missing"),
    [
        (
            "BertForSequenceClassification",
            ("weight", "bias"),
            "pooler.dense.weight is missing; pooler.dense.bias is missing",
        ),
        ("BertForMaskedLM", ("bias",), "pooler.dense.bias is missing"),
    ],
)
def test_a_pooler_that_must_be_there_is_missed(tmp_path, architecture, parts, missing):
    write_fine_tuned(tmp_path / "folder", "bert", architectures=[architecture])
    change_weights(tmp_path / "folder", lambda tensors: [tensors.pop(f"bert.pooler.dense.{part}") for part in parts])
    assert refusal(tmp_path / "folder", tmp_path / "out").endswith(f"with 2 layers: {missing}")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"vocab_size": 16},
            "vocab_size is 16, but embeddings.word_embeddings.weight in model.safetensors has 15; correct",
        ),
        (
            {"hidden_size": 16},
            "hidden_size is 16, but encoder.layer.0.intermediate.dense.weight in model.safetensors has 8",
        ),
        (
            {"intermediate_size": 32},
            "intermediate_size is 32, but encoder.layer.0.intermediate.dense.weight in model.saf",
        ),
        (
            {"max_position_embeddings": 64},
            "max_position_embeddings is 64, but embeddings.position_embeddings.weight in model",
        ),
        (
            {"type_vocab_size": 1},
            "type_vocab_size is 1, but embeddings.token_type_embeddings.weight in model.safetensors has 2",
        ),
        (
            {"num_hidden_layers": 3},
            "num_hidden_layers is 3, but model.safetensors has 2 layers; correct config.json, or give",
        ),
        (
            {"num_hidden_layers": 1},
            "num_hidden_layers is 1, but model.safetensors has 2 layers; correct config.json, or give",
        ),
    ],
)
def test_sizes_that_contradict_the_configuration_are_refused(folder, tmp_path, changes, problem):
    change_config(folder, **changes)
    assert refusal(folder, tmp_path / "out").startswith(f"config.json: {problem}")


@pytest.mark.parametrize(
    ("model_type", "changes", "problem"),
    [
        ("distilbert", {"dim": 16}, "dim is 16, but transformer.layer.0.ffn.lin1.weight in model.safetensors has 8"),
        ("distilbert", {"n_layers": 1}, "n_layers is 1, but model.safetensors has 2 layers"),
        (
            "albert",
            {"embedding_size": 2},
            "embedding_size is 2, but embeddings.word_embeddings.weight in model.safetensors",
        ),
        (
            "electra",
            {"embedding_size": 8},
            "embedding_size is 8, but embeddings.word_embeddings.weight in model.safetensors",
        ),
    ],
)
def test_a_size_is_named_as_the_family_names_it(tmp_path, model_type, changes, problem):
    write_fine_tuned(tmp_path / "it", model_type)
    change_config(tmp_path / "it", **changes)
    assert refusal(tmp_path / "it", tmp_path / "out").startswith(f"config.json: {problem}")


def test_weights_in_half_precision_are_widened(folder):
    def halve(tensors):
        tensors.update({name: tensor.astype(np.float16) for name, tensor in tensors.items()})

    change_weights(folder, halve)
    architecture = read_architecture(json.loads((folder / "config.json").read_text()))
    weights = rename_weights(read_safetensors(folder / "model.safetensors"), architecture)
    assert {tensor.dtype for tensor in weights.values()} == {np.dtype(np.float32)}
    network = build_network(architecture)
    assign_weights(network, weights)
    halved = load_file(folder / "model.safetensors")["pooler.dense.bias"]
    np.testing.assert_array_equal(network.get_layer("pooler_transform").bias, halved.astype(np.float32))


# === Sizes read off variables ===


@pytest.mark.parametrize(("layers", "width"), [(1, 8), (3, 16)])
def test_sizes_can_be_read_off_the_variables(tmp_path, layers, width):
    write_hugging_face_folder(tmp_path / "mine", layers=layers, width=width)
    architecture = read_architecture(json.loads((tmp_path / "mine/config.json").read_text()))
    weights = rename_weights(load_file(tmp_path / "mine/model.safetensors"), architecture)
    assert infer_architecture(weights) == architecture


def test_variables_of_another_model_have_no_sizes():
    assert infer_architecture({}) is None
    assert infer_architecture({"word_embeddings/embeddings:0": np.zeros((3, 4))}) is None
    assert infer_architecture({"word_embeddings/embeddings:0": np.zeros(3)}) is None


def test_a_damaged_description_is_named(tmp_path):
    for content in ("{", '{"layers": 2}', '{"depth": 2}', "[]"):
        (tmp_path / "encoder.json").write_text(content)
        with pytest.raises(EncoderError, match=r"cannot read the encoder's description: .*; convert the encoder again"):
            Architecture.load(tmp_path / "encoder.json")
