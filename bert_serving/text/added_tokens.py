"""Added tokens: tokens that a tokenizer searches texts for before it splits them, special tokens such as [MASK] among them.

As `AddedVocabulary` of Hugging Face's library "tokenizers": at each place the longest token counts, the texts between tokens are
tokenized each for itself. https://github.com/huggingface/tokenizers, `tokenizers/src/tokenizer/added_vocabulary.rs`
"""

import itertools
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import tensorflow as tf
import tensorflow_text

from bert_serving.text.clean import SPACES

MOST_LETTERS = 100_000
"""characters of all added tokens together; they become one regular expression"""

# No valid UTF-8 has this byte, and no class of a regular expression matches it.
_MARK = b"\xff"
_BUCKETS = 2**62
_SPACE = f"[{SPACES}]"
# `\w` of Unicode, which the regular expressions of TensorFlow have for ASCII only.
_LETTER = (
    r"[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}"
    r"\x{1F170}-\x{1F189}]"
)


@dataclass(frozen=True)
class AddedToken:
    """A token that texts are searched for.

    Attributes:
        content: the token as it is written.
        number: its id.
        special: whether it is one that no text is expected to have, such as [CLS].
        normalized: search the normalized text for the normalized token, rather than the text as it is.
        lstrip, rstrip: white space before or after it belongs to it.
        single_word: does not count next to a letter or digit.
    """

    content: str
    number: int
    special: bool = False
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


class AddedTokens:
    """Tokenizes texts with added tokens, in a graph."""

    def __init__(
        self, tokens: Iterable[AddedToken], normalize: Callable[[tf.Tensor], tf.Tensor], *, composed: bool = False
    ):
        """Splits the tokens into those of the text as it is and those of the normalized text.

        Args:
            tokens: to search for.
            normalize: strings [B] of valid UTF-8 to strings [B].
            composed: whether the tokenizer replaces compatibility characters, such as full-width letters, only after `normalize`.
        """
        tokens = tuple(tokens)
        self._normalize = normalize
        self._before = _Search([(token, token.content) for token in tokens if not token.normalized], composed=False)
        later = [token for token in tokens if token.normalized]
        contents = _normalized(later, normalize, composed=composed)
        self._after = _Search(list(zip(later, contents, strict=True)), composed=composed)

    def tokenize(self, texts: tf.Tensor, pieces: Callable[[tf.Tensor], tf.RaggedTensor]) -> tf.RaggedTensor:
        """Tokenizes strings [B] of valid UTF-8.

        Args:
            texts: the strings.
            pieces: from normalized strings [B] to token ids, int32 [B, (tokens)] or [B, (words), (tokens)].
        """
        return self._before.tokenize(texts, lambda parts: self._after.tokenize(self._normalize(parts), pieces))


def _normalized(
    tokens: Sequence[AddedToken], normalize: Callable[[tf.Tensor], tf.Tensor], *, composed: bool
) -> list[str]:
    contents = normalize(tf.constant([token.content for token in tokens], tf.string))
    if composed:
        contents = tensorflow_text.normalize_utf8(contents, "NFKC")
    return [content.decode("utf-8") for content in contents.numpy()]


class _Search:
    """A search for some tokens."""

    def __init__(self, found: Sequence[tuple[AddedToken, str]], *, composed: bool):
        self._is_needed = bool(found)
        if not found:
            return
        # The first alternative that matches counts, so the longest must come first.
        ordered = sorted(found, key=lambda entry: -len(entry[1]))
        self._composed = composed
        self._strips = any(token.lstrip or token.rstrip for token, _ in ordered)
        self._pattern = "|".join(_pattern(token, content, composed=composed) for token, content in ordered)
        hashes = tf.strings.to_hash_bucket_fast([content for _, content in ordered], _BUCKETS).numpy().tolist()
        by_hash = sorted(zip(hashes, (token for token, _ in ordered), strict=True), key=lambda entry: entry[0])
        self._hashes = [number for number, _ in by_hash]
        self._ids = [token.number for _, token in by_hash]
        self._are_single = [token.single_word for _, token in by_hash]

    def tokenize(self, texts: tf.Tensor, pieces: Callable[[tf.Tensor], tf.RaggedTensor]) -> tf.RaggedTensor:
        """Ids of strings [B]: those of the tokens, and between them what `pieces` makes of the rest."""
        if not self._is_needed:
            return pieces(texts)
        marked = tf.strings.regex_replace(texts, self._pattern, _MARK + rb"\0" + _MARK)
        # Most texts have none. As tensors, because the two calls differ in what is known of their rows.
        tensors = tf.cond(
            tf.reduce_any(marked != texts),
            lambda: _tensors(self._tokenize_marked(marked, pieces)),
            lambda: _tensors(pieces(texts)),
        )
        values, *splits = tensors
        return tf.RaggedTensor.from_nested_row_splits(values, splits, validate=False)

    def _tokenize_marked(self, marked: tf.Tensor, pieces: Callable[[tf.Tensor], tf.RaggedTensor]) -> tf.RaggedTensor:
        count = tf.shape(marked)[0]
        parts = _split(marked)
        if any(self._are_single):
            parts = _split(self._rejoined(parts, count))
        places = parts.indices[:, 1]
        # Texts and tokens take turns in a row: text, token, text, ..., text.
        is_token = places % 2 == 1
        ids = tf.gather(tf.constant(self._ids, tf.int32), self._order(tf.boolean_mask(parts.values, is_token)))
        between = tf.boolean_mask(parts.values, ~is_token)
        # A text is followed by a token, unless it is the last of its row.
        rows = tf.boolean_mask(parts.indices[:, 0], ~is_token)
        follows = tf.concat([rows[1:] == rows[:-1], [False]], axis=0)[: tf.size(rows)]
        tokens = tf.RaggedTensor.from_row_lengths(ids, tf.cast(follows, tf.int64), validate=False)
        joined = _followed(pieces(between), tokens)
        counts = tf.math.bincount(tf.cast(rows, tf.int32), minlength=count)
        splits = tf.concat([[0], tf.cumsum(counts)], axis=0)
        return tf.RaggedTensor.from_row_splits(joined.values, tf.gather(joined.row_splits, splits), validate=False)

    def _order(self, found: tf.Tensor) -> tf.Tensor:
        """Place of each token that was found, with its white space, in the lists by hashes."""
        if self._strips:
            found = tf.strings.regex_replace(found, rf"\A{_SPACE}+|{_SPACE}+\z", "")
        if self._composed:
            found = tensorflow_text.normalize_utf8(found, "NFKC")
        return tf.searchsorted(self._hashes, tf.strings.to_hash_bucket_fast(found, _BUCKETS))

    def _rejoined(self, parts: "_Parts", rows: tf.Tensor) -> tf.Tensor:
        """The texts with marks around tokens, but for those of single words that stand next to a letter."""
        values, places = parts.values, parts.indices[:, 1]
        is_token = places % 2 == 1
        is_single = tf.gather(tf.constant(self._are_single), tf.minimum(self._order(values), len(self._hashes) - 1))
        pad = tf.constant(["", ""])
        before, after = tf.concat([pad, values], axis=0), tf.concat([values, pad], axis=0)
        size = tf.size(values)
        # Between two tokens there is an empty text.
        left = tf.where((before[1 : size + 1] == "") & (places > 2), before[:size], before[1 : size + 1])
        is_inner = tf.concat([places, [0, 0]], axis=0)[2:] == places + 2
        right = tf.where((after[1 : size + 1] == "") & is_inner, after[2:], after[1 : size + 1])
        touches = tf.strings.regex_full_match(left, rf"(?s).*{_LETTER}") | tf.strings.regex_full_match(
            right, rf"(?s){_LETTER}.*"
        )
        marked = tf.strings.join([_MARK, values, _MARK])
        kept = tf.where(is_token & ~(is_single & touches), marked, values)
        return tf.strings.unsorted_segment_join(kept, parts.indices[:, 0], rows)


