"""Fine-tuned checkpoints of TensorFlow 1 and KerasHub's task presets."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but
from support.hugging_face_folders import fairseq_model
from support.keras_hub_presets import BYTE_TEXTS, ROBERTAS, SIZES, WORDS, write_preset, write_roberta_task
from support.paths import RECORDED
from support.tf1_checkpoints import write_checkpoint
from support.tiny import VOCABULARY

from bert_serving import contract
from bert_serving.config import EncoderConfig
from bert_serving.contract import Head
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import BertServingError
from bert_serving.imported.conversion import convert_import
from bert_serving.imported.options import ImportOptions

THREE = ("praise", "blame", "neither")
TEXTS = ["the film is good", "The Bike is notvery bad!", "a wheel is very not", "", "good " * 40]


def imported(source: Path, scratch: Path, **options):
    scratch.mkdir()
    return convert_import(source, scratch, ImportOptions(labels=THREE, **options)).classifier


def refusal(source: Path, scratch: Path, labels=THREE) -> str:
    scratch.mkdir()
    with pytest.raises(BertServingError) as raised:
        convert_import(source, scratch, ImportOptions(labels=labels))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def of_encoder(source: Path, classifier, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Logits by the converted encoder alone, whose outputs its own tests compare, and a matrix product."""
    rows, _ = classifier.tokenize(TEXTS)
    inputs = classifier.batch(rows, range(len(TEXTS)))
    pooled = load_encoder(find_encoder_folder(EncoderConfig(path=source))).layer(inputs)[contract.POOLED_OUTPUT]
    return pooled.numpy() @ kernel + bias


# === TensorFlow 1 ===


@pytest.fixture(scope="module")
def checkpoint(hugging_face_folder, tmp_path_factory) -> Path:
    """What run_classifier.py leaves, with bert_config.json and vocab.txt of the pretrained encoder."""
    folder = tmp_path_factory.mktemp("tf1") / "mrpc_output"
    random = np.random.default_rng(4)
    head = {
        "output_weights": random.normal(size=(3, 8)).astype(np.float32),
        "output_bias": random.normal(size=3).astype(np.float32),
    }
    write_checkpoint(hugging_face_folder, folder, "model.ckpt-343", head)
    return folder


def test_a_fine_tuned_checkpoint_gives_its_logits(checkpoint, tmp_path):
    classifier = imported(checkpoint, tmp_path / "scratch")
    reader = tf.train.load_checkpoint(str(checkpoint / "model.ckpt-343"))
    kernel, bias = reader.get_tensor("output_weights").T, reader.get_tensor("output_bias")
    expected = of_encoder(checkpoint, classifier, kernel, bias)
    rows, _ = classifier.tokenize(TEXTS)
    np.testing.assert_allclose(classifier.predict_tokens(rows), expected, atol=1e-5)
    assert classifier.options.sequence_length == 32  # all positions of this encoder
    assert np.ptp(expected[:, 0]) > 0.01


def test_a_checkpoint_of_an_encoder_alone_is_no_classifier(hugging_face_folder, tmp_path):
    write_checkpoint(hugging_face_folder, tmp_path / "pretrained")
    problem = refusal(tmp_path / "pretrained", tmp_path / "scratch")
    assert (
        "has no output_weights and no output_bias, so it is an encoder and no classifier of run_classifier.py"
        in problem
    )


def test_a_checkpoint_needs_as_many_labels_as_it_has_outputs(checkpoint, tmp_path):
    assert "its last layer has 3 outputs, so name 3 labels" in refusal(checkpoint, tmp_path / "scratch", labels=())


@pytest.mark.slow
def test_a_fine_tuned_checkpoint_is_taken_before_the_pretrained_one(checkpoint, hugging_face_folder, tmp_path):
    both = Path(shutil.copytree(checkpoint, tmp_path / "both"))
    write_checkpoint(hugging_face_folder, both)
    found = imported(both, tmp_path / "a").predict(TEXTS)
    np.testing.assert_array_equal(found, imported(checkpoint, tmp_path / "b").predict(TEXTS))


# === KerasHub ===


def write_task(folder: Path, *, name: str = "BertTextClassifier", **config: object) -> dict[str, np.ndarray]:
    """A BERT of one layer with a head of three outputs, as `save_to_preset` of KerasHub 0.32 stores it."""
    write_preset(folder, attention_prefix="")
    random = np.random.default_rng(9)
    head = {"kernel": random.normal(size=(8, 3)).astype(np.float32), "bias": np.array([0.1, -0.2, 0.3], np.float32)}
    (folder / "task.json").write_text(json.dumps({"class_name": name, "config": {"num_classes": 3, **config}}))
    preprocessor = {"class_name": "BertTextClassifierPreprocessor", "config": {"sequence_length": 12}}
    (folder / "preprocessor.json").write_text(json.dumps(preprocessor))
    with h5py.File(folder / "task.weights.h5", "w") as file:
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = head["kernel"], head["bias"]
    return head


