"""The ragged graph in 8-bit integers: its dense layers, what they are calibrated on, and its exports."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but

from bert_serving.contract import Graph, Precision
from bert_serving.errors import ExportError
from bert_serving.saved_model import writer
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.graphs import quantized
from bert_serving.saved_model.graphs.calibration import arithmetic_of, measured_ranges
from bert_serving.saved_model.graphs.dense import ACTIVATIONS, FloatArithmetic, Weights
from bert_serving.saved_model.graphs.quantized import QuantizedArithmetic, _Product
from bert_serving.saved_model.graphs.ragged import ragged_encoder
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.operations.audit import audit_operations
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.reference import Reference
from bert_serving.saved_model.verification.verify import verify

FLOAT32 = FloatArithmetic(tf.float32)
ROWS, INPUTS, INNER = 50, 24, 200
RANDOM = np.random.default_rng(4)


def weights(name, inputs, outputs):
    kernel = RANDOM.normal(size=(inputs, outputs), scale=inputs**-0.5).astype(np.float32)
    return Weights(name, kernel, RANDOM.normal(size=outputs).astype(np.float32))


INNER_LAYER, OUTER_LAYER = weights("inner", INPUTS, INNER), weights("outer", INNER, INPUTS)
NORMAL = RANDOM.normal(size=(ROWS, INPUTS)).astype(np.float32)
UNEVEN = NORMAL * np.array([40.0] + [1.0] * (INPUTS - 2) + [0.0], np.float32)


def called(function, *inputs):
    """As a graph, as in an export: without one, TensorFlow's optimizer has nothing to do."""
    return tf.function(lambda *tensors: function(*tensors), autograph=False)(*map(tf.constant, inputs)).numpy()


def error(found, expected):
    """Root mean square of the difference, in parts of the expected values' own."""
    return np.sqrt(np.square(found - expected).mean() / np.square(expected).mean())


def ranges(x, activation="gelu"):
    """What calibration would find for both layers."""
    inside = ACTIVATIONS[activation](FLOAT32.dense(INNER_LAYER)(tf.constant(x))).numpy()
    return {"inner": np.abs(x).max(axis=0), "outer": np.abs(inside).max(axis=0)}


# === Layers ===


@pytest.mark.parametrize("x", [NORMAL, UNEVEN, NORMAL[:1], NORMAL[:0]], ids=["even", "uneven", "one row", "no row"])
def test_a_dense_layer_is_near_the_one_in_float32(x):
    expected = FLOAT32.dense(INNER_LAYER)(tf.constant(x)).numpy()
    found = called(QuantizedArithmetic({"inner": np.abs(x).max(axis=0, initial=0)}).dense(INNER_LAYER), x)
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert not len(x) or 0 < error(found, expected) < 0.03


def test_one_wide_column_does_not_take_the_steps_from_the_others():
    wide = QuantizedArithmetic({"inner": np.abs(UNEVEN).max(axis=0)})
    even = QuantizedArithmetic({"inner": np.full(INPUTS, np.abs(UNEVEN).max(), np.float32)})
    expected = FLOAT32.dense(INNER_LAYER)(tf.constant(UNEVEN)).numpy()
    errors = [error(called(each.dense(INNER_LAYER), UNEVEN), expected) for each in (wide, even)]
    assert errors[0] < errors[1] / 1.5


def test_the_residual_is_added_in_float32():
    layer = QuantizedArithmetic({"inner": np.abs(NORMAL).max(axis=0)}).dense(INNER_LAYER)
    residual = RANDOM.normal(size=(ROWS, INNER), scale=1000).astype(np.float32)
    np.testing.assert_allclose(called(layer.onto, residual, NORMAL), residual + called(layer, NORMAL), atol=1e-3)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_feed_forward_layers_are_near_those_in_float32(activation):
    expected = FLOAT32.feed_forward(INNER_LAYER, OUTER_LAYER, activation)(tf.constant(NORMAL)).numpy()
    layers = QuantizedArithmetic(ranges(NORMAL, activation)).feed_forward(INNER_LAYER, OUTER_LAYER, activation)
    found = called(layers, NORMAL)
    assert found.dtype == np.float32
    assert error(found, expected) < 0.02


def test_what_is_out_of_range_becomes_the_end_of_the_range():
    layer = QuantizedArithmetic({"inner": np.ones(INPUTS, np.float32)}).dense(INNER_LAYER)
    ends = np.sign(NORMAL)
    np.testing.assert_array_equal(called(layer, 1000 * ends), called(layer, 1e9 * ends))
    assert np.abs(called(layer, 1000 * ends)).max() < 100


# === Processors without VNNI ===


