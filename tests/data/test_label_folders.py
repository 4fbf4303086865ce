import pytest

from bert_serving.data.label_folders import read_label_folders, text_files
from bert_serving.data.reading import Reading
from bert_serving.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Label folders with everything that is no text."""
    names = """neg/1.txt neg/2.TXT neg/2021/deep/3.txt neg/._1.txt neg/.DS_Store neg/notes.md neg/.cache/4.txt pos/5.Txt
        __MACOSX/pos/._5.txt .git/6.txt unsup/7.txt README.txt pos/__MACOSX/8.txt"""
    for name in names.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n", "utf-8")
    (tmp_path / "pos" / "link").symlink_to(tmp_path / "neg")
    return tmp_path


def test_texts_are_those_of_keras_without_hidden_files(folder):
    reading = Reading()
    found = read_label_folders(folder, reading)
    texts = ["neg/1.txt", "neg/2.TXT", "neg/2021/deep/3.txt", "pos/5.Txt"]
    assert found == [(name, name, name[:3]) for name in texts]
    assert reading.left_out == {
        "hidden file": 6,
        "non-.txt file": 1,
        "unsup/ text": 1,
        "unlabeled file": 1,
        "linked folder": 1,
    }
    assert reading.repairs == [f"{folder.name}: 1 text from nested folders, labeled by the folder at the top"]


def test_every_file_is_either_read_or_counted(folder):
    reading = Reading()
    found = read_label_folders(folder, reading)
    files = sum(path.is_file() for path in folder.rglob("*"))
    assert len(found) + reading.left_out.total() - reading.left_out["linked folder"] == files


def test_a_linked_file_is_a_text_and_a_broken_link_is_named(folder):
    (folder / "pos" / "9.txt").symlink_to(folder / "neg" / "1.txt")
    assert ("pos/9.txt", "neg/1.txt", "pos") in read_label_folders(folder, Reading())
    (folder / "pos" / "z.txt").symlink_to(folder / "gone.txt")
    with pytest.raises(DataError, match=r"z\.txt: cannot be read: No such file"):
        read_label_folders(folder, Reading())


def test_pages_of_html_are_texts(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text("<!DOCTYPE html>", "utf-8")
    assert [text for _, text, _ in read_label_folders(tmp_path, Reading())] == ["<!DOCTYPE html>"] * 2


def test_folders_of_splits_are_not_taken_for_labels(tmp_path):
    for name in ("train/pos", "train/neg", "test/pos"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.txt").touch()
    with pytest.raises(DataError, match=r"folders test, train are splits, not labels; .* such as .*/train$"):
        read_label_folders(tmp_path, Reading())
    (tmp_path / "train" / "1.txt").touch()
    assert {label for _, _, label in read_label_folders(tmp_path, Reading())} == {"train", "test"}


def test_a_folder_of_tables_brings_up_its_files(tmp_path):
    (tmp_path / "a.csv").touch()
    with pytest.raises(DataError, match=r"has no label folders; .*, or name the files in it"):
        read_label_folders(tmp_path, Reading())


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone: cannot be read: No such file"):
        text_files(tmp_path / "gone", Reading())