@pytest.mark.parametrize(
    ("activation", "head"),
    slow_but(
        [("linear", Head.SOFTMAX), ("softmax", Head.SOFTMAX), ("sigmoid", Head.MULTILABEL)],
        kept=[("linear", Head.SOFTMAX)],  # test_rebuilding.py has a case for each activation
    ),
)
def test_a_task_presets_activation_tells_its_head(tmp_path, activation, head):
    written = write_task(tmp_path / "preset", activation=activation, dropout=0.3)
    classifier = imported(tmp_path / "preset", tmp_path / "scratch")
    assert (classifier.options.head, classifier.options.sequence_length, classifier.options.dropout) == (head, 12, 0.3)
    if activation == "linear":
        expected = of_encoder(tmp_path / "preset", classifier, written["kernel"], written["bias"])
        rows, _ = classifier.tokenize(TEXTS)
        np.testing.assert_allclose(classifier.predict_tokens(rows), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "task.json").unlink(), "a KerasHub preset without task.json, so an encoder and no"),
        (
            lambda folder: (folder / "task.json").write_text('{"class_name": "GemmaCausalLM"}'),
            "task.json: class_name is 'GemmaCausalLM', only BertTextClassifier, ",
        ),
        (
            lambda folder: (folder / "task.json").write_text(
                '{"class_name": "BertTextClassifier", "config": {"activation": "tanh"}}'
            ),
            "task.json: activation is 'tanh', only linear, sigmoid, softmax can be converted",
        ),
        (lambda folder: (folder / "task.weights.h5").write_bytes(b"x"), "task.weights.h5: cannot read the head: "),
        (
            lambda folder: h5py.File(folder / "task.weights.h5", "w").close(),
            "task.weights.h5: has no head of its task.json",
        ),
    ],
)
def test_a_task_preset_that_cannot_be_read_is_told(tmp_path, spoil, problem):
    write_task(tmp_path / "preset")
    spoil(tmp_path / "preset")
    assert problem in refusal(tmp_path / "preset", tmp_path / "scratch")


@pytest.mark.parametrize("name", slow_but(ROBERTAS, kept=["Roberta"]))
def test_logits_of_a_roberta_are_those_that_keras_hub_gave(tmp_path, name):
    write_roberta_task(tmp_path / "preset", name)
    classifier = imported(tmp_path / "preset", tmp_path / "scratch")
    rows, _ = classifier.tokenize(BYTE_TEXTS)
    recorded = np.asarray(json.loads((RECORDED / "keras_hub.json").read_text("utf-8"))["logits"][name])
    # KerasHub's RoBERTa ignores "<pad>" in a text.
    same = [name == "XLMRoberta" or "<pad>" not in text for text in BYTE_TEXTS]
    np.testing.assert_allclose(classifier.predict_tokens(rows)[same], recorded[same], atol=1e-5)


def test_a_head_of_another_width_than_the_backbones_is_told(tmp_path):
    write_roberta_task(tmp_path / "preset", "Roberta")
    with h5py.File(tmp_path / "preset" / "task.weights.h5", "a") as file:
        for layer, part, shape in (("dense", 0, (8, 4)), ("dense", 1, (4,)), ("dense_1", 0, (4, 3))):
            del file[f"layers/{layer}/vars/{part}"]
            file[f"layers/{layer}/vars/{part}"] = np.zeros(shape, np.float32)
    problem = refusal(tmp_path / "preset", tmp_path / "scratch")
    assert "task.weights.h5: its first dense layer has 4 outputs, only 8, the backbone's hidden_dim, can be" in problem


@pytest.mark.peers
@pytest.mark.parametrize("name", ["Bert", "DistilBert", *ROBERTAS])
def test_probabilities_are_those_of_keras_hub(name, tmp_path):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    models = pytest.importorskip("keras_hub").models
    words = {"Roberta": WORDS, "XLMRoberta": {"proto": fairseq_model()}}.get(
        name, {"vocabulary": list(VOCABULARY), "lowercase": True}
    )
    tokenizer = getattr(models, f"{name}Tokenizer")(**words)
    model = getattr(models, f"{name}TextClassifier")(
        backbone=getattr(models, f"{name}Backbone")(vocabulary_size=ROBERTAS.get(name, len(VOCABULARY)), **SIZES),
        num_classes=3,
        preprocessor=getattr(models, f"{name}TextClassifierPreprocessor")(tokenizer, sequence_length=16),
        activation="softmax",
    )
    random = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(variable.numpy() + random.normal(size=variable.shape, scale=0.3))
    model.save_to_preset(str(tmp_path / "preset"))
    classifier = imported(tmp_path / "preset", tmp_path / "scratch")
    texts = [*TEXTS, "naïve bike", "good，我 film"]
    np.testing.assert_allclose(classifier.predict(texts), model.predict(texts), atol=1e-5)
    assert classifier.options.sequence_length == 16
    if name in ROBERTAS:
        seconds = texts[::-1]
        packed = tf.data.Dataset.from_tensor_slices((texts, seconds)).batch(len(texts))
        inputs = next(iter(packed.map(lambda first, second: model.preprocessor(x=(first, second)))))
        model.preprocessor = None
        pairs = imported(tmp_path / "preset", tmp_path / "pairs", pairs=True).predict(texts, seconds)
        np.testing.assert_allclose(pairs, model.predict(inputs), atol=1e-5)


@pytest.mark.slow
def test_the_encoder_of_a_task_preset_can_be_trained_on(tmp_path):
    write_task(tmp_path / "preset")
    encoder = load_encoder(find_encoder_folder(EncoderConfig(path=tmp_path / "preset")))
    assert encoder.architecture.num_hidden_layers == 1
