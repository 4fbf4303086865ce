"""KerasHub presets: their own outputs, live."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from support.hugging_face_folders import PIECES, fairseq_model, sentencepiece_model
from support.keras_hub_presets import ROBERTAS, SIZES, WORDS, write_preset
from support.tiny import VOCABULARY

from bert_serving import contract
from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import sample_inputs
from bert_serving.encoders.conversion.keras_hub import convert_keras_hub, is_keras_hub_preset
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import load_preprocessing

CLASSES = {
    "Bert": {"vocabulary_size": len(VOCABULARY)},
    "DistilBert": {"vocabulary_size": len(VOCABULARY)},
    "Electra": {"vocab_size": len(VOCABULARY), "embedding_dim": 4},
    "Albert": {"vocabulary_size": PIECES, "embedding_dim": 4},
    **{name: {"vocabulary_size": size} for name, size in ROBERTAS.items()},
}
TOKENIZERS = {
    "Albert": lambda: {"proto": sentencepiece_model()},
    "Roberta": lambda: WORDS,
    "XLMRoberta": lambda: {"proto": fairseq_model()},
}
WITHOUT_TYPES = ("DistilBert", *ROBERTAS)
TEXTS = [
    "the film is good",
    "The Bike is notvery bad!",
    "  a wheel,\tgoodly-very (not)  ",
    "wheel 7 & film\u4e2dbad",
    "",
]


@pytest.mark.peers
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_are_those_of_keras_hub(name, tmp_path):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    keras_hub = pytest.importorskip("keras_hub")
    backbone = getattr(keras_hub.models, f"{name}Backbone")(**SIZES, **CLASSES[name])
    random = np.random.default_rng(1)
    for variable in backbone.weights:
        variable.assign(variable.numpy() + random.normal(size=variable.shape, scale=0.3))
    backbone.save_to_preset(str(tmp_path / "preset"))
    words = TOKENIZERS.get(name, lambda: {"vocabulary": list(VOCABULARY), "lowercase": True})
    tokenizer = getattr(keras_hub.tokenizers, f"{name}Tokenizer")(**words())
    tokenizer.save_to_preset(str(tmp_path / "preset"))
    assert is_keras_hub_preset(tmp_path / "preset")
    inputs = sample_inputs(len(VOCABULARY))
    names = {"token_ids": contract.WORD_IDS, "padding_mask": contract.MASK, "segment_ids": contract.TYPE_IDS}
    if name in WITHOUT_TYPES:
        del names["segment_ids"]
    expected = backbone({key: inputs[ours].numpy() for key, ours in names.items()})
    sequence = expected if name in WITHOUT_TYPES else expected["sequence_output"]
    folder = find_encoder_folder(EncoderConfig(path=tmp_path / "preset"))
    found = load_encoder(folder).layer(inputs)
    real = inputs[contract.MASK].numpy() != 0
    np.testing.assert_allclose(found["sequence_output"].numpy()[real], np.asarray(sequence)[real], atol=1e-5)
    if name not in WITHOUT_TYPES:
        np.testing.assert_allclose(found["pooled_output"], np.asarray(expected["pooled_output"]), atol=1e-5)
    preprocessing = load_preprocessing(folder.preprocessing)
    # As in `fit`: KerasHub's byte-level BPE splits words otherwise where it is called outside a pipeline.
    theirs = next(iter(tf.data.Dataset.from_tensor_slices(TEXTS).batch(len(TEXTS)).map(tokenizer))).to_list()
    for text, row in zip(TEXTS, theirs, strict=True):
        ours, *_ = preprocessing.token_rows([text], None, SIZES["max_sequence_length"])
        assert ours[1:-1].tolist() == row, text


@pytest.mark.slow
def test_attention_is_found_under_the_names_of_old_and_new_keras(tmp_path):
    outputs = []
    for name, prefix in {"old": "_", "new": ""}.items():
        write_preset(tmp_path / name, attention_prefix=prefix)
        encoder = load_encoder(find_encoder_folder(EncoderConfig(path=tmp_path / name)))
        outputs.append(encoder.layer(sample_inputs(len(VOCABULARY)))["sequence_output"].numpy())
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("config.json", {"class_name": "GemmaBackbone"}, "class_name is 'GemmaBackbone', only BertBackbone, Dist"),
        ("config.json", {"class_name": "BertBackbone", "config": {}}, "key 'vocabulary_size' is missing in its config"),
        ("model.weights.h5", None, "model.weights.h5: cannot read the weights: "),
    ],
)
def test_a_preset_that_cannot_be_converted_is_told(tmp_path, name, content, problem):
    config = {"class_name": "BertBackbone", "config": SIZES | CLASSES["Bert"]}
    for file, value in {"config.json": config, "tokenizer.json": {"config": {}}}.items():
        (tmp_path / file).write_text(json.dumps(value))
    (tmp_path / "model.weights.h5").write_bytes(b"no weights")
    if content is not None:
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(EncoderError) as raised:
        convert_keras_hub(tmp_path, tmp_path / "out")
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)
