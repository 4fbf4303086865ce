"""The tokenizer of a Hugging Face folder: its settings, its checks, and the preprocessing SavedModel made of it.

Older folders have vocab.txt (WordPiece) or spiece.model (SentencePiece); newer ones keep both vocabulary and rules in
tokenizer.json.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import (
    LONGEST_WORD,
    SENTENCEPIECE_FILE,
    VOCABULARY_FILE,
    write_preprocessing,
    write_sentencepiece_preprocessing,
)
from bert_serving.text.sentencepieces import albert_rules, read_sentencepiece, unigram_model
from bert_serving.text.vocabulary import SPECIAL_TOKENS, read_vocabulary

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
_NAMED = 3
# transformers, `AlbertConverter`.
_ALBERT_STEPS = ("Replace", "NFKD", "StripAccents", "Lowercase", "Precompiled")
_ALBERT_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Reads a JSON object; {} for an optional file that is not there.

    Raises:
        EncoderError: the file is missing or damaged.
    """
    if optional and not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{path}: missing; a Hugging Face folder needs it") from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: cannot read it: {error}") from None
    if not isinstance(content, dict):
        raise EncoderError(f"{path}: cannot read it: holds {type(content).__name__}, expected a JSON object")
    return content


def read_tokenizer_settings(folder: Path) -> dict[str, Any]:
    """Settings of the tokenizer by their names in tokenizer_config.json, completed from tokenizer.json.

    Raises:
        EncoderError: a file is damaged.
    """
    settings = read_json(folder / TOKENIZER_CONFIG_FILE, optional=True)
    normalizer = read_json(folder / TOKENIZER_FILE, optional=True).get("normalizer")
    if isinstance(normalizer, Mapping) and normalizer.get("type") == "BertNormalizer":
        rules = {
            "do_lower_case": normalizer.get("lowercase"),
            "strip_accents": normalizer.get("strip_accents"),
            "tokenize_chinese_chars": normalizer.get("handle_chinese_chars"),
        }
        # Hugging Face's tokenizers follow tokenizer.json where both files have a setting.
        settings |= {name: value for name, value in rules.items() if value is not None}
    elif steps := _steps(normalizer):  # ALBERT's, before SentencePiece
        settings |= {"do_lower_case": "Lowercase" in steps, "keep_accents": "StripAccents" not in steps}
    return settings


def has_wordpieces(folder: Path) -> bool:
    """Whether a folder's vocabulary is of WordPiece rather than SentencePiece.

    Raises:
        EncoderError: a file is damaged.
    """
    if (folder / SENTENCEPIECE_FILE).is_file():
        return False
    if (folder / VOCABULARY_FILE).is_file():
        return True
    return _table(read_json(folder / TOKENIZER_FILE, optional=True), "model").get("type") == "WordPiece"


def check_sentencepiece_rules(folder: Path) -> None:
    """Refuses a tokenizer.json for which our SentencePiece preprocessing would give other token ids.

    Raises:
        EncoderError: it has a rule that ALBERT's tokenizer does not have, or is damaged.
    """
    path = folder / TOKENIZER_FILE
    tokenizer = read_json(path, optional=True)
    if not tokenizer:
        return
    normalizer = _table(tokenizer, "normalizer")
    if normalizer.get("type") != "Sequence":
        raise EncoderError(
            f'{path}: normalizer is {json.dumps(normalizer.get("type"))}, only ALBERT\'s "Sequence" can be converted'
        )
    if unknown := [step for step in _steps(normalizer) if step not in _ALBERT_STEPS]:
        raise EncoderError(
            f"{path}: its normalizer has {unknown[0]!r}, only {', '.join(_ALBERT_STEPS)} can be converted; texts would be "
            "tokenized differently than in the training of the encoder"
        )
    _check_added(path, "added_tokens", _values(tokenizer.get("added_tokens")), allowed=_ALBERT_TOKENS)


def _steps(normalizer: Any) -> list[str]:
    """Types of the steps of a normalizer that is a sequence."""
    if not isinstance(normalizer, Mapping) or normalizer.get("type") != "Sequence":
        return []
    return [str(step.get("type")) for step in _values(normalizer.get("normalizers")) if isinstance(step, Mapping)]


def check_wordpiece_rules(folder: Path) -> None:
    """Refuses a tokenizer for which our WordPiece preprocessing would give other token ids.

    Raises:
        EncoderError: it has a rule that our preprocessing does not have (the first one is named), or is damaged.
    """
    settings = read_json(folder / TOKENIZER_CONFIG_FILE, optional=True)
    decoder = settings.get("added_tokens_decoder")
    more = settings.get("additional_special_tokens") or settings.get("extra_special_tokens")
    listed = [*_values(decoder), *_values(more)]
    _check_added(folder / TOKENIZER_CONFIG_FILE, "the list of added tokens", listed, allowed=SPECIAL_TOKENS)
    path = folder / TOKENIZER_FILE
    tokenizer = read_json(path, optional=True)
    if not tokenizer:
        return
    for name, value, expected in _rules(tokenizer):
        if value != expected:
            raise EncoderError(
                f"{path}: {name} is {json.dumps(value)}, only {json.dumps(expected)} can be converted; texts would be tokenized "
                "differently than in the training of the encoder"
            )
    _check_added(path, "added_tokens", _values(tokenizer.get("added_tokens")), allowed=SPECIAL_TOKENS)


