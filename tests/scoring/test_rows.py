"""Every row of every kind of file is read once, in whatever shards, and a bad row costs only itself."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf

from bert_serving.errors import DataError
from bert_serving.scoring.input_files import Kind, ShardSize, kind_of, look_at
from bert_serving.scoring.rows import Columns, Row, read_rows
from bert_serving.scoring.storage import find_files

COLUMNS = Columns("text", None, "id", ("lang",))
TEXTS = [f'the good film {number}\nwith a second line, "quoted" and ünïcode' for number in range(23)]
PLAIN = [text.replace("\n", " ").replace("\t", " ") for text in TEXTS]


def write_csv(path: Path) -> list[str]:
    cells = [text.replace('"', '""') for text in TEXTS]
    lines = [f'{number},"{cell}",en\n' for number, cell in enumerate(cells)]
    path.write_bytes(("\ufeffid,text,lang\n" + "".join(lines)).encode())
    return TEXTS


def write_semicolons(path: Path) -> list[str]:
    path.write_text("id;text;lang\r\n" + "".join(f"{n};{text};en\r\n" for n, text in enumerate(PLAIN)), newline="")
    return PLAIN


def write_tsv(path: Path) -> list[str]:
    path.write_text("id\ttext\tlang\n" + "".join(f"{n}\t{text}\ten\n" for n, text in enumerate(PLAIN)), "utf-8")
    return PLAIN


def write_json_lines(path: Path) -> list[str]:
    lines = [json.dumps({"id": number, "text": text, "lang": "en"}) for number, text in enumerate(TEXTS)]
    path.write_text("\n\n".join(lines), "utf-8")  # blank lines are no rows, and the last line has no end
    return TEXTS


def write_parquet(path: Path) -> list[str]:
    table = pyarrow.table({"lang": ["en"] * len(TEXTS), "text": TEXTS, "id": list(range(len(TEXTS)))})
    pyarrow.parquet.write_table(table, path, row_group_size=5)
    return TEXTS


def write_dictionary_parquet(path: Path) -> list[str]:
    texts = pyarrow.array(TEXTS).dictionary_encode()
    table = pyarrow.table({"id": list(range(len(TEXTS))), "text": texts, "lang": ["en"] * len(TEXTS)})
    pyarrow.parquet.write_table(table, path)
    return TEXTS


def write_tf_record(path: Path) -> list[str]:
    def feature(value: bytes | int) -> tf.train.Feature:
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, text in enumerate(TEXTS):
            values = {"id": feature(number), "text": feature(text.encode()), "lang": feature(b"en")}
            writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())
    return TEXTS


WRITERS: dict[str, Callable[[Path], list[str]]] = {
    "a.csv": write_csv,
    "b.csv": write_semicolons,
    "a.tsv": write_tsv,
    "a.jsonl": write_json_lines,
    "a.parquet": write_parquet,
    "b.parquet": write_dictionary_parquet,
    "a.tfrecord": write_tf_record,
    "part.tfrecord-00001-of-00010": write_tf_record,
}


def all_rows(path: Path, columns: Columns = COLUMNS, shard_rows: int | None = 4) -> list[Row]:
    (status,) = find_files(str(path))
    found = look_at(status, columns.names, ShardSize(shard_rows, 2))
    rows = [row for piece in found.pieces for row in read_rows(found.file, piece, columns).rows]
    assert found.file.rows == len(rows)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return rows


@pytest.mark.parametrize("shard_rows", [1, 4, 1000])
@pytest.mark.parametrize("name", WRITERS)
def test_every_row_of_a_file_is_in_one_shard(name: str, shard_rows: int, tmp_path: Path):
    texts = WRITERS[name](tmp_path / name)
    rows = all_rows(tmp_path / name, shard_rows=shard_rows)
    assert [row.text for row in rows] == texts
    assert [str(row.id) for row in rows] == [str(number) for number in range(len(texts))]
    assert {row.kept for row in rows} == {("en",)}
    assert not any(row.fault for row in rows)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.tfrecord"])
def test_a_compressed_file_has_the_same_rows(name: str, tmp_path: Path):
    texts = WRITERS[name](tmp_path / name)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert [row.text for row in all_rows(tmp_path / f"{name}.gz")] == texts


def test_lines_of_plain_text_are_rows_without_a_key(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone film\r\n\nbad \xfe\nlast")
    rows = all_rows(tmp_path / "a.txt", Columns("text"), shard_rows=1)
    assert [row.text for row in rows] == ["one film", None, None, "last"]
    assert [row.fault for row in rows] == ["", "'text' has no text", "'text' is not valid UTF-8 at byte 4", ""]


CSV_ROWS = [
    (b"1,a film,en\n", ""),
    (b"2,,en\n", "'text' has no text"),
    (b"3,bad \xff wheel,de\n", "'text' is not valid UTF-8 at byte 4"),
    (b"4,too,many,cells\n", "has 4 columns, the header has 3"),
    (b'5,"x"y,en\n', "is not valid CSV"),
    (b",no key,en\n", "'id' is missing"),
    (b'6,"two\nlines",en\n', ""),
]


def test_a_bad_row_of_a_csv_file_costs_only_itself(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"id,text,lang\n" + b"".join(line for line, _ in CSV_ROWS))
    rows = all_rows(tmp_path / "a.csv", shard_rows=2)
    for row, (_, fault) in zip(rows, CSV_ROWS, strict=True):
        assert row.fault.startswith(fault), row
        assert bool(row.fault) == bool(fault), row
    assert rows[-1].text == "two\nlines"
    assert rows[3].digest[1] == len(b"4,too,many,cells\n")


JSON_ROWS = [
    (b'{"id": 1, "text": "a film"}', ""),
    (b'{"id": 2, "text": 5}', "'text' is no string but of type int"),
    (b'{"id": 3}', "'text' is missing"),
    (b'{"id": 4, "text": null}', "'text' is missing"),
    (b'{"id": 5, "text": "  "}', "'text' has no text"),
    (b"nonsense", "the line is not valid JSON"),
    (b"[1]", "the line is a list, not an object"),
    (b'{"id": 6, "text": "half \\ud800"}', "'text' holds half a surrogate pair at character 5"),
    (b'{"id": 7, "text": "bad \xff"}', "the line is not valid UTF-8"),
    (b"[" * 100_000, "the line is not valid JSON"),
    (b'{"id": {"a": 1}, "text": "a key of another kind"}', ""),
]


def test_a_bad_line_of_json_costs_only_itself(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b"".join(line + b"\n" for line, _ in JSON_ROWS))
    rows = all_rows(tmp_path / "a.jsonl", shard_rows=3)
    for row, (line, fault) in zip(rows, JSON_ROWS, strict=True):
        assert row.fault.startswith(fault), line[:80]
        assert bool(row.fault) == bool(fault), line[:80]
    assert rows[-1].id == '{"a": 1}'


def test_a_parquet_file_may_hold_missing_texts_and_bytes_that_are_no_text(tmp_path: Path):
    texts = pyarrow.array([b"a film", None, b"bad \xff", b" "], pyarrow.binary())
    strings = pyarrow.Array.from_buffers(pyarrow.string(), 4, texts.buffers())
    for name, column in {"binary": texts, "strings": strings}.items():
        table = pyarrow.table({"id": [1, 2, 3, 4], "text": column, "lang": ["en"] * 4})
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
        faults = [row.fault for row in all_rows(tmp_path / f"{name}.parquet")]
        assert faults == ["", "'text' is missing", "'text' is not valid UTF-8 at byte 4", "'text' has no text"], name


def test_a_record_with_a_wrong_checksum_costs_only_itself(tmp_path: Path):
    write_tf_record(tmp_path / "a.tfrecord")
    content = bytearray((tmp_path / "a.tfrecord").read_bytes())
    content[40] ^= 1
    (tmp_path / "a.tfrecord").write_bytes(content)
    faults = [row.fault for row in all_rows(tmp_path / "a.tfrecord")]
    assert faults == ["the record's checksum is wrong", *[""] * (len(TEXTS) - 1)]


WRONG_FILES = [
    ("a.xlsx", b"PK", "unsupported kind of file"),
    ("a.parquet.gz", b"", "unsupported kind of file"),
    ("a.csv", b"", "has no header line"),
    ("a.csv", b"id,review,lang\n1,a,b\n", "has no column 'text'; its columns are 'id', 'review', 'lang'"),
    ("a.csv", b"id,text,lang,text\n1,a,b,c\n", "has more than one column 'text'"),
    ("a.csv", b'id,text,lang\n1,"never closed,en\n2,a,b\n', "row 1 has a quotation mark that is never closed"),
    ("a.csv", "id,text,lang\n1,ä,b\n".encode("utf-16"), "is UTF-16"),
    ("a.csv", b"id,text,lang\r1,a,b\r", "end with carriage returns alone"),
    ("a.jsonl", b'[{"text": "a"}]', "is a JSON list; write JSON lines"),
    ("a.jsonl", b'{"review": "a"}\n', "has no column 'text'; its columns are 'review'"),
    ("a.parquet", b"nonsense", "not a readable Parquet file"),
    ("a.tfrecord", b"nonsense", "not an intact TFRecord file"),
    ("a.txt", b"a line\n", "lines of plain text have no column 'id'"),
    ("a.csv.gz", b"no gzip", "cannot be read"),
]


@pytest.mark.parametrize(("name", "content", "message"), WRONG_FILES, ids=[message for _, _, message in WRONG_FILES])
def test_a_wrong_file_is_refused_before_anything_is_scored(name: str, content: bytes, message: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        all_rows(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_column_of_numbers_is_no_text(tmp_path: Path):
    pyarrow.parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'text' holds int64, not strings"):
        all_rows(tmp_path / "a.parquet", Columns("text"))


def test_no_file_of_a_pattern_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no such file"):
        find_files(str(tmp_path / "*.csv"))


def test_a_file_that_changed_while_the_job_runs_is_refused(tmp_path: Path):
    write_csv(tmp_path / "a.csv")
    (status,) = find_files(str(tmp_path / "a.csv"))
    found = look_at(status, COLUMNS.names, ShardSize(None, 2))
    (tmp_path / "a.csv").write_text("id,text,lang\n1,a,b\n")
    with pytest.raises(DataError, match="changed while the job runs"):
        read_rows(found.file, found.pieces[0], COLUMNS)


def test_a_hundred_thousand_rows_are_forty_shards_for_two_workers(tmp_path: Path):
    (tmp_path / "a.txt").write_text("a film\n" * 100_000)
    (status,) = find_files(str(tmp_path / "a.txt"))
    pieces = look_at(status, ["text"], ShardSize(None, 2)).pieces
    assert len(pieces) == 50  # of 2,000 rows, since shards begin after whole thousands
    assert sum(piece.rows for piece in pieces) == 100_000


def test_the_kind_of_a_file_is_that_of_its_name():
    names = {"a.PARQUET": Kind.PARQUET, "a.ndjson.gz": Kind.JSON_LINES, "s3://bucket/a/b.tsv": Kind.TSV}
    assert {name: kind_of(name) for name in names} == names
