"""The tokenizer of a Hugging Face folder: its vocabulary, its settings, and the preprocessing SavedModel made of it.

Older folders have vocab.txt (WordPiece) or spiece.model (SentencePiece); newer ones keep both vocabulary and rules in
tokenizer.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bert_serving.encoders.conversion.albert_pieces import read_albert_pieces
from bert_serving.encoders.conversion.byte_level_pieces import has_byte_level_pieces, read_byte_level_pieces
from bert_serving.encoders.conversion.tokenizer_files import GENERIC_CLASS, TokenizerFiles, table
from bert_serving.encoders.conversion.unigram_pieces import UnigramPieces
from bert_serving.encoders.conversion.wordpieces import WordPieces, read_wordpieces
from bert_serving.encoders.conversion.xlm_roberta_pieces import (
    CAMEMBERT,
    MODEL_FILE,
    XLM_ROBERTA,
    read_xlm_roberta_pieces,
)
from bert_serving.text.preprocessing import SENTENCEPIECE_FILE, VOCABULARY_FILE

_ALBERT = "albert"
# transformers takes the class of the model's type where no file has one.
_CLASS_OF_TYPE = {_ALBERT: "AlbertTokenizer", "xlm-roberta": XLM_ROBERTA, "camembert": CAMEMBERT}
Pieces = WordPieces | UnigramPieces


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer of a Hugging Face folder.

    Attributes:
        pieces: vocabulary and rules; `pieces.write` writes the preprocessing SavedModel.
        max_length: tokens at which texts are cut; None where there is no limit.
        has_types: whether it tells the model which tokens are those of the second text of a pair.
    """

    pieces: Pieces
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
    model_type = config.get("model_type")
    pieces = _pieces(files, model_type, lower_case)
    if files.declared_class is None and model_type == _ALBERT:
        files = replace(files, declared_class=_CLASS_OF_TYPE[_ALBERT])
    return Tokenizer(pieces, files.max_length(), files.has_types)


def _pieces(files: TokenizerFiles, model_type: Any, lower_case: bool) -> Pieces:
    if has_byte_level_pieces(files, model_type):
        return read_byte_level_pieces(files)
    # transformers takes the class of the model's type where no file has one.
    tokenizer_class = files.declared_class or _CLASS_OF_TYPE.get(model_type)
    if _has_sentencepieces(files, tokenizer_class, model_type):
        if model_type == _ALBERT:
            return read_albert_pieces(files)
        is_camembert = CAMEMBERT in (tokenizer_class, _CLASS_OF_TYPE.get(model_type))
        return read_xlm_roberta_pieces(files, CAMEMBERT if is_camembert else XLM_ROBERTA)
    # Without a class, an ALBERT with WordPiece has none that transformers knows: tokenizer.json alone counts.
    has_no_class = model_type == _ALBERT and files.declared_class is None and files.rules
    files = replace(files, declared_class=GENERIC_CLASS) if has_no_class else files
    return read_wordpieces(files, lower_case=lower_case)


def _has_sentencepieces(files: TokenizerFiles, tokenizer_class: str | None, model_type: Any) -> bool:
    """Whether the vocabulary is of SentencePiece; some Chinese ALBERTs have WordPiece."""
    is_expected = tokenizer_class in _CLASS_OF_TYPE.values() or model_type == _ALBERT
    if files.rules:
        kind = table(files.rules, "model").get("type", "WordPiece")
        return bool(kind == "Unigram" or (is_expected and kind != "WordPiece"))
    if (files.folder / VOCABULARY_FILE).is_file():
        return any((files.folder / name).is_file() for name in (SENTENCEPIECE_FILE, MODEL_FILE))
    return is_expected