def product(kernel, x, *, saturates):
    """x times a kernel of 8-bit integers as vpmaddubsw computes it: inputs from 0 to 255, sums of two products in 16 bits."""
    pairs = np.pad(kernel.astype(np.int64), ((0, len(kernel) % 2), (0, 0))).reshape(-1, 2, kernel.shape[1])
    shifted = np.pad(x.astype(np.int64) + 128, ((0, 0), (0, len(kernel) % 2))).reshape(len(x), -1, 2)
    sums = np.einsum("npk,pko->npo", shifted, pairs)
    if saturates:
        sums = sums.clip(-(2**15), 2**15 - 1)
    return sums.sum(axis=1) - 128 * kernel.astype(np.int64).sum(axis=0)


def worst_inputs(kernel):
    """For each column the inputs at whose ends its positive and its negative values add up most, int8 [2 * outputs, inputs]."""
    signs = np.sign(kernel.T.astype(np.int64))
    return np.concatenate([np.where(signs == side, 127, -127) for side in (1, -1)]).astype(np.int8)


KERNELS = {
    "normal": RANDOM.normal(size=(384, 64)),
    "odd": RANDOM.normal(size=(25, 8)),
    "one row": RANDOM.normal(size=(1, 8)),
    "all alike": np.full((16, 4), -3.0),
    "halves": np.tile([[50.5], [77.5], [51.5], [76.5]], (4, 3)),
    "one large": np.eye(32)[:, :8] * 1000 + RANDOM.normal(size=(32, 8)),
    "zero": np.zeros((6, 2)),
}


@pytest.mark.parametrize("name", list(KERNELS))
def test_no_input_can_saturate_sums_in_16_bits(name):
    kernel = KERNELS[name].astype(np.float32)
    rounded = _Product.of(kernel, np.zeros(kernel.shape[1], np.float32), 1.0).kernel.numpy()
    inputs = np.concatenate([worst_inputs(rounded), RANDOM.integers(-127, 128, (50, len(kernel)))])
    np.testing.assert_array_equal(product(rounded, inputs, saturates=True), product(rounded, inputs, saturates=False))


def test_a_kernel_that_uses_the_whole_range_would_saturate():
    """The emulation itself: it would see the fault."""
    kernel = np.full((4, 1), 127, np.int8)
    inputs = np.full((1, 4), 127, np.int8)
    assert product(kernel, inputs, saturates=False) == 4 * 127 * 127
    assert product(kernel, inputs, saturates=True) < 4 * 127 * 127


ANSWERS_WITHOUT_VNNI = """
import sys, numpy as np, tensorflow as tf
from bert_serving.saved_model.graphs.dense import Weights
from bert_serving.saved_model.graphs.quantized import QuantizedArithmetic
given = dict(np.load(sys.argv[1]))
arithmetic = QuantizedArithmetic({"inner": given["inner_range"], "outer": given["outer_range"]})
layers = [Weights(name, given[name + "_kernel"], given[name + "_bias"]) for name in ("inner", "outer")]
feed_forward = tf.function(arithmetic.feed_forward(*layers, "gelu").__call__, autograph=False)
np.save(sys.argv[2], feed_forward(tf.constant(given["x"])).numpy())
"""