@dataclass(frozen=True)
class _Parts:
    """Parts of texts: strings [parts], and the number of the text and the place in it, int64 [parts, 2]."""

    values: tf.Tensor
    indices: tf.Tensor


def _split(marked: tf.Tensor) -> _Parts:
    found = tf.raw_ops.StringSplitV2(input=marked, sep=_MARK)
    return _Parts(found.values, found.indices)


def _tensors(ragged: tf.RaggedTensor) -> list[tf.Tensor]:
    return [ragged.flat_values, *ragged.nested_row_splits]


def _followed(pieces: tf.RaggedTensor, tokens: tf.RaggedTensor) -> tf.RaggedTensor:
    """Each row with the token after it; where rows have words, the token is one."""
    if pieces.ragged_rank > 1:
        ones = tf.ones([tf.size(tokens.values)], tf.int64)
        tokens = tokens.with_values(tf.RaggedTensor.from_row_lengths(tokens.values, ones, validate=False))
    return tf.concat([pieces, tokens], axis=1)


def _pattern(token: AddedToken, content: str, *, composed: bool) -> str:
    letters = "".join(map(_class if composed else _escaped, content))
    return f"{f'{_SPACE}*' * token.lstrip}{letters}{f'{_SPACE}*' * token.rstrip}"


def _escaped(letter: str) -> str:
    return rf"\x{{{ord(letter):X}}}"


def _class(letter: str) -> str:
    """The characters whose compatibility form is this one."""
    return f"[{''.join(map(_escaped, (letter, *_forms().get(letter, ()))))}]"


@lru_cache(maxsize=1)
def _forms() -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    for letter in map(chr, itertools.chain(range(0x80, 0xD800), range(0xE000, sys.maxunicode + 1))):
        form = unicodedata.normalize("NFKC", letter)
        if form != letter and len(form) == 1:
            forms.setdefault(form, []).append(letter)
    return forms


def problems(
    tokens: Sequence[AddedToken], normalize: Callable[[tf.Tensor], tf.Tensor], *, composed: bool = False
) -> Iterator[str]:
    """What keeps tokens from being searched for, a line each; arguments as those of `AddedTokens`."""
    if (letters := sum(len(token.content) for token in tokens)) > MOST_LETTERS:
        yield f"its {len(tokens)} added tokens have {letters} characters, at most {MOST_LETTERS} can be searched for"
    for normalized in (False, True):
        chosen = [token for token in tokens if token.normalized is normalized]
        contents = [token.content for token in chosen]
        if normalized:
            contents = _normalized(chosen, normalize, composed=composed)
        yield from _conflicts(list(zip(chosen, contents, strict=True)))


def _conflicts(found: Sequence[tuple[AddedToken, str]]) -> Iterator[str]:
    strips = [(token, content) for token, content in found if token.lstrip or token.rstrip]
    first: dict[str, AddedToken] = {}
    for token, content in found:
        if not content:
            yield f"the added token {token.content!r} is empty after normalization"
        elif content in first:
            yield f"the added tokens {first[content].content!r} and {token.content!r} are one after normalization"
        elif strips and content.strip() != content:
            yield f"the added token {token.content!r} has white space at its edge, which {strips[0][0].content!r} takes"
        first[content] = token
    for token, content in strips:
        if token.single_word:
            yield f"the added token {token.content!r} has single_word together with lstrip or rstrip"
        for other, longer in found:
            if longer.startswith(content) and other is not token:
                yield f"the added token {token.content!r} has lstrip or rstrip, and {other.content!r} begins with it"
