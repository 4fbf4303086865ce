"""Re-initialized layers: which weights are new, how they are drawn, and what is refused."""

import numpy as np
import pytest
from support.family_encoders import write_family_encoder
from support.runs import assert_same_weights, history_of, interrupted_and_resumed, no_pictures  # noqa: F401  no_pictures is a fixture
from support.tiny import write_hugging_face_folder, write_run_file

from bert_serving.config import EncoderConfig, load_run_file
from bert_serving.contract import Pooling
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder
from bert_serving.training.techniques.new_layers import reinitialize


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """An encoder of three layers, wide enough to measure a deviation."""
    folder = tmp_path_factory.mktemp("wide")
    write_hugging_face_folder(folder / "hugging_face", layers=3, width=32)
    convert_hugging_face(folder / "hugging_face", folder / "encoder")
    return find_encoder_folder(EncoderConfig(path=folder / "encoder"))


def weights_after(folder, *arguments, **options) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    encoder = load_encoder(folder)
    before = {variable.name: variable.numpy() for variable in encoder.layer.variables}
    reinitialize(encoder, *arguments, **options)
    return before, {variable.name: variable.numpy() for variable in encoder.layer.variables}


@pytest.mark.parametrize(
    ("layers", "pooling", "new"),
    [
        (1, Pooling.POOLER, ("transformer/layer_2/", "pooler_transform/")),
        (2, Pooling.MEAN, ("transformer/layer_2/", "transformer/layer_1/")),
        (3, Pooling.CLS, ("transformer/",)),
    ],
)
def test_the_last_layers_alone_are_new_and_drawn_as_berts(layers, pooling, new, wide):
    before, after = weights_after(wide, layers, pooling=pooling)
    kernels = []
    for name, value in after.items():
        if not name.startswith(new):
            np.testing.assert_array_equal(value, before[name], err_msg=name)
        elif name.endswith("/kernel:0"):
            kernels.append(value.reshape(-1))
        else:
            np.testing.assert_array_equal(value, float(name.endswith("/gamma:0")), err_msg=name)
    drawn = np.concatenate(kernels)
    assert len(kernels) == 6 * layers + (pooling is Pooling.POOLER)
    assert np.abs(drawn).max() <= 2 * 0.02
    # A normal distribution cut at two deviations has 0.88 of its deviation left.
    np.testing.assert_allclose([drawn.mean(), drawn.std()], [0, 0.88 * 0.02], atol=3e-4)
    assert len(np.unique(drawn)) > 0.9 * len(drawn), "no two kernels are alike"


def test_the_seed_decides_the_weights(wide):
    name = "transformer/layer_2/output/kernel:0"
    first, again, other = (weights_after(wide, 1, seed=seed)[1][name] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["modernbert", "electra"])
def test_other_families_get_new_layers(family, tmp_path):
    write_family_encoder(tmp_path / family, family)
    before, after = weights_after(find_encoder_folder(EncoderConfig(path=tmp_path / family)), 1)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert any(name.startswith("transformer/layer_1/") for name in changed)
    assert all(name.startswith(("transformer/layer_1/", "pooler_")) for name in changed)


@pytest.mark.parametrize(
    ("layers", "frozen", "rest"),
    [(4, 0, "the encoder has 3 layers; lower it"), (2, 2, "the encoder has 3 layers, 2 of them frozen; lower it")],
)
def test_more_layers_than_there_are_to_train_are_refused(layers, frozen, rest, wide, rows, tmp_path):
    path = write_run_file(tmp_path, wide.encoder.parent, rows, epochs=1)
    config = load_run_file(path, [f"encoder.reinitialized_layers={layers}", f"encoder.frozen_layers={frozen}"])
    with pytest.raises(EncoderError) as raised:
        train(config, tmp_path / "run")
    assert str(raised.value) == f"encoder.reinitialized_layers is {layers}, {rest}"
    assert not RunFolder(tmp_path / "run").path.exists()


def test_shared_layers_are_refused(tmp_path):
    write_family_encoder(tmp_path / "albert", "albert")
    with pytest.raises(
        EncoderError, match=r"reinitialized_layers is 1, and needs .* weights of their own; leave it out"
    ):
        reinitialize(load_encoder(find_encoder_folder(EncoderConfig(path=tmp_path / "albert"))), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["encoder.frozen_layers=1", "encoder.reinitialized_layers=2"],
        ["encoder.reinitialized_layers=2", "training.gradual_unfreezing=2"],
    ],
    ids=["above frozen layers", "with gradual unfreezing"],
)
def test_a_resumed_run_ends_with_the_same_weights(settings, wide, rows, tmp_path):
    config = load_run_file(write_run_file(tmp_path, wide.encoder.parent, rows, epochs=2), settings)
    whole = train(config, tmp_path / "whole").run
    resumed = interrupted_and_resumed(config, tmp_path / "stopped")
    assert history_of(resumed) == history_of(whole)
    assert_same_weights(resumed, whole)
