"""Fine-tuned classifiers of Hugging Face, served without training."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.hugging_face_folders import CLASSES, WIDTH, configuration, write_fine_tuned, write_vocabulary
from support.tiny import VOCABULARY
from support.tokenizer_folders import rules

from bert_serving import contract
from bert_serving.classifier import Classifier
from bert_serving.contract import Head
from bert_serving.encoders.conversion.classification_head import read_head
from bert_serving.errors import EncoderError
from bert_serving.hugging_face import convert_classifier, trained_length
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.reader import ExportedModel

TEXTS = ["good film", "the bike is not very good", "", "bad wheel bad"]
LABELS = ("praise", "blame", "neither")


def change_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def refusal(folder, scratch) -> str:
    with pytest.raises(EncoderError) as raised:
        convert_classifier(folder, scratch)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("fine_tuned")
    for model_type in CLASSES:
        write_fine_tuned(base / model_type, model_type)
    return base


@pytest.fixture
def bert(folders, tmp_path):
    return shutil.copytree(folders / "bert", tmp_path / "bert")


# === What it answers ===


@pytest.mark.parametrize(
    ("changes", "labels", "head", "expected"),
    [
        ({"problem_type": None}, LABELS, Head.SOFTMAX, LABELS),
        ({"problem_type": "multi_label_classification"}, LABELS, Head.MULTILABEL, LABELS),
        ({"problem_type": "regression"}, ("score",), Head.REGRESSION, ()),
        ({}, ("score",), Head.REGRESSION, ()),
        ({"id2label": ...}, ("a", "b"), Head.SOFTMAX, ("LABEL_0", "LABEL_1")),
        ({"id2label": {"1": "b", "0": "a"}}, ("x", "y"), Head.SOFTMAX, ("a", "b")),
        ({"id2label": {"0": 1, "1": 5}}, ("x", "y"), Head.SOFTMAX, ("1", "5")),
        ({"label2id": {"LABEL_0": 0, "LABEL_1": 1}}, ("x", "y"), Head.SOFTMAX, ("x", "y")),
        ({"label2id": {"x": "0", "y": "1"}, "num_labels": 3}, ("x", "y"), Head.SOFTMAX, ("x", "y")),
    ],
)
def test_the_configuration_tells_head_and_labels(tmp_path, changes, labels, head, expected):
    write_fine_tuned(tmp_path / "mine", "bert", labels=labels)
    change_config(tmp_path / "mine", **changes)
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    found = read_head(tmp_path / "mine", config, load_file(tmp_path / "mine" / "model.safetensors"))
    assert (found.head, found.labels) == (head, expected)
    assert found.output[0].shape == (WIDTH, len(labels))


@pytest.mark.parametrize(
    ("longest", "positions", "expected"),
    [
        (16, 32, 16),
        (None, 32, 32),
        (1024, 1024, 1024),
        (None, 1024, 512),
        (1024, 512, 512),
    ],
)
def test_texts_are_cut_where_the_tokenizer_was_told_to(longest, positions, expected):
    assert trained_length(longest, positions=positions) == expected


# === Export ===


@pytest.mark.parametrize(
    ("model_type", "graph"),
    [
        ("bert", "ragged"),
        pytest.param("distilbert", "ragged", marks=pytest.mark.slow),
        pytest.param("electra", "ragged", marks=pytest.mark.slow),
        pytest.param("albert", "trimmed", marks=pytest.mark.slow),
    ],
)
def test_a_folder_becomes_a_served_model_with_its_labels(folders, bert_serving, tmp_path, model_type, graph):
    ended = bert_serving("export", folders / model_type, "--to", "models")
    assert (ended.status, ended.err) == (0, "")
    folder = tmp_path / "models" / model_type / "1"
    manifest = load_manifest(folder)
    assert (manifest.labels, manifest.graph, manifest.metrics) == (LABELS, graph, {})
    assert manifest.verification.passed
    exported = ExportedModel(folder)
    converted = convert_classifier(folders / model_type, tmp_path / "scratch").classifier
    np.testing.assert_allclose(exported.predict(TEXTS), converted.predict(TEXTS), atol=1e-5)
    answers = exported.call(contract.SERVING_DEFAULT, text=TEXTS)[contract.LABEL]
    assert set(answers) <= {label.encode() for label in LABELS}
    card = (folder / contract.CARD_FILE).read_text("utf-8")
    assert CLASSES[model_type] in card
    assert "it was not evaluated here" in card
    ended = bert_serving("predict", folder, "good film")
    assert ended.status == 0
    assert any(label in ended.out for label in LABELS)


@pytest.mark.slow
def test_with_texts_a_classifier_is_compared_on_them_and_takes_int8(folders, bert_serving, tmp_path):
    (tmp_path / "texts.tsv").write_text("text\n" + "".join(f"{text}\n" for text in TEXTS if text), "utf-8")
    options = ["--texts", "texts.tsv", "--precision", "int8", "--minimum-tf-serving", "2.17"]
    ended = bert_serving("export", folders / "bert", "--to", "models", "--name", "small", *options)
    assert (ended.status, ended.err) == (0, "")
    manifest = load_manifest(tmp_path / "models" / "small" / "1")
    assert (manifest.precision, manifest.oldest_tf_serving) == ("int8", "2.17")
    assert manifest.verification.agreement.rows == len([text for text in TEXTS if text])


@pytest.mark.slow
def test_a_pair_classifier_takes_two_texts(folders, bert_serving, tmp_path):
    ended = bert_serving(
        "export", folders / "bert", "--to", "models", "--name", "pairs", "--pairs", "--sequence-length", 16
    )
    assert (ended.status, ended.err) == (0, "")
    manifest = load_manifest(tmp_path / "models" / "pairs" / "1")
    assert (manifest.pairs, manifest.sequence_length) == (True, 16)


# === Mistakes ===


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"architectures": ["BertModel"]}, "not a fine-tuned classifier: its architectures are BertModel, expected"),
        (
            {"id2label": {"0": "a", "1": "b"}},
            "config.json: id2label names 2 labels, its head has 3 outputs, 0 to 2; id2label lacks 2; correct id2label",
        ),
        (
            {"id2label": {"0": "a", "2": "b"}},
            "config.json: id2label names 2 labels, its head has 3 outputs, 0 to 2; id2label lacks 1",
        ),
        (
            {"id2label": {"1": "a", "2": "b", "3": "c"}},
            "config.json: id2label names 3 labels, its head has 3 outputs, 0 to 2; id2label lacks 0 and has 3, too",
        ),
        ({"id2label": {"0": "a", "1": "b", "01": "c"}}, "config.json: id2label must map numbers to labels"),
        ({"id2label": {"0": "a", "1": "b", "2": None}}, "config.json: id2label must map numbers to labels"),
        ({"id2label": {"praise": 0, "blame": 1, "neither": 2}}, "config.json: id2label must map numbers to labels"),
        (
            {"label2id": {"praise": 1, "blame": 0, "neither": 2}},
            "config.json: id2label has 'praise' as 0, label2id as 1; correct the wrong one",
        ),
        (
            {"id2label": ..., "num_labels": 5},
            "config.json: num_labels is 5, its head has 3 outputs; correct num_labels",
        ),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "config.json: id2label gives two outputs one name: a, b, a"),
        (
            {"id2label": {"0": "a", "1": "b", "2": " "}},
            "config.json: id2label has ' ', which cannot be a label: it must not be empty",
        ),
        (
            {"id2label": {"0": "a", "1": "b", "2": "c\td"}},
            "config.json: id2label has 'c\\td', which cannot be a label: it must hold no control character",
        ),
        ({"id2label": ["a", "b", "c"]}, "config.json: id2label must map numbers to labels"),
        ({"problem_type": "ranking"}, "config.json: problem_type 'ranking' is not one of single_label_classification"),
        ({"problem_type": "regression"}, "config.json: problem_type 'regression' with 3 outputs cannot be served"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_told(bert, tmp_path, changes, problem):
    change_config(bert, **changes)
    assert f"{bert}: {problem}" in refusal(bert, tmp_path / "scratch")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("classifier.weight", "its weights lack classifier.weight or classifier.bias, so its head was not saved"),
        ("bert.pooler.dense.bias", "its weights lack pooler.dense.weight or pooler.dense.bias"),
    ],
)
def test_a_missing_tensor_of_the_head_is_told(bert, tmp_path, name, problem):
    tensors = load_file(bert / "model.safetensors")
    del tensors[name]
    save_file(tensors, bert / "model.safetensors")
    assert problem in refusal(bert, tmp_path / "scratch")


def test_pickled_weights_are_never_read(bert, tmp_path):
    (bert / "model.safetensors").rename(bert / "pytorch_model.bin")
    assert "is a pickle, which can run any code when it is read, so it is refused" in refusal(bert, tmp_path / "w")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export {hf} --to models", "not a fine-tuned classifier: its architectures are none"),
        ("export {run} --to models --pairs", "--pairs and --texts are for a classifier that was fine-tuned elsewhere"),
        (
            "export {run} --to models --texts x.txt",
            "--pairs and --texts are for a classifier that was fine-tuned elsewhere",
        ),
        ("export {bert} --to models --texts nothing.txt", "nothing.txt: cannot be read: No such file or directory"),
        ("export {bert} --to models --minimum-tf-serving new", "'new' is not a version; give one such as 2.17"),
        (
            "export {bert} --to models --precision int8 --minimum-tf-serving 2.17",
            "int8 measures its ranges on texts, and there are none",
        ),
        (
            "export {bert} --to models --sequence-length 99",
            "sequence_length is 99, the encoder takes at most 32 tokens",
        ),
        ("export {bert} --to models --name a/b", "'a/b' cannot name a model"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    line, message, folders, trained, hugging_face_folder, bert_serving, tmp_path
):
    places = {"hf": hugging_face_folder, "run": trained.run.path, "bert": folders / "bert"}
    ended = bert_serving(*(part.format(**places) for part in line.split()))
    assert ended.status == 2
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not list(tmp_path.rglob("saved_model.pb"))


# === Tokenizer and weights ===


@pytest.mark.slow  # tests/encoders/conversion/test_odd_folders.py has a cheaper case
@pytest.mark.parametrize(("changes", "lower_case"), [({"do_lower_case": False}, False), ({}, True)])
def test_a_vocabulary_in_tokenizer_json_alone_is_enough(bert, tmp_path, changes, lower_case):
    (bert / "vocab.txt").unlink()
    (bert / "tokenizer.json").write_text(json.dumps(rules(VOCABULARY, lowercase=not lower_case)))
    (bert / "tokenizer_config.json").write_text(json.dumps(changes))
    rows, _ = convert_classifier(bert, tmp_path / "scratch").classifier.tokenize(["GOOD film"])
    assert rows.words.tolist() == [2, VOCABULARY.index("good" if lower_case else "[UNK]"), VOCABULARY.index("film"), 3]


@pytest.mark.parametrize(
    ("tokenizer", "problem"),
    [
        ({"model": None}, "tokenizer.json: cannot read its vocabulary: TypeError"),
        ({"model": {"type": "BPE", "vocab": {}}}, 'tokenizer.json: model is "BPE", only "WordPiece" can be converted'),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0, "b": 2}}}, "the ids have gaps or repeat"),
        ({"model": {"type": "WordPiece", "vocab": 3}}, "tokenizer.json: cannot read its vocabulary: TypeError"),
    ],
)
def test_a_tokenizer_json_that_is_not_berts_is_told(bert, tmp_path, tokenizer, problem):
    (bert / "vocab.txt").unlink()
    (bert / "tokenizer.json").write_text(json.dumps(rules(VOCABULARY) | {"added_tokens": []} | tokenizer))
    assert problem in refusal(bert, tmp_path / "scratch")


@pytest.mark.slow
def test_a_table_padded_beyond_the_vocabulary_is_served(bert, bert_serving, tmp_path):
    tensors = load_file(bert / "model.safetensors")
    words = tensors["bert.embeddings.word_embeddings.weight"]
    expected = convert_classifier(bert, tmp_path / "scratch").classifier.predict(TEXTS)
    # The rows beyond the vocabulary are never read, whatever they hold.
    padding = np.full((3, words.shape[1]), np.nan, np.float32)
    save_file(
        tensors | {"bert.embeddings.word_embeddings.weight": np.concatenate([words, padding])},
        bert / "model.safetensors",
    )
    change_config(bert, vocab_size=len(words) + 3)
    ended = bert_serving("export", bert, "--to", "models")
    assert ended.status == 0
    assert (
        "the embedding table has 3 rows more than the vocabulary has tokens; they are never used"
        in ended.out + ended.err
    )
    np.testing.assert_allclose(ExportedModel(tmp_path / "models" / "bert" / "1").predict(TEXTS), expected, atol=1e-5)


@pytest.mark.slow
def test_labels_without_names_are_told(bert, tmp_path):
    change_config(bert, id2label=...)
    converted = convert_classifier(bert, tmp_path / "scratch")
    assert [note.partition(",")[0] for note in converted.notes] == ["its labels are LABEL_0 to LABEL_2"]


def test_pairs_need_a_tokenizer_that_tells_them_apart(bert, tmp_path):
    (bert / "tokenizer_config.json").write_text('{"model_input_names": ["input_ids", "attention_mask"]}')
    with pytest.raises(
        EncoderError, match="token_type_ids, which tell the texts of a pair apart; if it was fine-tuned"
    ):
        convert_classifier(bert, tmp_path / "scratch", pairs=True)


# === PyTorch's own answers ===


@pytest.mark.peers
@pytest.mark.parametrize("model_type", CLASSES)
@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification", "regression"])
def test_probabilities_and_token_ids_are_those_of_pytorch(model_type, problem, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path / "model"
    folder.mkdir()
    write_vocabulary(folder, model_type)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, tokenizer_type=model_type)
    labels = ["score"] if problem == "regression" else list(LABELS)
    config = transformers.AutoConfig.for_model(
        **configuration(model_type),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        problem_type=problem,
    )
    network = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    # Fresh weights are small; larger ones let a slip show.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    saved = tmp_path / "saved"
    network.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    for columns in ([TEXTS], [TEXTS, TEXTS[::-1]]):
        encoded = tokenizer(*columns, padding=True, return_tensors="pt", truncation=True, max_length=32)
        with torch.no_grad():
            logits = network(**encoded).logits.numpy()
        scratch = tmp_path / f"scratch{len(columns)}"
        classifier: Classifier = convert_classifier(saved, scratch, pairs=len(columns) > 1).classifier
        rows, _ = classifier.tokenize(*columns)
        theirs = [
            ids[mask == 1].tolist() for ids, mask in zip(encoded["input_ids"], encoded["attention_mask"], strict=True)
        ]
        assert [row.tolist() for row in np.split(rows.words, rows.offsets[1:-1])] == theirs
        np.testing.assert_allclose(classifier.predict_tokens(rows), logits, atol=1e-5)
    assert classifier.encoder.architecture.hidden_size == WIDTH
