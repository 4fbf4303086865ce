"""The ragged graph against the Keras network, for every pooling, activation and shape of batch."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but

from bert_serving import contract
from bert_serving.classifier import pool
from bert_serving.contract import Pooling
from bert_serving.encoders.architecture import ACTIVATIONS, Architecture, build_network
from bert_serving.saved_model.graphs.dense import FloatArithmetic
from bert_serving.saved_model.graphs.ragged import RaggedEncoder
from bert_serving.saved_model.operations.audit import read_meta_graph

SIZE = Architecture(
    vocab_size=40,
    num_hidden_layers=2,
    hidden_size=16,
    num_attention_heads=4,
    intermediate_size=32,
    max_position_embeddings=300,
)
FLOAT32 = FloatArithmetic(tf.float32)
BATCHES = {
    "one short row": [2],
    "one long row": [290],
    "rows of one length": [7] * 5,
    "short and long": [2, 150, 3, 290, 12, 5],
    "more rows than chains": list(range(2, 30)),
    "only the first token": [1, 1, 4],
}


@pytest.fixture(scope="module")
def network():
    """Networks with random weights, each built once."""
    networks = {}

    def make(activation):
        if activation not in networks:
            tf.random.set_seed(3)
            network = build_network(dataclasses.replace(SIZE, activation=activation))
            random = np.random.default_rng(5)
            for variable in network.variables:
                norm = "layer_norm/gamma" in variable.name
                variable.assign(norm + random.normal(size=variable.shape, scale=0.2))
            networks[activation] = network
        return networks[activation]

    return make


def ragged(network, activation="gelu", *, pooling=Pooling.POOLER, arithmetic=FLOAT32, sequence_length=300):
    weights = {variable.name: variable.numpy() for variable in network.variables}
    return RaggedEncoder(
        dataclasses.replace(SIZE, activation=activation),
        weights,
        pooling=pooling,
        arithmetic=arithmetic,
        sequence_length=sequence_length,
    )


def batch_of(lengths):
    """Flat word ids, type ids and positions, and the same rows padded."""
    random = np.random.default_rng(sum(lengths))
    words = [random.integers(0, SIZE.vocab_size, size) for size in lengths]
    types = [random.integers(0, SIZE.type_vocab_size, size) for size in lengths]
    positions = [np.arange(size) for size in lengths]
    flat = [tf.constant(np.concatenate(rows), tf.int32) for rows in (words, types, positions)]
    padded = {
        name: tf.RaggedTensor.from_row_lengths(values, lengths).to_tensor()
        for name, values in zip(contract.TOKEN_INPUTS, (flat[0], tf.ones_like(flat[0]), flat[1]), strict=True)
    }
    return (*flat, tf.constant(lengths, tf.int32)), padded


def graph_of(encoder):
    specification = [tf.TensorSpec([None], tf.int32)] * 4
    return tf.function(encoder.__call__, input_signature=specification, autograph=False)


@pytest.fixture(scope="module")
def traced(network):
    """Graphs by pooling and sequence length, each traced once."""

    @functools.cache
    def traced(pooling, sequence_length):
        return graph_of(ragged(network("gelu"), pooling=pooling, sequence_length=sequence_length))

    return traced


def operations_of(graph_def):
    """Types of a graph's operations, those of its functions included."""
    nodes = itertools.chain(graph_def.node, *(function.node_def for function in graph_def.library.function))
    return {node.op for node in nodes}


@pytest.mark.parametrize("sequence_length", [128, 300], ids=["two chains", "four chains"])
@pytest.mark.parametrize("pooling", slow_but(Pooling, kept=[Pooling.POOLER, Pooling.MEAN]))
@pytest.mark.parametrize("lengths", list(BATCHES.values()), ids=list(BATCHES))
def test_every_pooling_and_shape_equals_the_padded_network(lengths, pooling, sequence_length, network, traced):
    flat, padded = batch_of(lengths)
    expected = pool(pooling, network("gelu")(padded), padded[contract.MASK])
    found = traced(pooling, sequence_length)(*flat)
    np.testing.assert_allclose(found, expected, atol=5e-6)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_activation_equals_the_padded_network(activation, network):
    flat, padded = batch_of(BATCHES["short and long"])
    expected = network(activation)(padded)[contract.POOLED_OUTPUT]
    np.testing.assert_allclose(ragged(network(activation), activation)(*flat), expected, atol=5e-6)


def test_an_empty_batch_has_an_empty_answer(network):
    nothing = tf.zeros([0], tf.int32)
    assert graph_of(ragged(network("gelu")))(nothing, nothing, nothing, nothing).shape == (0, SIZE.hidden_size)


def test_bfloat16_stays_near_float32_and_halves_the_weights(network):
    flat, _ = batch_of(BATCHES["short and long"])
    exact, rounded = (ragged(network("gelu"), arithmetic=FloatArithmetic(dtype)) for dtype in (tf.float32, tf.bfloat16))
    difference = np.abs(exact(*flat) - rounded(*flat)).max()
    assert 1e-5 < difference < 0.05
    assert rounded.word_embeddings.dtype == tf.bfloat16


def test_the_graph_holds_neither_assertions_nor_control_flow(traced):
    operations = operations_of(traced(Pooling.POOLER, 128).get_concrete_function().graph.as_graph_def())
    assert "MatMul" in operations
    assert "BiasAdd" in operations
    unwanted = {"Assert", "If", "StatelessIf", "While", "StatelessWhile", "Switch", "Merge", "Case", "StatelessCase"}
    assert not operations & unwanted


def test_all_chains_and_signatures_share_one_copy_of_the_weights(network, tmp_path):
    module = tf.Module()
    module.encoder = ragged(network("gelu"), sequence_length=300)
    signatures = {name: graph_of(module.encoder).get_concrete_function() for name in ("one", "other")}
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=signatures)
    saved = tf.train.load_checkpoint(str(tmp_path / "model" / "variables" / "variables"))
    shapes = list(saved.get_variable_to_shape_map().values())
    assert shapes.count([SIZE.intermediate_size, SIZE.hidden_size]) == SIZE.num_hidden_layers
    graph = read_meta_graph(tmp_path / "model").graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    sizes = [
        tf.TensorShape(node.attr["value"].tensor.tensor_shape).num_elements() for node in nodes if node.op == "Const"
    ]
    assert max(sizes) < SIZE.hidden_size**2, "a constant would be held once more for each signature"


def test_the_optimizer_fuses_matrix_products_not_layer_normalization(network):
    """TensorFlow's fused layer normalization computes with an epsilon of 0.001, whatever the graph says."""
    weights = {variable.name: variable.numpy() for variable in network("gelu").variables}
    flat, _ = batch_of([5, 9])
    flat = [each.numpy() for each in flat]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        encoder = RaggedEncoder(SIZE, weights, pooling=Pooling.POOLER, arithmetic=FLOAT32, sequence_length=128)
        inputs = [tf.compat.v1.placeholder(tf.int32, [None]) for _ in flat]
        pooled = encoder(*inputs)
        session.run(tf.compat.v1.global_variables_initializer())
        metadata = tf.compat.v1.RunMetadata()
        options = tf.compat.v1.RunOptions(output_partition_graphs=True)
        session.run(pooled, dict(zip(inputs, flat, strict=True)), options=options, run_metadata=metadata)
    operations = set().union(*map(operations_of, metadata.partition_graphs))
    assert any("FusedMatMul" in operation for operation in operations)
    assert not any("LayerNorm" in operation for operation in operations)
