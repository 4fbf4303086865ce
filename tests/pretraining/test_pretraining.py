"""Masked-language-model pretraining: masks, rows, a run, and what is written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but
from support.hugging_face_folders import write_fine_tuned
from support.tiny import VOCABULARY

from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import sample_inputs
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import BertServingError, EncoderError, RunFileError
from bert_serving.io.cache import folder_sha256
from bert_serving.observer import Observer
from bert_serving.pretraining.config import MaskingConfig, StartConfig, load_pretraining_file
from bert_serving.pretraining.masking import MaskingRule, mask_batch
from bert_serving.pretraining.network import start
from bert_serving.text.preprocessing import write_preprocessing
from bert_serving.text.vocabulary import SPECIAL_TOKENS

MASK = VOCABULARY.index("[MASK]")


def rule(**changes) -> MaskingRule:
    return MaskingRule.of(MaskingConfig(**changes), VOCABULARY, SPECIAL_TOKENS)


# === Masks ===


@pytest.fixture(scope="module")
def batch():
    """400 rows of 40 word pieces, some with padding behind them."""
    random = np.random.default_rng(0)
    words = random.integers(5, len(VOCABULARY), (400, 40)).astype(np.int32)
    words[:, 0], words[:, 20] = 2, 3
    mask = np.ones_like(words)
    mask[::2, 30:] = 0
    words[mask == 0] = 0
    return words, mask


def test_so_many_word_pieces_are_chosen_and_most_are_shown_as_mask(batch):
    words, mask = batch
    masked = mask_batch(words, mask, rule(), np.random.default_rng(1))
    rows, columns = np.nonzero(masked.weights)
    places = masked.positions[rows, columns]
    assert len(rows) == sum(int(0.15 * (row.sum() - 2)) for row in mask)
    shown, were = masked.words[rows, places], words[rows, places]
    np.testing.assert_array_equal(masked.labels[rows, columns], were)
    assert np.mean(shown == MASK) == pytest.approx(0.8, abs=0.03)
    # Of a random word piece one of ten is the one that was there.
    assert np.mean(shown == were) == pytest.approx(0.1 + 0.1 / 10, abs=0.03)
    assert not np.isin(were, [0, 2, 3]).any()
    assert not np.isin(shown, [0, 1, 2, 3]).any()


def test_nothing_else_is_changed_and_no_place_is_chosen_twice(batch):
    words, mask = batch
    masked = mask_batch(words, mask, rule(mask_selection_rate=0.25), np.random.default_rng(1))
    for row in range(len(words)):
        places = masked.positions[row][masked.weights[row] == 1]
        assert len(set(places)) == len(places)
        np.testing.assert_array_equal(np.delete(masked.words[row], places), np.delete(words[row], places))


def test_masks_differ_from_draw_to_draw_and_repeat_with_the_seed(batch):
    words, mask = batch
    first, again, other = (mask_batch(words, mask, rule(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.words, again.words)
    assert not np.array_equal(first.words, other.words)


def test_whole_words_are_masked_together(batch):
    words, mask = batch
    piece = VOCABULARY.index("##ly")
    masked = mask_batch(
        words,
        mask,
        rule(whole_words=True, mask_selection_rate=0.3, mask_token_rate=1, random_token_rate=0),
        np.random.default_rng(3),
    )
    inside = (words[:, 1:] == piece) & (words[:, :-1] > 4) & (words[:, :-1] != piece)
    hidden = masked.words == MASK
    assert inside.sum() > 500
    np.testing.assert_array_equal(hidden[:, 1:][inside], hidden[:, :-1][inside])


def test_a_row_with_nothing_to_guess_has_no_weight():
    words = np.array([[2, 3, 0, 0], [2, 5, 3, 0]], np.int32)
    masked = mask_batch(words, (words != 0).astype(np.int32), rule(), np.random.default_rng(0))
    assert masked.weights.sum(axis=1).tolist() == [0, 1]


# === Run files ===


def write_run_file(folder: Path, encoder: str, **masking) -> Path:
    random = np.random.default_rng(0)
    texts = [
        " ".join(random.choice(["good film", "bad bike", "very good wheel", "the film is bad"], 4)) for _ in range(60)
    ]
    (folder / "texts.txt").write_text("\n".join(texts), "utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    lines = [
        *("[data]", 'train = "texts.txt"', "validation_fraction = 0.2"),
        *("[encoder]", encoder),
        *("[masking]", "sequence_length = 16", *(f"{key} = {json.dumps(value)}" for key, value in masking.items())),
        *("[training]", "epochs = 3", "batch_size = 8", "learning_rate = 0.01"),
    ]
    path = folder / "pretrain.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


SIZE = 'num_hidden_layers = 1\nhidden_size = 8\nnum_attention_heads = 2\nmax_position_embeddings = 32\nvocabulary = "vocab.txt"'


@pytest.mark.parametrize(
    ("encoder", "problem"),
    [
        ("", "encoder: give exactly one of name, path, or a size"),
        (f'name = "a"\n{SIZE}', "encoder: give exactly one of name, path, or a size"),
        ("num_hidden_layers = 2", "encoder: a new encoder needs hidden_size, num_attention_heads, vocabulary too"),
        (SIZE.replace("heads = 2", "heads = 3"), "encoder: num_attention_heads 3 does not divide hidden_size 8"),
        ('path = "a"\nsize = 3', "encoder.size: unknown key"),
        ('name = "a"\npreprocessing = "b"', "encoder: preprocessing belongs to path or to an address"),
        ('path = "a"\npreprocessing = "https://b"', "encoder: preprocessing of a path is a path, got https://b"),
        (f"trusted = true\n{SIZE}", "encoder: preprocessing and trusted belong to name or path"),
        ('path = "a"\nposition_initializer = "random"', "encoder: position_initializer belongs to a new encoder"),
        (f'position_initializer = "zeros"\n{SIZE}', "encoder.position_initializer: .*'random' or 'sinusoids'"),
        (
            'position_initializer = "sinusoids"\n'
            + SIZE.replace("hidden_size = 8\nnum_attention_heads = 2", "hidden_size = 9\nnum_attention_heads = 3"),
            "encoder: sinusoids need an even hidden_size of at least 4, not 9",
        ),
    ],
)
def test_a_wrong_run_file_is_told(tmp_path, encoder, problem):
    with pytest.raises(RunFileError, match=problem):
        load_pretraining_file(write_run_file(tmp_path, encoder))


def test_preprocessing_is_relative_to_the_run_file_unless_it_is_an_address(tmp_path):
    path = write_run_file(tmp_path, 'path = "encoder"\npreprocessing = "tokens"\ntrusted = true')
    found = load_pretraining_file(path).encoder
    assert (found.path, found.preprocessing, found.trusted) == (tmp_path / "encoder", tmp_path / "tokens", True)
    address = "https://models.example/tokens/1"
    path = write_run_file(tmp_path, f'name = "https://models.example/mini/1"\npreprocessing = "{address}"')
    assert load_pretraining_file(path).encoder.preprocessing == address


def test_pretraining_takes_an_encoder_with_preprocessing_elsewhere(encoder_folder, tmp_path):
    config = StartConfig(path=encoder_folder / "encoder", preprocessing=encoder_folder / "preprocessing")
    assert start(config, tmp_path, seed=0, passed_over=print).architecture.num_hidden_layers == 2
    assert (tmp_path / "preprocessing" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_pretraining_goes_on_with_the_preprocessing_that_the_encoder_has(encoder_folder, tmp_path):
    """Of whatever rules: here the vocabulary looks like that of an encoder without capitals, and the graph keeps them."""
    source = tmp_path / "source"
    shutil.copytree(encoder_folder / "encoder", source / "encoder")
    shutil.copy(encoder_folder / "encoder.json", source)
    write_preprocessing(
        encoder_folder / "preprocessing" / "assets" / "vocab.txt", source / "preprocessing", lower_case=False
    )
    (source / "preprocessing" / "normalization.json").write_text("{}")
    (source / "LICENSE").write_text("Do what you like.")
    start(StartConfig(path=source), tmp_path / "target", seed=0, passed_over=print)
    assert folder_sha256(tmp_path / "target" / "preprocessing") == folder_sha256(source / "preprocessing")
    assert (tmp_path / "target" / "LICENSE").read_text() == "Do what you like."


@pytest.mark.slow
def test_the_head_starts_the_same_with_a_converted_or_a_cached_encoder(hugging_face_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path / "cache"))
    config = StartConfig(path=hugging_face_folder)
    heads = []
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        start(config, tmp_path / name, seed=3, passed_over=print).save_head(tmp_path / name / "head")
        heads.append((tmp_path / name / "head").read_bytes())
    assert heads[0] == heads[1]


@pytest.mark.slow
def test_an_encoder_without_wordpiece_vocabulary_cannot_be_pretrained(tmp_path):
    write_fine_tuned(tmp_path / "albert", "albert")
    with pytest.raises(EncoderError, match=r"no WordPiece vocabulary .*; take a BERT, DistilBERT or ELECTRA"):
        start(StartConfig(path=tmp_path / "albert"), tmp_path / "out", seed=0, passed_over=print)


def test_shares_over_one_and_a_wrong_override_are_told(tmp_path):
    path = write_run_file(tmp_path, SIZE, mask_token_rate=0.9, random_token_rate=0.2)
    with pytest.raises(RunFileError, match=r"mask_token_rate 0\.9 and random_token_rate 0\.2 are over 1 together"):
        load_pretraining_file(path)
    config = load_pretraining_file(path, ("masking.mask_token_rate=0.5", "training.epochs=7"))
    assert (config.masking.mask_token_rate, config.training.epochs) == (0.5, 7)


def test_a_vocabulary_that_is_not_there_is_told_before_anything_starts(tmp_path, bert_serving):
    path = write_run_file(tmp_path, SIZE.replace("vocab.txt", "absent.txt"))
    size = ("--num-hidden-layers", 1, "--hidden-size", 8, "--num-attention-heads", 2)
    for command in (("pretrain", path), ("encoders", "new", "--vocabulary", "absent.txt", *size, "--to", "new")):
        ended = bert_serving(*command)
        assert ended.status == 2
        assert ended.err.strip().endswith("absent.txt: no such vocabulary; `bert-serving vocabulary` learns one")


@pytest.mark.parametrize("width", slow_but([4, 10, 64], kept=[10]))
def test_between_sinusoids_a_step_is_the_same_from_every_position(tmp_path, width):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    config = StartConfig(
        num_hidden_layers=1,
        hidden_size=width,
        num_attention_heads=1,
        vocabulary=tmp_path / "vocab.txt",
        position_initializer="sinusoids",
    )
    network = start(config, tmp_path, seed=0, passed_over=print).network
    (table,) = network.get_layer("position_embedding").get_weights()
    assert table.std() == pytest.approx(0.05, rel=0.3)
    products = table @ table.T
    for step in (0, 1, 7):
        along = np.diagonal(products, step)
        np.testing.assert_allclose(along, along[0], rtol=1e-4, atol=1e-6)
    assert (np.diagonal(products, 1) < np.diagonal(products)[:-1]).all()


@pytest.mark.slow
def test_a_new_encoder_gets_the_position_embeddings_that_were_asked_for(tmp_path, bert_serving):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    size = ("--vocabulary", tmp_path / "vocab.txt", "--num-hidden-layers", 1, "--num-attention-heads", 1)
    tables = {}
    for initializer in ("random", "sinusoids"):
        asked = ("--position-initializer", initializer, "--hidden-size", 8, "--to", tmp_path / initializer)
        ended = bert_serving("encoders", "new", *size, *asked)
        assert (ended.status, ended.err) == (0, "")
        layer = load_encoder(find_encoder_folder(EncoderConfig(path=tmp_path / initializer))).layer
        (tables[initializer],) = layer.get_layer("position_embedding").get_weights()
    assert tables["random"][0].std() < 0.03
    # At the first position all sines are 0 and all cosines 1.
    np.testing.assert_allclose(tables["sinusoids"][0], [0] * 4 + [0.05 * 2**0.5] * 4, atol=1e-6)
    ended = bert_serving(
        "encoders", "new", *size, "--position-initializer", "sinusoids", "--hidden-size", 3, "--to", "new"
    )
    assert ended.status == 2
    assert (
        ended.err.strip()
        == "error: --position-initializer sinusoids needs an even --hidden-size of at least 4, got 3; choose another"
    )


# === A run ===


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """An encoder from random weights, and the history of its pretraining."""
    from bert_serving.pretraining.pretrain import pretrain

    folder = tmp_path_factory.mktemp("pretraining")
    config = load_pretraining_file(write_run_file(folder, SIZE, mask_selection_rate=0.25))
    return folder / "out", pretrain(config, folder / "out")


def test_pretraining_learns_and_writes_an_encoder_that_fine_tuning_takes(pretrained):
    folder, history = pretrained
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[-1]["val_loss"] < history[0]["val_loss"] < np.log(len(VOCABULARY)) + 0.5
    names = {"encoder", "encoder.json", "preprocessing", "encoder_with_mlm", "mlm_head.safetensors", "history.json"}
    assert names <= {path.name for path in folder.iterdir()}
    loaded = load_encoder(find_encoder_folder(EncoderConfig(path=folder)))
    assert loaded.architecture.num_hidden_layers == 1


class _Killed(Observer):
    """Ends the process's work after the first epoch, as a kill would."""

    def epoch(self, row):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_pretraining_that_was_killed_ends_like_one_that_was_not(pretrained, tmp_path):
    from bert_serving.pretraining.pretrain import pretrain

    folder, history = pretrained
    config = load_pretraining_file(write_run_file(tmp_path, SIZE, mask_selection_rate=0.25))
    out = tmp_path / "out"
    with pytest.raises(EncoderError, match="out: there is nothing to resume; leave --resume out"):
        pretrain(config, out, resume=True)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, out, observer=_Killed())
    assert not out.exists()
    unfinished = tmp_path / "out.unfinished"
    with pytest.raises(EncoderError, match="holds an unfinished pretraining; go on with --resume"):
        pretrain(config, out)
    changed = load_pretraining_file(tmp_path / "pretrain.toml", ("training.batch_size=4",))
    with pytest.raises(EncoderError, match=r"the run file changed .*\(training\.batch_size\)"):
        pretrain(changed, out, resume=True)
    texts = (tmp_path / "texts.txt").read_text("utf-8")
    (tmp_path / "texts.txt").write_text(texts.replace("film", "bike"), "utf-8")
    with pytest.raises(EncoderError, match="the text or the vocabulary changed since this pretraining began"):
        pretrain(config, out, resume=True)
    (tmp_path / "texts.txt").write_text(texts, "utf-8")
    resumed = pretrain(config, out, resume=True)
    assert [row["epoch"] for row in resumed] == [1, 2, 3]
    assert [row["val_loss"] for row in resumed] == pytest.approx([row["val_loss"] for row in history], abs=1e-5)
    assert not unfinished.exists()
    assert {path.name for path in out.iterdir()} == {path.name for path in folder.iterdir()}


