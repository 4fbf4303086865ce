"""Folders in the layout of sentence-transformers: the Transformer is found, and its pooling is the default."""

import json
import shutil
from pathlib import Path

import pytest
from support.cases import slow_but
from support.tiny import write_run_file

from bert_serving.config import EncoderConfig, load_run_file
from bert_serving.contract import Pooling
from bert_serving.encoders.conversion.formats import convert_folder
from bert_serving.encoders.conversion.sentence_transformers import pooling_of
from bert_serving.encoders.default_pooling import default_pooling, with_pooling
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError


def write(
    folder: Path,
    transformer: Path,
    *,
    nested: str = "",
    modes: tuple[str, ...] = ("mean_tokens",),
    more: str = "Normalize",
):
    """Writes the layout around a Hugging Face folder."""
    shutil.copytree(transformer, folder / nested)
    modules = [("Transformer", nested), ("Pooling", "1_Pooling"), (more, f"2_{more}")]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed), "utf-8")
    (folder / "1_Pooling").mkdir()
    names = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    config = {"word_embedding_dimension": 8} | {f"pooling_mode_{name}": name in modes for name in names}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


NESTED = ("", "0_Transformer")


@pytest.mark.parametrize("nested", slow_but(NESTED, kept=["0_Transformer"]))
def test_the_transformer_is_found_in_the_folder_or_below_it(hugging_face_folder, tmp_path, nested):
    folder = write(tmp_path / "it", hugging_face_folder, nested=nested)
    found = find_encoder_folder(EncoderConfig(path=folder))
    assert (found.name, found.architecture.hidden_size) == ("it", 8)


@pytest.mark.parametrize("nested", slow_but(NESTED, kept=[""]))
def test_the_transformer_is_converted_in_the_folder_or_below_it(hugging_face_folder, tmp_path, nested):
    folder = write(tmp_path / "it", hugging_face_folder, nested=nested)
    convert_folder(folder, tmp_path / "converted")
    assert (tmp_path / "converted" / "encoder" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("mode", "pooling"), [("cls_token", Pooling.CLS), ("mean_tokens", Pooling.MEAN), ("max_tokens", Pooling.MAX)]
)
def test_the_pooling_of_the_folder_is_the_default(hugging_face_folder, tmp_path, mode, pooling):
    folder = write(tmp_path / "it", hugging_face_folder, modes=(mode,))
    assert default_pooling(EncoderConfig(path=folder)) is pooling
    assert default_pooling(EncoderConfig(path=hugging_face_folder)) is Pooling.POOLER


@pytest.mark.parametrize(
    ("modes", "named"),
    [
        (("weightedmean_tokens",), "weightedmean_tokens"),
        (("cls_token", "mean_tokens"), "cls_token and mean_tokens"),
        ((), "no mode that is known"),
    ],
)
def test_another_pooling_is_refused_unless_the_run_file_sets_one(hugging_face_folder, rows, tmp_path, modes, named):
    folder = write(tmp_path / "it", hugging_face_folder, modes=modes)
    (tmp_path / "run").mkdir()
    file = write_run_file(tmp_path / "run", folder, rows)
    with pytest.raises(
        EncoderError, match=f"pools by {named}, only cls, mean or max can be trained on; set head.pooling"
    ):
        with_pooling(load_run_file(file))
    assert with_pooling(load_run_file(file, ["head.pooling=cls"])).head.pooling is Pooling.CLS


def test_a_dense_layer_after_the_pooling_is_left_out_with_a_note(hugging_face_folder, tmp_path):
    notes = []
    folder = write(tmp_path / "it", hugging_face_folder, nested="0_Transformer", more="Dense")
    find_encoder_folder(EncoderConfig(path=folder), passed_over=notes.append)
    assert notes == [f"{folder}: Dense of modules.json is left out; only the Transformer is used"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "modules.json: cannot read it: "),
        ("[3]", "modules.json: must list modules with type and path"),
        ('[{"type": "a.Transformer", "path": "../other"}]', "modules.json: names '../other', a folder outside its own"),
    ],
)
def test_a_damaged_list_of_modules_is_told(hugging_face_folder, tmp_path, content, problem):
    folder = write(tmp_path / "it", hugging_face_folder)
    (folder / "modules.json").write_text(content, "utf-8")
    with pytest.raises(EncoderError) as raised:
        pooling_of(folder)
    assert str(raised.value).startswith(f"{folder}/{problem}")


def test_a_name_of_the_catalog_brings_its_pooling():
    poolings = {
        name: default_pooling(EncoderConfig(name=name)) for name in ("e5-small-v2", "hf://BAAI/bge-base-en-v1.5")
    }
    assert poolings == {"e5-small-v2": Pooling.MEAN, "hf://BAAI/bge-base-en-v1.5": Pooling.CLS}
    for other in ("all-MiniLM-L6-v2", "hf://lab/unknown", "electra_small"):
        assert default_pooling(EncoderConfig(name=other)) is Pooling.POOLER
