"""`bert-serving vocabulary`: a WordPiece vocabulary learnt from text."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console


def vocabulary(
    files: Annotated[
        list[Path],
        typer.Argument(help="Plain text (a text a line), tables, or folders of .txt files.", metavar="FILE..."),
    ],
    size: Annotated[int, typer.Option(help="Most word pieces that it may have.")],
    to: Annotated[Path, typer.Option(help="File to write.")] = Path("vocab.txt"),
    column: Annotated[str, typer.Option(help="Column of the tables that holds the text.")] = "text",
    cased: Annotated[bool, typer.Option("--cased", help="Keep capitals and accents.")] = False,
) -> None:
    """Learn a WordPiece vocabulary."""
    from bert_serving.data.unlabeled import read_texts
    from bert_serving.errors import InputError
    from bert_serving.files import check_writable, write_whole

    if to.exists():
        raise InputError(f"{to}: exists; give a new file with --to")
    try:
        check_writable(_topmost_new(to))
    except OSError as error:
        raise InputError(f"{to}: cannot write it: {error.strerror}; choose another --to") from None
    observer = ConsoleObserver()
    with observer.stage("Reading the text"):
        texts = read_texts(files, column)
    with observer.stage("Starting TensorFlow"):
        from bert_serving.text.learned_vocabulary import count_words, learn_vocabulary
        from bert_serving.text.vocabulary import check_tokens
    with observer.stage(f"Counting the words of {len(texts):,} texts"):
        counts = count_words(texts, lower_case=not cased)
    with observer.stage(f"Learning word pieces from {len(counts):,} words"):
        tokens = learn_vocabulary(counts, size)
    check_tokens(tokens, "the learnt vocabulary")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_whole(to, "".join(f"{token}\n" for token in tokens).encode())
    except OSError as error:
        raise InputError(f"{to}: cannot write it: {error.strerror}; choose another --to") from None
    console.print(f"  {len(tokens):,} word pieces: {to}", soft_wrap=True, markup=False)


def _topmost_new(path: Path) -> Path:
    """The path itself, or the first of its folders that is still to be made."""
    return path if path.parent.exists() else _topmost_new(path.parent)
