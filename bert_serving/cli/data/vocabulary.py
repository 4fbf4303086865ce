"""`bert-serving vocabulary`: learns a WordPiece vocabulary from text."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.options import UnlabeledTextColumn
from bert_serving.console import ConsoleObserver, show_lines


def vocabulary(
    files: Annotated[
        list[Path],
        typer.Argument(help="Plain text with one text a line, tables, or folders of .txt files.", metavar="FILE..."),
    ],
    size: Annotated[int, typer.Option(help="Largest number of word pieces.")],
    to: Annotated[Path, typer.Option(help="File to write.")] = Path("vocab.txt"),
    text: UnlabeledTextColumn = None,
    cased: Annotated[bool, typer.Option("--cased", help="Keep upper case and accents.")] = False,
) -> None:
    """Learn a WordPiece vocabulary from text."""
    from bert_serving.data.unlabeled import TextColumns, read_unlabeled
    from bert_serving.errors import InputError
    from bert_serving.io.files import check_writable, write_whole

    if to.exists():
        raise InputError(f"{to}: exists; give a new file with --to")
    with _writing(to):
        check_writable(_topmost_new(to))
    observer = ConsoleObserver()
    with observer.stage("Reading the text"):
        texts = read_unlabeled(files, TextColumns(text), observer).texts
    with observer.stage("Starting TensorFlow"):
        from bert_serving.text.learned_vocabulary import count_words, learn_vocabulary
        from bert_serving.text.vocabulary import check_tokens
    with observer.stage(f"Counting the words of {len(texts):,} texts"):
        counts = count_words(texts, lower_case=not cased)
    with observer.stage(f"Learning word pieces from {len(counts):,} words"):
        tokens = learn_vocabulary(counts, size)
    check_tokens(tokens, "the learned vocabulary")
    with _writing(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        write_whole(to, "".join(f"{token}\n" for token in tokens).encode())
    show_lines(f"  {len(tokens):,} word pieces: {to}")


def _topmost_new(path: Path) -> Path:
    """The path itself, or the topmost of its folders that does not exist yet."""
    return path if path.parent.exists() else _topmost_new(path.parent)


@contextlib.contextmanager
def _writing(to: Path) -> Iterator[None]:
    """Turns errors of writing the file into one line."""
    from bert_serving.errors import InputError

    try:
        yield
    except OSError as error:
        raise InputError(f"{to}: cannot write it: {error.strerror}; choose another --to") from None
