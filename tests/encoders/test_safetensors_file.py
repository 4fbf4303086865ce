import json
import pickle
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from bert_serving.encoders.safetensors_file import check_safetensors, read_safetensors
from bert_serving.errors import EncoderError

VALUES = np.array([[1.0, -2.5, 0.15625], [3.0, 1024.0, -0.0]])


def raw_safetensors(header: dict, data: bytes, header_size: int = 0) -> bytes:
    packed = json.dumps(header).encode().ljust(header_size)
    return struct.pack("<Q", len(packed)) + packed + data


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_floats_of_up_to_32_bits_become_float32(tmp_path, dtype):
    save_file({"layer.weight": VALUES.astype(dtype)}, tmp_path / "model.safetensors")
    tensors = read_safetensors(tmp_path / "model.safetensors")
    assert list(tensors) == ["layer.weight"]
    assert tensors["layer.weight"].dtype == np.float32
    np.testing.assert_array_equal(tensors["layer.weight"], VALUES.astype(dtype).astype(np.float32))


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    header = {"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw_safetensors(header, b"\x80\x3f\x00\xc0\x49\x40"))
    assert read_safetensors(path)["a"].tolist() == [1.0, -2.0, 3.140625]


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
def test_other_dtypes_stay(tmp_path, dtype):
    save_file({"position_ids": np.arange(4, dtype=dtype)}, tmp_path / "model.safetensors")
    tensor = read_safetensors(tmp_path / "model.safetensors")["position_ids"]
    assert tensor.dtype == dtype
    assert tensor.tolist() == [0, 1, 2, 3]


def test_a_folder_is_read_by_the_usual_name_of_its_weights(tmp_path):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "model.safetensors")
    assert read_safetensors(tmp_path)["a"].shape == (2,)


def test_weights_in_several_files_are_read_by_their_index(tmp_path):
    for number in (1, 2):
        save_file({f"w{number}": np.full(2, number, np.float16)}, tmp_path / f"model-{number}.safetensors")
    weights = {f"w{number}": f"model-{number}.safetensors" for number in (1, 2)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weights}))
    assert {name: tensor.tolist() for name, tensor in read_safetensors(tmp_path).items()} == {
        "w1": [1.0, 1.0],
        "w2": [2.0, 2.0],
    }
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"model-2\.safetensors: no such weight file"):
        read_safetensors(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../b.safetensors"}}'])
def test_an_index_of_weights_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(EncoderError, match=r"model\.safetensors\.index\.json: .*fetch it again"):
        read_safetensors(tmp_path)


def test_a_header_that_starts_like_a_pickle_is_read_all_the_same(tmp_path):
    header = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw_safetensors(header, struct.pack("<f", 7.0), header_size=640))
    assert path.read_bytes().startswith(b"\x80\x02")
    assert read_safetensors(path)["a"].tolist() == [7.0]


WHOLE = raw_safetensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, bytes(16))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"abc", id="shorter than the length of a header"),
        pytest.param(struct.pack("<Q", 1 << 62) + b"{}", id="absurd header length"),
        pytest.param(struct.pack("<Q", 90_000_000) + b"{}", id="header longer than the file"),
        pytest.param(struct.pack("<Q", 4) + b"{{{{", id="header is no JSON"),
        pytest.param(b"<html><body>sign in</body></html>", id="a web page"),
        pytest.param(WHOLE[:-1], id="one byte short"),
        pytest.param(WHOLE + b"x", id="one byte too many"),
        pytest.param(
            raw_safetensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}, bytes(8)),
            id="shape and offsets disagree",
        ),
    ],
)
@pytest.mark.parametrize("read", [read_safetensors, check_safetensors])
def test_a_damaged_file_is_named_in_one_line(tmp_path, read, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(EncoderError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: not a complete safetensors file (")
    assert "fetch it again" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_whole_file_passes_the_check(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    check_safetensors(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "", "elsewhere/model.safetensors"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(EncoderError, match="no such weight file; give a folder in Hugging Face format"):
        read_safetensors(tmp_path / name)


def test_a_dtype_that_numpy_lacks_is_refused(tmp_path):
    header = {"a": {"dtype": "F8_E8M0", "shape": [3], "data_offsets": [0, 3]}}
    (tmp_path / "model.safetensors").write_bytes(raw_safetensors(header, bytes(3)))
    with pytest.raises(EncoderError, match="save the weights as float32, float16 or bfloat16"):
        read_safetensors(tmp_path)


class Bomb:
    """Makes a file if it is ever unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "weights.pt"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_is_refused_unread_with_the_way_to_convert_it(tmp_path, name, zipped, protocol):
    content = pickle.dumps(Bomb(tmp_path / "exploded"), protocol=protocol)
    if zipped:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("archive/data.pkl", content)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EncoderError, match="can run any code") as raised:
        read_safetensors(tmp_path / name)
    assert "from_pretrained(FOLDER).save_pretrained(FOLDER) of the model's own class writes" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_beside_the_weights_does_no_harm(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    assert read_safetensors(tmp_path)["a"].shape == (4,)