@pytest.mark.parametrize("instructions", slow_but(["AVX2", "AVX512_CORE"], kept=["AVX2"]))
def test_layers_answer_alike_on_processors_without_vnni(instructions, tmp_path):
    """oneDNN is told to leave this processor's newer instructions alone; where it has none of them, this is the plain case."""
    measured = ranges(NORMAL)
    np.savez(
        tmp_path / "given.npz",
        x=NORMAL,
        **{f"{name}_range": measured[name] for name in measured},
        **{
            f"{each.name}_{part}": getattr(each, part)
            for each in (INNER_LAYER, OUTER_LAYER)
            for part in ("kernel", "bias")
        },
    )
    subprocess.run(
        [sys.executable, "-c", ANSWERS_WITHOUT_VNNI, tmp_path / "given.npz", tmp_path / "answers.npy"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": instructions},
        check=True,
        capture_output=True,
    )
    here = called(QuantizedArithmetic(measured).feed_forward(INNER_LAYER, OUTER_LAYER, "gelu"), NORMAL)
    # One step of rounding at most: the activation between the layers is computed by other float instructions.
    assert error(np.load(tmp_path / "answers.npy"), here) < 0.002


# === Calibration ===


@pytest.fixture(scope="session")
def reference(trained):
    table = trained.splits.validation
    return Reference(tuple(table.texts), None, trained.classifier.predict(table.texts))


def test_ranges_are_the_largest_magnitudes_on_the_way_through_the_encoder(trained, reference):
    found = measured_ranges(trained.classifier, reference)
    architecture = trained.classifier.encoder.architecture
    assert len(found) == 4 * architecture.num_hidden_layers + (trained.classifier.options.pooling in ("pooler", "cls"))
    # The first layer sees the normalized embeddings, as in the Keras network.
    rows, _ = trained.classifier.tokenize(reference.texts)
    inputs = trained.classifier.batch(rows, range(len(rows)))
    network = trained.classifier.encoder.layer(inputs)
    mask = inputs["input_mask"].numpy().astype(bool)
    second = np.abs(network["encoder_outputs"][0].numpy()[mask]).max(axis=0)
    of_second = next(each for name, each in found.items() if "layer_1/self_attention/" in name and "key" in name)
    np.testing.assert_allclose(of_second, second, rtol=1e-4)


def test_more_texts_never_narrow_a_range(trained, reference):
    few, many = (measured_ranges(trained.classifier, part) for part in (reference.part(0, 3), reference))
    assert all((many[name] > 0.999 * few[name]).all() for name in many)
    assert any((many[name] > 1.01 * few[name]).any() for name in many)


def test_without_texts_there_is_no_int8(trained):
    with pytest.raises(ExportError, match="int8 measures its ranges on texts, and there are none"):
        arithmetic_of(Precision.INT8, trained.classifier, None)


# === Export ===


@pytest.fixture
def export(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "verify_in_fresh_process", verify)

    def export(**options):
        options = ExportOptions(tmp_path / "models", "tiny", precision=Precision.INT8, **options)
        return export_run(trained.run, options, classifier=trained.classifier)

    return export


def test_an_int8_export_agrees_and_says_what_it_needs(export, trained):
    folder = export(minimum_tf_serving="2.17")
    manifest = load_manifest(folder)
    assert (manifest.precision, manifest.verification.passed) == (Precision.INT8, True)
    assert (manifest.oldest_tf_serving, manifest.limits.max_metric_loss) == ("2.17", 0.01)
    assert manifest.verification.agreement.metric.loss == 0
    assert "_QuantizedMatMul" in audit_operations(folder).operations
    texts = ["good film", "bad " * 9, *trained.splits.test.texts]
    exported = ExportedModel(folder)
    answers = exported.predict(texts)
    assert 0 < np.abs(answers - trained.classifier.predict(texts)).max() < 0.1
    # Ranges are fixed: the other texts of a batch change nothing but the order of float32 sums.
    alone = np.concatenate([exported.predict([text]) for text in texts])
    np.testing.assert_allclose(alone, answers, atol=1e-6)


@pytest.mark.slow
def test_an_export_whose_kernels_may_saturate_is_refused(export, monkeypatch):
    """As exports were before: the greatest value of a column stood for 127."""
    monkeypatch.setattr(quantized, "largest_pair", lambda kernel: np.abs(kernel).max(axis=0))
    folder = export(minimum_tf_serving="2.17")
    monkeypatch.undo()
    result = verify(folder)
    assert not result.passed
    assert re.match(r"\d+ int8 kernels saturate on processors without VNNI", result.problems[0])


@pytest.mark.slow
def test_an_int8_export_runs_in_a_session_as_in_tensorflow_serving(export, trained):
    folder = export(minimum_tf_serving="2.17")
    texts = ["good film", *trained.splits.test.texts[:5]]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = loaded.signature_def["serving_default"]
        found = session.run(signature.outputs["probabilities"].name, {signature.inputs["text"].name: texts})
    np.testing.assert_allclose(found, ExportedModel(folder).predict(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            r"int8 needs TensorFlow Serving 2\.17, the floor is 2\.12 \(--minimum-tf-serving, export\.minimum_tf_serving\); raise it",
        ),
        (
            {"graph": Graph.TRIMMED, "minimum_tf_serving": "2.17"},
            "the trimmed graph computes in float32 only, got int8",
        ),
    ],
)
def test_int8_is_refused_where_it_cannot_be(options, message, export, tmp_path):
    with pytest.raises(ExportError, match=message):
        export(**options)
    assert not list((tmp_path / "models").rglob("saved_model.pb"))


def test_the_weights_take_less_than_half_of_the_room(trained, reference):
    """Of the dense layers' weights; embeddings stay as they are."""
    classifier = trained.classifier

    def size(precision):
        encoder = ragged_encoder(classifier, arithmetic_of(precision, classifier, reference))
        specification = [tf.TensorSpec([None], tf.int32)] * 4
        concrete = tf.function(encoder.__call__, input_signature=specification, autograph=False).get_concrete_function()
        tables = {encoder.word_embeddings.ref(), encoder.position_embeddings.ref()}
        variables = [variable for variable in concrete.variables if variable.ref() not in tables]
        constants = [each for each in concrete.captured_inputs if each.dtype != tf.resource]
        return sum(
            each.shape.num_elements() * each.dtype.size for each in (*variables, *constants) if each.shape.rank == 2
        )

    assert 0 < size(Precision.INT8) < 0.5 * size(Precision.FLOAT32)
