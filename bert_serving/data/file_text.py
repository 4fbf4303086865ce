"""The bytes and the text of a file: gzip, encodings, and files that are not what their name says."""

import codecs
import gzip
import zlib
from pathlib import Path

from bert_serving.data.reading import Reading
from bert_serving.errors import DataError

# UTF-32 first: its mark for little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_SAMPLE = 4096
"""bytes that show whether a file without a mark is UTF-16"""
AS_CSV = "save the sheet as CSV (UTF-8)"
_OTHER_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", f"{AS_CSV}, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", AS_CSV),
    (b"PAR1", "Parquet", "rename it to end in .parquet"),
    (b"ARROW1", "an Arrow file", "write it as Parquet"),
    (b"\x1f\x8b", "compressed with gzip", "rename it to end in .gz"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it, or compress it with gzip"),
    (b"BZh91AY", "compressed with bzip2", "unpack it, or compress it with gzip"),
    (b"%PDF-", "a PDF file", "save its table as CSV (UTF-8)"),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"),
    (b"<!doctype html", "an HTML page", "download the file itself"),
    (b"<html", "an HTML page", "download the file itself"),
)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, decompressed if its name ends in .gz.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.name.lower().endswith(".gz") else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not an intact gzip file: {error}; compress it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None


def read_text(path: Path, reading: Reading | None = None) -> str:
    """The text of a file, which may end in .gz, without a byte order mark.

    Args:
        path: a UTF-8 file, or a UTF-16 or UTF-32 file with a byte order mark.
        reading: is told of another encoding than UTF-8.

    Raises:
        DataError: the file is missing, damaged, or in another encoding.
    """
    return decode(path, read_bytes(path), reading)


def check_is_table(path: Path, content: bytes) -> None:
    """Checks that bytes do not begin as those of another kind of file do.

    Raises:
        DataError: they do; names the kind and what to do.
    """
    beginning = content[:_SAMPLE].lstrip().lower()
    for magic, kind, remedy in _OTHER_KINDS:
        if beginning.startswith(magic.lower()):
            raise DataError(f"{path}: is {kind}, not a table as text; {remedy}")


def decode(path: Path, content: bytes, reading: Reading | None = None) -> str:
    """The text of a file's bytes, as `read_text`."""
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "UTF-8"))
    if not mark and content[:_SAMPLE].count(0) * 4 >= len(content[:_SAMPLE]) > 0:
        raise DataError(f"{path}: is not valid UTF-8 but UTF-16 without a byte order mark; convert the file to UTF-8")
    if encoding != "UTF-8" and reading is not None:
        reading.repair(f"{path.name}: was decoded as {encoding}, by its byte order mark")
    try:
        # A codec without the byte order in its name takes it from the mark, which UTF-8 alone would keep.
        return content[len(mark) :].decode() if encoding == "UTF-8" else content.decode(encoding)
    except UnicodeDecodeError as error:
        offset = error.start + (len(mark) if encoding == "UTF-8" else 0)
        byte = content[offset : offset + 1]
        line = content[:offset].count(b"\n") + 1
        meant = byte.decode("cp1252", "ignore") if encoding == "UTF-8" else ""
        western = f" ({meant!r} if the file is Windows-1252, Excel's CSV)" if meant and byte > b"\x7f" else ""
        raise DataError(
            f"{path}: is not valid {encoding}: byte 0x{byte.hex()} at offset {offset}, line {line}{western}; "
            "convert the file to UTF-8"
        ) from None


def split_lines(content: str) -> list[str]:
    """Lines that end with a line feed, with or without a carriage return before it; the last one may lack it.

    In a text without any line feed carriage returns end the lines. `str.splitlines` would also split inside texts, at
    characters such as U+2028.
    """
    if not content:
        return []
    if "\n" not in content and "\r" in content:
        return content.removesuffix("\r").split("\r")
    return [line.removesuffix("\r") for line in content.removesuffix("\n").split("\n")]
