"""The tokenizer of a Hugging Face folder: its vocabulary, its settings, and the preprocessing SavedModel made of it.

Older folders have vocab.txt (WordPiece) or spiece.model (SentencePiece); newer ones keep both vocabulary and rules in
tokenizer.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bert_serving.encoders.conversion.albert_pieces import AlbertPieces, read_albert_pieces
from bert_serving.encoders.conversion.tokenizer_files import GENERIC_CLASS, TokenizerFiles, table
from bert_serving.encoders.conversion.wordpieces import WordPieces, read_wordpieces
from bert_serving.text.preprocessing import SENTENCEPIECE_FILE, VOCABULARY_FILE

_ALBERT = "albert"


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer of a Hugging Face folder.

    Attributes:
        pieces: vocabulary and rules; `pieces.write` writes the preprocessing SavedModel.
        max_length: tokens at which texts are cut; None where there is no limit.
        has_types: whether it tells the model which tokens are those of the second text of a pair.
    """

    pieces: WordPieces | AlbertPieces
    max_length: int | None
    has_types: bool


def read_tokenizer(folder: Path, config: Mapping[str, Any], *, lower_case: bool = True) -> Tokenizer:
    """Reads and checks the tokenizer of a folder, as transformers reads it.

    Args:
        folder: the Hugging Face folder.
        config: its config.json.
        lower_case: whether texts are lower-cased where no file tells.

    Raises:
        EncoderError: a file is missing or damaged, the files contradict each other, or ask for rules that our preprocessing does
            not have.
    """
    files = TokenizerFiles.read(folder, config)
    is_albert = config.get("model_type") == _ALBERT
    pieces: WordPieces | AlbertPieces
    if is_albert and not _has_wordpieces(files):
        pieces = read_albert_pieces(files)
    else:
        # Without a class, an ALBERT with WordPiece has none that transformers knows: tokenizer.json alone counts.
        has_no_class = is_albert and files.declared_class is None and files.rules
        files = replace(files, declared_class=GENERIC_CLASS) if has_no_class else files
        pieces = read_wordpieces(files, lower_case=lower_case)
    return Tokenizer(pieces, files.max_length(), files.has_types)


def _has_wordpieces(files: TokenizerFiles) -> bool:
    """Whether the vocabulary of an ALBERT is of WordPiece, as that of some Chinese ones."""
    if files.rules:
        return bool(table(files.rules, "model").get("type", "WordPiece") == "WordPiece")
    return (files.folder / VOCABULARY_FILE).is_file() and not (files.folder / SENTENCEPIECE_FILE).is_file()