def _values(listed: Any) -> Iterable[Any]:
    """Values of a list or of a JSON object."""
    if isinstance(listed, Mapping):
        return listed.values()
    return listed if isinstance(listed, list) else []


def _check_added(path: Path, key: str, listed: Iterable[Any], *, allowed: Collection[str]) -> None:
    """Refuses added tokens: our preprocessing does not search texts for them."""
    tokens = [str(token.get("content") if isinstance(token, Mapping) else token) for token in listed]
    if words := [token for token in tokens if token not in allowed]:
        shown = ", ".join(map(repr, words[:_NAMED])) + (f" and {len(words) - _NAMED} more" if words[_NAMED:] else "")
        raise EncoderError(
            f"{path}: {key} has {shown}, which no text is searched for here; only {', '.join(allowed)} can be converted"
        )


def _rules(tokenizer: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Rules of tokenization: name, value, and the only value that our preprocessing supports."""
    normalizer, splitter, model = (_table(tokenizer, name) for name in ("normalizer", "pre_tokenizer", "model"))
    rules = [
        ("normalizer", normalizer.get("type"), "BertNormalizer"),
        ("normalizer.clean_text", normalizer.get("clean_text", True), True),
        ("pre_tokenizer", splitter.get("type"), "BertPreTokenizer"),
        ("model.continuing_subword_prefix", model.get("continuing_subword_prefix", "##"), "##"),
        ("model.max_input_chars_per_word", model.get("max_input_chars_per_word", LONGEST_WORD), LONGEST_WORD),
    ]
    # The first versions of tokenizer.json have no type of the model.
    return [("model", model.get("type", "WordPiece"), "WordPiece"), *rules]


def _table(tokenizer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = tokenizer.get(name)
    return value if isinstance(value, Mapping) else {}


def write_tokenizer(
    folder: Path, target: Path, settings: Mapping[str, Any], *, vocab_size: int, sentencepiece: bool
) -> None:
    """Writes the preprocessing SavedModel of a Hugging Face folder.

    Args:
        folder: the Hugging Face folder.
        target: folder to create.
        settings: as `read_tokenizer_settings` gives them.
        vocab_size: rows of the encoder's embedding table.
        sentencepiece: whether the tokenizer is ALBERT's rather than BERT's.

    Raises:
        EncoderError: the vocabulary is missing, damaged, or of another size.
    """
    with _checked_vocabulary(folder, vocab_size, sentencepiece=sentencepiece) as path:
        if sentencepiece:
            write_sentencepiece_preprocessing(path, target, rules=albert_rules(settings))
        else:
            write_preprocessing(path, target, lower_case=bool(settings.get("do_lower_case", True)))


def check_tokenizer(folder: Path, *, vocab_size: int, sentencepiece: bool) -> None:
    """Checks a vocabulary before any long work.

    Raises:
        EncoderError: the vocabulary is missing, damaged, or of another size.
    """
    with _checked_vocabulary(folder, vocab_size, sentencepiece=sentencepiece):
        pass


@contextmanager
def _checked_vocabulary(folder: Path, vocab_size: int, *, sentencepiece: bool) -> Iterator[Path]:
    """A vocabulary file, checked; its name is the one that the asset of a SavedModel needs."""
    with TemporaryDirectory() as scratch:
        if sentencepiece:
            path = _vocabulary_file(folder, SENTENCEPIECE_FILE, Path(scratch), _sentencepiece_of)
            read_sentencepiece(path, expected_size=vocab_size)
        else:
            path = _vocabulary_file(folder, VOCABULARY_FILE, Path(scratch), _wordpieces_of)
            read_vocabulary(path, expected_size=vocab_size)
        yield path


def _vocabulary_file(folder: Path, name: str, scratch: Path, content_of: Callable[[Mapping[str, Any]], bytes]) -> Path:
    """The folder's own file, or one made of its tokenizer.json."""
    path = folder / TOKENIZER_FILE
    if (folder / name).is_file() or not path.is_file():
        return folder / name
    try:
        content = content_of(read_json(path))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise EncoderError(f"{path}: cannot read its vocabulary: {type(error).__name__}: {error}") from None
    (scratch / name).write_bytes(content)
    return scratch / name


def _wordpieces_of(tokenizer: Mapping[str, Any]) -> bytes:
    model = tokenizer["model"]
    if model.get("type", "WordPiece") != "WordPiece":
        raise ValueError(f"its model is {model['type']!r}, expected 'WordPiece'")
    ids = dict(model["vocab"]) | {token["content"]: token["id"] for token in tokenizer.get("added_tokens", [])}
    tokens = sorted(ids, key=lambda token: ids[token])
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError("the ids have gaps or repeat")
    return "".join(f"{token}\n" for token in tokens).encode()


def _sentencepiece_of(tokenizer: Mapping[str, Any]) -> bytes:
    model = tokenizer["model"]
    if model.get("type") != "Unigram":
        raise ValueError(f"its model is {model.get('type')!r}, expected 'Unigram'")
    steps = (tokenizer.get("normalizer") or {}).get("normalizers", [])
    charsmap = next((step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"), None)
    return unigram_model([(piece, score) for piece, score in model["vocab"]], charsmap, model["unk_id"])
