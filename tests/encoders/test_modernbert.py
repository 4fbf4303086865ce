"""ModernBERT's network: the logits that transformers gives, local attention in blocks, global attention in steps."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.modernbert import VARIANTS, VOCABULARY, token_rows, write_modernbert
from support.paths import RECORDED

from bert_serving import contract
from bert_serving.encoders.architecture import (
    AnyArchitecture,
    Architecture,
    assign_weights,
    layered_bert,
    load_architecture,
    rebuild_network,
    sample_inputs,
)
from bert_serving.encoders.conversion.hugging_face import encoder_weights
from bert_serving.encoders.conversion.modernbert import read_modernbert_architecture
from bert_serving.encoders.dropout import reseed_dropout
from bert_serving.encoders.loading import LoadedEncoder, network_from
from bert_serving.encoders.modernbert import attention
from bert_serving.encoders.modernbert.architecture import ModernBertArchitecture
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import EncoderError
from bert_serving.training.strategy import mixed_precision

REFERENCE = json.loads((RECORDED / "modernbert_reference.json").read_text("utf-8"))["logits"]
# transformers' own two implementations of attention differ by 2.5e-6 here.
TOLERANCE = 1e-5
SIZE = ModernBertArchitecture(VOCABULARY, 16, 2, 24, 64, (True, False, False, True), window=4, has_pooler=True)


def read(folder: Path) -> tuple[AnyArchitecture, dict[str, np.ndarray]]:
    config = json.loads((folder / "config.json").read_text())
    return encoder_weights(read_safetensors(folder), read_modernbert_architecture(config), config)


def batch(rows: list[list[int]]) -> dict[str, tf.Tensor]:
    """Rows of token ids, padded to the longest."""
    longest = max(map(len, rows))
    ids = np.array([row + [0] * (longest - len(row)) for row in rows], np.int32)
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows], np.int32)
    return dict(zip(contract.TOKEN_INPUTS, map(tf.constant, (ids, mask, 0 * mask)), strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_those_that_transformers_gave(tmp_path, variant):
    tensors = write_modernbert(tmp_path / "model", **VARIANTS[variant])
    network = rebuild_network(*read(tmp_path / "model"))

    def logits(rows: list[list[int]], *, training: bool = False) -> np.ndarray:
        pooled = network(batch(rows), training=training)[contract.POOLED_OUTPUT]
        return (pooled @ tensors["classifier.weight"].T + tensors["classifier.bias"]).numpy()

    np.testing.assert_allclose(logits(token_rows()), REFERENCE[variant], atol=TOLERANCE, rtol=0)
    # Without dropout, training is the same arithmetic on another path.
    np.testing.assert_allclose(logits(token_rows(), training=True), REFERENCE[variant], atol=TOLERANCE, rtol=0)
    alone = [logits([row])[0] for row in token_rows()[::3]]
    np.testing.assert_allclose(alone, REFERENCE[variant][::3], atol=TOLERANCE, rtol=0)


def test_every_key_of_the_configuration_changes_the_recorded_logits():
    values = [np.array(logits) for logits in REFERENCE.values()]
    differences = [np.abs(a - b)[2:].max() for i, a in enumerate(values) for b in values[:i]]
    assert min(differences) > 1000 * TOLERANCE


# === Attention ===


def heads(length: int, *, seed: int = 0) -> list[tf.Tensor]:
    random = np.random.default_rng(seed)
    return [tf.constant(random.normal(size=(3, 2, length, 6)), tf.float32) for _ in range(3)]


def written_out(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, allowed: np.ndarray) -> np.ndarray:
    """Attention with the whole matrix of scores; `allowed`: bool [B, T, T]."""
    scores = np.einsum("bnqd,bnkd->bnqk", query, key)
    scores = np.where(allowed[:, np.newaxis], scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.einsum("bnqk,bnkd->bnqd", powers / powers.sum(axis=-1, keepdims=True), value)


def masks(length: int) -> np.ndarray:
    """Rows that are full, half full, and of one token."""
    return (np.arange(length) < np.array([[length], [(length + 1) // 2], [1]])).astype(np.int32)


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 9, 21])
def test_local_attention_is_that_of_the_whole_matrix(length, window):
    parts, mask = heads(length), masks(length)
    near = np.abs(np.subtract.outer(np.arange(length), np.arange(length))) <= window
    found = attention.local_attention(
        *parts, attention.window_bias(tf.constant(mask), window), dropout=None, training=False
    )
    for row, tokens in enumerate(mask.sum(axis=1)):
        expected = written_out(*(part[row : row + 1, :, :tokens] for part in parts), near[np.newaxis, :tokens, :tokens])
        np.testing.assert_allclose(found[row : row + 1, :, :tokens], expected, atol=1e-6)


@pytest.mark.parametrize("scores", [1, 3 * 2 * 9 * 4, 10**6])
def test_global_attention_in_steps_is_that_of_the_whole_matrix(scores, monkeypatch):
    monkeypatch.setattr(attention, "_SCORES", scores)
    parts, mask = heads(9), masks(9)
    bias = attention.padding_bias(tf.constant(mask))
    allowed = np.broadcast_to(mask[:, np.newaxis] != 0, (3, 9, 9))
    found = attention.global_attention(*parts, bias, dropout=None, training=False)
    np.testing.assert_allclose(found, written_out(*parts, allowed), atol=1e-6)


def test_padding_alone_gives_numbers():
    parts, nothing = heads(6), tf.zeros([3, 6], tf.int32)
    for found in (
        attention.local_attention(*parts, attention.window_bias(nothing, 2), dropout=None, training=False),
        attention.global_attention(*parts, attention.padding_bias(nothing), dropout=None, training=False),
    ):
        assert np.isfinite(found).all()


def test_rotary_angles_stay_exact_at_the_last_of_8192_positions():
    for theta in (10_000.0, 160_000.0):
        cosine, sine = attention.rotary_angles(tf.constant(8192), 64, theta)
        # In the order of roundings of transformers, `compute_default_rope_parameters`.
        powers = (theta ** (np.arange(0, 64, 2) / 64)).astype(np.float32)
        angles = (np.float32(8191) * (np.float32(1) / powers)).astype(np.float64)
        np.testing.assert_allclose(cosine[0, 0, -1], np.cos(angles), atol=1e-6)
        np.testing.assert_allclose(sine[0, 0, -1], np.sin(angles), atol=1e-6)


# === The network ===


def test_variables_have_the_names_that_other_encoders_have():
    names = {variable.name for variable in network_from(SIZE).variables}
    assert {"word_embeddings/embeddings:0", "embeddings/layer_norm/gamma:0", "pooler_transform/kernel:0"} < names
    assert "transformer/layer_1/self_attention_layer_norm/gamma:0" in names
    assert "transformer/layer_0/self_attention_layer_norm/gamma:0" not in names
    assert len(names) == 28


@pytest.mark.parametrize("part", ["embedding_dropout", "attention_dropout", "dropout"])
def test_dropout_can_be_seeded_in_every_part(part):
    network = network_from(ModernBertArchitecture(VOCABULARY, 16, 2, 24, 64, (True, False), **{part: 0.2}))

    def pooled(seed: int) -> np.ndarray:
        reseed_dropout(network, (seed,))
        return network(sample_inputs(VOCABULARY), training=True)[contract.POOLED_OUTPUT].numpy()

    assert (pooled(1) == pooled(1)).all()
    assert (pooled(1) != pooled(2)).any()


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_mixed_precision_stays_near_float32(kind):
    full = network_from(SIZE)
    with mixed_precision(kind):
        mixed = network_from(SIZE, blank=True)
    assign_weights(mixed, {variable.name: variable.numpy() for variable in full.variables})
    inputs = sample_inputs(VOCABULARY)
    expected, found = (network(inputs)[contract.POOLED_OUTPUT] for network in (full, mixed))
    assert found.dtype == tf.float32
    assert 0 < np.abs(expected - found).max() < 0.05


def test_an_encoder_tells_its_limits():
    encoder = LoadedEncoder(network_from(SIZE, blank=True), SIZE)
    assert (encoder.positions, encoder.vocabulary, encoder.types) == (64, VOCABULARY, None)
    assert layered_bert(SIZE) is None


# === encoder.json ===


def test_a_description_is_read_back(tmp_path):
    SIZE.save(tmp_path / "encoder.json")
    assert load_architecture(tmp_path / "encoder.json") == SIZE
    bert = Architecture(20, 3, 8, 2, 16, 32)
    bert.save(tmp_path / "encoder.json")
    assert load_architecture(tmp_path / "encoder.json") == bert


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_type": "newer"}, "model_type is 'newer', expected 'modernbert' or none; convert the encoder again"),
        ({"window": ...}, None),
        ({"hidden_size": ...}, "missing 1 required positional argument: 'hidden_size'"),
        ({"global_layers": ...}, "'global_layers'; convert the encoder again"),
        ({"heads": 3}, "unknown key 'heads'; convert the encoder again"),
    ],
)
def test_a_damaged_description_is_one_line(tmp_path, changes, problem):
    path = tmp_path / "encoder.json"
    SIZE.save(path)
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    if problem is None:
        assert load_architecture(path).num_hidden_layers == 4
        return
    with pytest.raises(EncoderError) as raised:
        load_architecture(path)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)