def test_a_complete_pretraining_that_was_not_renamed_is_renamed_later(pretrained, tmp_path):
    from bert_serving.pretraining.pretrain import pretrain

    folder, history = pretrained
    config = load_pretraining_file(folder.parent / "pretrain.toml")
    out = tmp_path / "out"
    shutil.copytree(folder, tmp_path / "out.unfinished")
    with pytest.raises(EncoderError, match="holds an unfinished pretraining; go on with --resume"):
        pretrain(config, out)
    assert pretrain(config, out, resume=True) == history
    assert folder_sha256(out) == folder_sha256(folder)


def test_a_pretraining_whose_folder_cannot_get_its_name_is_not_removed(tmp_path, monkeypatch):
    from bert_serving.pretraining import pretrain as module

    def written(config, place, *_):
        place.write_json("history.json", [])
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "in_the_way").touch()

    monkeypatch.setattr(module, "_pretrain", written)
    config = load_pretraining_file(write_run_file(tmp_path, SIZE))
    with pytest.raises(BertServingError):
        module.pretrain(config, tmp_path / "out")
    assert (tmp_path / "out.unfinished" / "history.json").is_file()


def test_the_encoder_with_its_head_guesses_by_tf_hubs_interface(pretrained):
    folder, _ = pretrained
    model = tf.saved_model.load(str(folder / "encoder_with_mlm"))
    inputs = sample_inputs(len(VOCABULARY))
    outputs = model.mlm({**inputs, "masked_lm_positions": tf.constant([[1, 2], [1, 0]])}, training=False)
    assert outputs["mlm_logits"].shape == (2, 2, len(VOCABULARY))
    plain = load_encoder(find_encoder_folder(EncoderConfig(path=folder))).layer(inputs)
    np.testing.assert_allclose(outputs["sequence_output"], plain["sequence_output"], atol=1e-5)
    np.testing.assert_allclose(model(inputs)["pooled_output"], plain["pooled_output"], atol=1e-5)


@pytest.mark.slow
def test_pretraining_goes_on_from_an_encoder_with_its_head(pretrained, tmp_path, bert_serving):
    folder, history = pretrained
    run_file = write_run_file(tmp_path, f'path = "{folder}"', mask_selection_rate=0.25, packed=False, whole_words=True)
    ended = bert_serving(
        "pretrain",
        run_file,
        "--set",
        "training.epochs=1",
        "--set",
        "training.learning_rate=1e-9",
        "--out",
        "more",
        "--json",
    )
    assert (ended.status, ended.err) == (0, "")
    [row] = json.loads(ended.out)
    assert row["val_loss"] < history[0]["val_loss"]
    ended = bert_serving("pretrain", run_file, "--out", "more")
    assert (ended.status, ended.err.strip()) == (2, "error: more: exists; give a new folder with --out")
