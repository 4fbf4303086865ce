"""DistilBERT and ELECTRA become hub-format encoders as BERT does, and take the ragged graph."""

import json

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file
from support.cases import slow_but
from support.tiny import VOCABULARY

from bert_serving import contract
from bert_serving.config import EncoderConfig
from bert_serving.contract import Pooling
from bert_serving.encoders.architecture import sample_inputs
from bert_serving.encoders.conversion.families import FAMILIES
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.saved_model.graphs.dense import FloatArithmetic
from bert_serving.saved_model.graphs.ragged import RaggedEncoder

CONFIGS = {
    "distilbert": {
        "model_type": "distilbert",
        "vocab_size": len(VOCABULARY),
        "dim": 8,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 16,
        "max_position_embeddings": 32,
        "activation": "gelu",
    },
    "electra": {
        "model_type": "electra",
        "vocab_size": len(VOCABULARY),
        "embedding_size": 8,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
        "hidden_act": "gelu",
    },
}


@pytest.fixture
def bert(hugging_face_folder):
    """Tensors of the tiny BERT; both kinds of text look alike to it, as to a DistilBERT."""
    tensors = load_file(hugging_face_folder / "model.safetensors")
    types = "embeddings.token_type_embeddings.weight"
    return tensors | {types: np.zeros_like(tensors[types])}


def write(folder, config, tensors):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    save_file(tensors, folder / "model.safetensors")
    return folder


def converted(folder):
    target = folder.with_name(f"{folder.name}-converted")
    convert_hugging_face(folder, target)
    return load_encoder(find_encoder_folder(EncoderConfig(path=target)))


def renamed(bert, model_type, *, prefix=""):
    """BERT's tensors under another family's names."""
    ours = {ours: theirs for theirs, ours in FAMILIES["bert"].weight_names(2, projection=False).items()}
    names = FAMILIES[model_type].weight_names(2, projection=False)
    return {f"{prefix}{theirs}": bert[ours[name]] for theirs, name in names.items()}


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["distilbert", "electra"])
def test_the_same_weights_under_other_names_give_berts_outputs(model_type, bert, hugging_face_folder, tmp_path):
    config = json.loads((hugging_face_folder / "config.json").read_text())
    expected = converted(write(tmp_path / "bert", config, bert)).layer(sample_inputs(len(VOCABULARY)))
    # As saved with a head of another task on top.
    tensors = renamed(bert, model_type, prefix=f"{model_type}.") | {"classifier.weight": np.zeros((2, 8), np.float32)}
    found = converted(write(tmp_path / model_type, CONFIGS[model_type], tensors)).layer(sample_inputs(len(VOCABULARY)))
    np.testing.assert_allclose(found["sequence_output"], expected["sequence_output"], atol=1e-6)
    # The pooler that neither has starts as the identity.
    np.testing.assert_allclose(found["pooled_output"], np.tanh(found["sequence_output"][:, 0]), atol=1e-6)


@pytest.mark.parametrize("pooling", slow_but(Pooling, kept=[Pooling.MEAN]))
@pytest.mark.parametrize("embedding_width", [pytest.param(8, marks=pytest.mark.slow), 4])
def test_an_electra_takes_the_ragged_graph(embedding_width, pooling, bert, tmp_path):
    random = np.random.default_rng(2)
    tensors = renamed(bert, "electra")
    if embedding_width != 8:
        tensors = {
            name: tensor[..., :embedding_width] if name.startswith("embeddings.") else tensor
            for name, tensor in tensors.items()
        }
        tensors["embeddings_project.weight"] = random.normal(size=(8, embedding_width)).astype(np.float32)
        tensors["embeddings_project.bias"] = random.normal(size=8).astype(np.float32)
    config = CONFIGS["electra"] | {"embedding_size": embedding_width}
    encoder = converted(write(tmp_path / "electra", config, {k: np.ascontiguousarray(v) for k, v in tensors.items()}))
    assert encoder.architecture.has_projection is (embedding_width != 8)
    inputs = sample_inputs(len(VOCABULARY))
    outputs = encoder.layer(inputs)
    mask = tf.cast(inputs[contract.MASK], tf.float32)[..., tf.newaxis]
    expected = {
        Pooling.POOLER: outputs["pooled_output"],
        Pooling.CLS: outputs["sequence_output"][:, 0],
        Pooling.MEAN: tf.reduce_sum(outputs["sequence_output"] * mask, axis=1) / tf.reduce_sum(mask, axis=1),
        Pooling.MAX: tf.reduce_max(outputs["sequence_output"] - 1e9 * (1 - mask), axis=1),
    }[pooling]
    ragged = RaggedEncoder(
        encoder.architecture,
        {variable.name: variable.numpy() for variable in encoder.layer.variables},
        pooling=pooling,
        arithmetic=FloatArithmetic(tf.float32),
        sequence_length=32,
    )
    real = tf.where(inputs[contract.MASK] != 0)
    words, types = (tf.gather_nd(inputs[name], real) for name in (contract.WORD_IDS, contract.TYPE_IDS))
    lengths = tf.reduce_sum(inputs[contract.MASK], axis=1)
    np.testing.assert_allclose(ragged(words, types, tf.cast(real[:, 1], tf.int32), lengths), expected, atol=5e-6)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("model_type", "changes"),
    [("bert", {}), ("distilbert", {}), ("electra", {"embedding_size": 16}), ("electra", {"embedding_size": 8})],
)
def test_outputs_are_those_of_pytorch(model_type, changes, hugging_face_folder, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    plain = json.loads((hugging_face_folder / "config.json").read_text())
    config = transformers.AutoConfig.for_model(**((CONFIGS | {"bert": plain})[model_type] | changes))
    network = transformers.AutoModel.from_config(config).eval()
    # Fresh weights are small; larger ones let a slip show.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    network.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    inputs = sample_inputs(len(VOCABULARY))
    names = {"input_ids": contract.WORD_IDS, "attention_mask": contract.MASK, "token_type_ids": contract.TYPE_IDS}
    if model_type == "distilbert":
        del names["token_type_ids"]
    with torch.no_grad():
        theirs = network(**{name: torch.tensor(inputs[ours].numpy()).long() for name, ours in names.items()})
    ours = converted(tmp_path / "model").layer(inputs)
    real = inputs[contract.MASK].numpy() != 0
    np.testing.assert_allclose(ours["sequence_output"].numpy()[real], theirs.last_hidden_state.numpy()[real], atol=2e-6)
