"""SentencePiece of a Hugging Face ALBERT: the model, and the normalization of texts before it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bert_serving.encoders.conversion.tokenizer_files import (
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TokenizerFiles,
    table,
)
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import SENTENCEPIECE_FILE, write_sentencepiece_preprocessing
from bert_serving.text.sentencepieces import (
    SentencePiece,
    TextRules,
    parse_sentencepiece,
    read_sentencepiece,
    same_pieces,
    unigram_model,
)

_CLASS = "AlbertTokenizer"
_ROLES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# transformers, `AlbertConverter`.
_STEPS = ("Replace", "NFKD", "StripAccents", "Lowercase", "Precompiled")
_DEFAULTS = {"do_lower_case": True, "keep_accents": False}


@dataclass(frozen=True)
class AlbertPieces:
    """A SentencePiece tokenizer.

    Attributes:
        model: the SentencePiece model.
        rules: normalization before it.
    """

    model: SentencePiece
    rules: TextRules

    @property
    def size(self) -> int:
        """Number of pieces."""
        return self.model.ids["vocab_size"]

    @property
    def lower_case(self) -> bool:
        """Whether texts are lower-cased."""
        return self.rules.lower_case

    def write(self, target: Path) -> None:
        """Writes the preprocessing SavedModel."""
        with TemporaryDirectory() as scratch:
            # The asset of a SavedModel keeps the file's name.
            path = Path(scratch, SENTENCEPIECE_FILE)
            path.write_bytes(self.model.content)
            write_sentencepiece_preprocessing(path, target, rules=self.rules)


def read_albert_pieces(files: TokenizerFiles) -> AlbertPieces:
    """Reads the SentencePiece tokenizer of a folder.

    Raises:
        EncoderError: the model is missing or damaged, a rule is not ALBERT's, or two files contradict each other where
            transformers 4 and 5 differ.
    """
    if files.declared_class not in (None, _CLASS) and not (files.is_generic and files.rules):
        raise EncoderError(
            f"{files.folder}: tokenizer_class is {files.declared_class!r}; with SentencePiece only {_CLASS!r} can be converted"
        )
    files.check_sides()
    for role, token in _ROLES.items():
        if (found := files.special_token(role, token)) != token:
            raise EncoderError(f"{files.folder}: {role} is {found!r}, only ALBERT's {token!r} can be converted")
    files.check_added(_ROLES.values())
    if files.rules:
        _check_rules(files)
    switches = _switches(files)
    rules = TextRules(
        lower_case=switches["do_lower_case"],
        strip_accents=not switches["keep_accents"],
        plain_quotes=True,
        plain_spaces=True,
    )
    return AlbertPieces(_model(files), rules)


def _switches(files: TokenizerFiles) -> dict[str, bool]:
    """Lower-casing and accents; tokenizer.json counts in transformers 4, tokenizer_config.json in 5."""
    told = {name: bool(files.switch(name, default)) for name, default in _DEFAULTS.items()}
    if not files.rules:
        return told
    steps = _steps(files.rules)
    found = {"do_lower_case": "Lowercase" in steps, "keep_accents": "StripAccents" not in steps}
    for name, value in found.items():
        if not files.is_generic and value != told[name]:
            raise EncoderError(
                f"{files.folder / TOKENIZER_CONFIG_FILE}: {name} is {json.dumps(told[name])}"
                f"{'' if name in files.settings else ' where the file does not tell'}, but the normalizer of {TOKENIZER_FILE} "
                f"says {json.dumps(value)}; transformers 4 and 5 differ on which one counts, so write the same in both"
            )
    return found


def _steps(rules: Mapping[str, Any]) -> list[str]:
    """Types of the steps of the normalizer."""
    steps = table(rules, "normalizer").get("normalizers")
    return [str(step.get("type")) for step in steps or () if isinstance(step, Mapping)]


def _check_rules(files: TokenizerFiles) -> None:
    path = files.folder / TOKENIZER_FILE
    for name, value, expected in _rules(files.rules):
        if value != expected:
            raise EncoderError(
                f"{path}: {name} is {json.dumps(value)}, only ALBERT's {json.dumps(expected)} can be converted"
            )
    if unknown := [step for step in _steps(files.rules) if step not in _STEPS]:
        raise EncoderError(
            f"{path}: its normalizer has {unknown[0]!r}, only {', '.join(_STEPS)} can be converted; texts would be "
            "tokenized differently than in the training of the encoder"
        )


def _rules(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Rules of tokenization: name, value, and the only value that can be converted."""
    yield "normalizer", table(rules, "normalizer").get("type"), "Sequence"
    # Version 4 leaves out the split at white space, which Metaspace does, too.
    splitter = table(rules, "pre_tokenizer")
    parts = [part.get("type") for part in splitter.get("pretokenizers") or [splitter]]
    yield "pre_tokenizer", parts[parts[:1] == ["WhitespaceSplit"] :], ["Metaspace"]
    yield "model.type", table(rules, "model").get("type"), "Unigram"
    yield "model.byte_fallback", table(rules, "model").get("byte_fallback", False), False


def _model(files: TokenizerFiles) -> SentencePiece:
    """The SentencePiece model: that of tokenizer.json, else spiece.model."""
    path, found = files.folder / SENTENCEPIECE_FILE, files.folder / TOKENIZER_FILE
    if not files.rules:
        return read_sentencepiece(path)
    try:
        model, steps = files.rules["model"], files.rules["normalizer"]["normalizers"]
        charsmap = next((step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"), None)
        tokens = [str(piece) for piece, _ in model["vocab"]]
        content = unigram_model([(piece, score) for piece, score in model["vocab"]], charsmap, model["unk_id"])
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise EncoderError(f"{found}: cannot read its vocabulary: {type(error).__name__}: {error}") from None
    files.check_ids(tokens)
    if (frame := [tokens[number] for number in files.frame(len(tokens))]) != [_ROLES["cls_token"], _ROLES["sep_token"]]:
        raise EncoderError(
            f"{found}: post_processor frames texts with {' and '.join(frame)}, only with [CLS] and [SEP] can be converted"
        )
    # spiece.model may have kinds of pieces that tokenizer.json does not have.
    if path.is_file() and same_pieces((original := read_sentencepiece(path)).content, content):
        return original
    return parse_sentencepiece(content, str(found))
