"""Tokenizers as graphs: `.tokenize` of the preprocessing SavedModel, WordPiece or SentencePiece, behind a search for added tokens."""

# tf.function has no annotations.
# mypy: disable-error-code=untyped-decorator

import functools
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_text
from tensorflow_text.python.ops.bert_tokenizer import BasicTokenizer

from bert_serving.text.added_tokens import AddedToken, AddedTokens
from bert_serving.text.byte_level_bpe import WordRules
from bert_serving.text.clean import valid_utf8
from bert_serving.text.keras_hub_bytes import KerasHubWordRules
from bert_serving.text.sentencepieces import SentencePiece, TextRules
from bert_serving.text.vocabulary import TOKENS_BY_NAME

LONGEST_WORD = 100
"""most characters of a word that is split into word pieces; a longer one is unknown, as in Hugging Face's tokenizers"""
_BYTES_PER_CHARACTER = 4
# A character for private use: `normalize` removes it from texts, so no vocabulary has it.
NO_WORD = "\U0010fffd"
# Chinese characters as Google's BERT and Hugging Face's tokenizers know them.
_CHINESE = (
    r"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}\x{2B920}-\x{2CEAF}"
    r"\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]"
)


def normalize(texts: tf.Tensor, *, lower_case: bool) -> tf.Tensor:
    """Cleans strings as BERT's own tokenizer does.

    Invalid UTF-8 and control characters are removed, every kind of white space becomes a space. `tensorflow_text.BertTokenizer`
    differs: it turns control characters into spaces, keeps no-break spaces inside words and folds "ß" to "ss".
    """
    return _normalize_valid(valid_utf8(texts), lower_case=lower_case)


def wordpiece_matching(texts: tf.Tensor, *, lower_case: bool) -> tf.Tensor:
    """The form of strings of valid UTF-8 in which normalized added tokens are searched for: characters of Chinese are words."""
    return tf.strings.regex_replace(_normalize_valid(texts, lower_case=lower_case), _CHINESE, r" \0 ")


def _normalize_valid(texts: tf.Tensor, *, lower_case: bool) -> tf.Tensor:
    texts = tf.strings.regex_replace(texts, r"[\p{Z}\t\n\r]", " ")
    texts = tf.strings.regex_replace(texts, r"[\p{C}\x{FFFD}]", "")
    if lower_case:
        texts = tensorflow_text.normalize_utf8(texts, "NFD")
        texts = tf.strings.regex_replace(texts, r"\p{Mn}", "")
        # ASCII first: Unicode lower-casing depends on the locale, and a Turkish one turns "I" into a dotless "ı".
        texts = tf.strings.lower(texts)
        texts = tf.strings.lower(texts, encoding="utf-8")
    return texts


class SpecialTokens(tf.Module):
    """`.tokenize.get_special_tokens_dict` of the TF Hub interface."""

    def __init__(self, ids: dict[str, int]):
        """Keeps the ids by their names."""
        super().__init__()
        self._ids = ids

    @tf.function(input_signature=[], autograph=False)
    def __call__(self) -> dict[str, tf.Tensor]:
        """The ids by their names."""
        return {name: tf.constant(value, tf.int32) for name, value in self._ids.items()}


class _VocabularyInitializer(tf.lookup.TextFileInitializer):
    """Has no shared name: TensorFlow's default would put the file's path into every SavedModel."""

    @property
    def _shared_name(self) -> str:
        return ""


class WordPieceTokenize(tf.Module):
    """`.tokenize`: strings [B] to word pieces, int32 [B, (words), (pieces)]."""

    def __init__(self, vocabulary: str, lower_case: bool, added: Sequence[AddedToken] = (), words: int | None = None):
        """Reads the vocabulary, a file's path; `added` and `words` as for `write_preprocessing`."""
        super().__init__()
        # The initializer is kept because the SavedModel finds the vocabulary asset through it.
        self._initializer = _VocabularyInitializer(
            vocabulary,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            vocab_size=words,
        )
        table = tf.lookup.StaticHashTable(self._initializer, default_value=-1)
        self._splitter = BasicTokenizer(lower_case=False)
        # The limit is in bytes, of which a character has up to four; `__call__` limits characters.
        self._cutter = tensorflow_text.WordpieceTokenizer(
            table, max_bytes_per_word=LONGEST_WORD * _BYTES_PER_CHARACTER, token_out_type=tf.int64
        )
        # Normalization is the same twice; the first search sees texts as they are.
        form = wordpiece_matching if any(token.normalized for token in added) else _normalize_valid
        self._added = AddedTokens(added, functools.partial(form, lower_case=lower_case))
        tokens = Path(vocabulary).read_bytes().decode("utf-8").removesuffix("\n").split("\n")
        self.ids = {name: tokens.index(token) for name, token in TOKENS_BY_NAME.items()} | {"vocab_size": len(tokens)}
        self.get_special_tokens_dict = SpecialTokens(self.ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def __call__(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        """Cuts strings [B] into word pieces."""
        return with_rows_of(sentences, self._added.tokenize(valid_utf8(sentences), self.pieces))

    def pieces(self, normalized: tf.Tensor) -> tf.RaggedTensor:
        """Word pieces of normalized strings [B]."""
        words = self._splitter.tokenize(normalized)
        is_long = tf.strings.length(words.flat_values, unit="UTF8_CHAR") > LONGEST_WORD
        return self.cut(words.with_flat_values(tf.where(is_long, NO_WORD, words.flat_values)))

    def cut(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Word pieces of words, string [B, (words)]."""
        return tf.cast(self._cutter.tokenize(words), tf.int32)


def with_rows_of(sentences: tf.Tensor, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
    """Restores the number of rows, which shape inference loses: it equals that of the input."""
    splits = tf.reshape(pieces.row_splits, [tf.shape(sentences)[0] + 1])
    return tf.RaggedTensor.from_row_splits(pieces.values, splits, validate=False)


class SentencePieceTokenize(tf.Module):
    """`.tokenize`: strings [B] to pieces, int32 [B, (pieces)], or [B, (words), (pieces)] where the rules split words."""

    def __init__(
        self,
        path: Path,
        model: SentencePiece,
        rules: TextRules | WordRules | KerasHubWordRules,
        added: Sequence[AddedToken] = (),
    ):
        """Keeps the model, `path` its file; `added` as for `write_sentencepiece_preprocessing`."""
        super().__init__()
        self._asset = tf.saved_model.Asset(str(path))
        self._tokenizer = tensorflow_text.SentencepieceTokenizer(model=model.content, out_type=tf.int32)
        self._rules = rules
        # The rest of its normalization is in the model.
        self._added = AddedTokens(added, rules.apply, composed=True)
        self.ids = model.ids
        self.get_special_tokens_dict = SpecialTokens(self.ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        """Cuts strings [B] into pieces."""
        pieces = self._added.tokenize(valid_utf8(sentences), self._pieces)
        return with_rows_of(sentences, pieces)

    def _pieces(self, normalized: tf.Tensor) -> tf.RaggedTensor:
        pieces: tf.RaggedTensor = self._tokenizer.tokenize(self._rules.split(normalized))
        return pieces
