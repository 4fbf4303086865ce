"""The preprocessing SavedModel: strings to BERT's inputs, in TF Hub's format for text preprocessing.

Interface: https://www.tensorflow.org/hub/common_saved_model_apis/text. The root call packs single texts, `.tokenize` gives
word pieces, `.bert_pack_inputs` packs one or two tokenized segments to any length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text
from tensorflow_text.python.ops.bert_tokenizer import BasicTokenizer

from bert_serving import contract
from bert_serving.errors import EncoderError
from bert_serving.text.packing import combine_segments, pad
from bert_serving.text.sentencepieces import TextRules, read_sentencepiece
from bert_serving.text.vocabulary import SpecialIds

DEFAULT_SEQUENCE_LENGTH = 128
VOCABULARY_FILE = "vocab.txt"
SENTENCEPIECE_FILE = "spiece.model"
LONGEST_WORD = 100
"""characters of a word that is cut into pieces; a longer one is unknown, as Hugging Face's tokenizers have it"""
_TOKENIZE_BATCH = 1024
_BYTES_PER_CHARACTER = 4
# A character for private use: `normalize` takes it out of texts, so that no vocabulary can hold it.
_NO_WORD = "\U0010fffd"


# === Writing ===


def write_preprocessing(vocabulary: Path, target: Path, *, lower_case: bool) -> None:
    """Writes a preprocessing SavedModel.

    Args:
        vocabulary: WordPiece file, named vocab.txt because the asset keeps its name.
        target: folder to create.
        lower_case: lower-case and strip accents first, as an uncased encoder wants.
    """
    tf.saved_model.save(_Preprocessing(_Tokenize(str(vocabulary), lower_case)), str(target))


def write_sentencepiece_preprocessing(model: Path, target: Path, *, rules: TextRules) -> None:
    """Writes a preprocessing SavedModel around a SentencePiece model, as ALBERT's.

    Args:
        model: SentencePiece file, named spiece.model because the asset keeps its name.
        target: folder to create.
        rules: what is done to a text before it is cut.

    Raises:
        EncoderError: the file cannot be read, or lacks a token that frames a text.
    """
    tf.saved_model.save(_Preprocessing(_SentencePieceTokenize(model, rules)), str(target))


def normalize(texts: tf.Tensor, *, lower_case: bool) -> tf.Tensor:
    """Cleans strings as BERT's own tokenizer does.

    Broken UTF-8 and control characters are dropped, every kind of white space becomes a space. `tensorflow_text.BertTokenizer` alone
    differs: it turns control characters into spaces, keeps no-break spaces inside words and folds "ß" to "ss".
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore", replace_control_characters=False)
    texts = tf.strings.regex_replace(texts, r"[\p{Z}\t\n\r]", " ")
    texts = tf.strings.regex_replace(texts, r"[\p{C}\x{FFFD}]", "")
    if lower_case:
        texts = tensorflow_text.normalize_utf8(texts, "NFD")
        texts = tf.strings.regex_replace(texts, r"\p{Mn}", "")
        # Unicode lower-casing follows the process's locale, where a Turkish one makes of "I" a dotless "ı"; that of ASCII does not.
        texts = tf.strings.lower(texts)
        texts = tf.strings.lower(texts, encoding="utf-8")
    return texts


class _SpecialTokens(tf.Module):
    """`.tokenize.get_special_tokens_dict` of the TF Hub interface."""

    def __init__(self, ids: dict[str, int]):
        super().__init__()
        self._ids = ids

    @tf.function(input_signature=[], autograph=False)
    def __call__(self):
        return {name: tf.constant(value, tf.int32) for name, value in self._ids.items()}


class _VocabularyInitializer(tf.lookup.TextFileInitializer):
    """Leaves the name of its table to chance: TensorFlow's own would carry the file's path into every SavedModel."""

    @property
    def _shared_name(self) -> str:
        return ""


class _Tokenize(tf.Module):
    """`.tokenize`: strings [B] to word pieces, int32 [B, (words), (pieces)]."""

    def __init__(self, vocabulary: str, lower_case: bool):
        super().__init__()
        # The initializer is kept because the SavedModel finds the vocabulary asset through it.
        self._initializer = _VocabularyInitializer(
            vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        table = tf.lookup.StaticHashTable(self._initializer, default_value=-1)
        self._splitter = BasicTokenizer(lower_case=False)
        # It counts bytes, which differ in number from script to script; characters are counted before it.
        self._cutter = tensorflow_text.WordpieceTokenizer(
            table, max_bytes_per_word=LONGEST_WORD * _BYTES_PER_CHARACTER, token_out_type=tf.int64
        )
        self._lower_case = lower_case
        tokens = {
            "start_of_sequence_id": "[CLS]",
            "end_of_segment_id": "[SEP]",
            "padding_id": "[PAD]",
            "mask_id": "[MASK]",
        }
        ids = table.lookup(tf.constant(list(tokens.values()))).numpy().tolist()
        self.ids = dict(zip(tokens, ids, strict=True)) | {"vocab_size": int(table.size())}
        self.get_special_tokens_dict = _SpecialTokens(self.ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def __call__(self, sentences):
        words = self._splitter.tokenize(normalize(sentences, lower_case=self._lower_case))
        is_long = tf.strings.length(words.flat_values, unit="UTF8_CHAR") > LONGEST_WORD
        words = words.with_flat_values(tf.where(is_long, _NO_WORD, words.flat_values))
        pieces = tf.cast(self._cutter.tokenize(words), tf.int32)
        # Shape inference loses the number of rows, which equals that of the input.
        splits = tf.reshape(pieces.row_splits, [tf.shape(sentences)[0] + 1])
        return tf.RaggedTensor.from_row_splits(pieces.values, splits, validate=False)


class _SentencePieceTokenize(tf.Module):
    """`.tokenize`: strings [B] to pieces, int32 [B, (pieces)]; SentencePiece knows no words."""

    def __init__(self, path: Path, rules: TextRules):
        super().__init__()
        model = read_sentencepiece(path)
        self._asset = tf.saved_model.Asset(str(path))
        self._tokenizer = tensorflow_text.SentencepieceTokenizer(model=model.content, out_type=tf.int32)
        self._rules = rules
        self.ids = model.ids
        self.get_special_tokens_dict = _SpecialTokens(self.ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, sentences):
        pieces = self._tokenizer.tokenize(self._rules.apply(sentences))
        # Shape inference loses the number of rows, which equals that of the input.
        splits = tf.reshape(pieces.row_splits, [tf.shape(sentences)[0] + 1])
        return tf.RaggedTensor.from_row_splits(pieces.values, splits, validate=False)


class _PackInputs(tf.Module):
    """`.bert_pack_inputs`: one or two segments to the encoder's inputs, int32 [B, seq_length] each."""

    def __init__(self, special: SpecialIds):
        super().__init__()
        self._special = special
        for ragged_rank in (1, 2):
            for segments in (1, 2):
                spec = tf.RaggedTensorSpec([None] * (ragged_rank + 1), tf.int32)
                self.__call__.get_concrete_function([spec] * segments, tf.TensorSpec([], tf.int32))

    @tf.function(autograph=False)
    def __call__(self, inputs, seq_length=DEFAULT_SEQUENCE_LENGTH):
        word_ids, type_ids = combine_segments(inputs, self._special, seq_length)
        return pad(word_ids, type_ids, self._special, seq_length)


class _Preprocessing(tf.Module):
    """The root object of the SavedModel."""

    def __init__(self, tokenize: "_Tokenize | _SentencePieceTokenize | _NormalizedTokenize"):
        super().__init__()
        self.tokenize = tokenize
        self._special = _special_ids(self.tokenize.ids)
        self.bert_pack_inputs = _PackInputs(self._special)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")], autograph=False)
    def __call__(self, sentences):
        word_ids, type_ids = combine_segments([self.tokenize(sentences)], self._special, DEFAULT_SEQUENCE_LENGTH)
        return pad(word_ids, type_ids, self._special, DEFAULT_SEQUENCE_LENGTH)


class NormalizedPreprocessing(_Preprocessing):
    """A preprocessing around another one, ours or TF Hub's, with a function of the user's before it.

    `.normalize` is that function alone, strings [B] to strings [B].
    """

    def __init__(self, inner: Any, function: Callable[[tf.Tensor], tf.Tensor]):
        specification = tf.TensorSpec([None], tf.string, name="sentences")
        normalize = tf.function(function, input_signature=[specification], autograph=False)
        super().__init__(_NormalizedTokenize(inner, normalize))
        self.normalize = normalize


class _NormalizedTokenize(tf.Module):
    """`.tokenize` of another preprocessing, behind a normalization."""

    def __init__(self, inner: Any, normalize: Callable[[tf.Tensor], tf.Tensor]):
        super().__init__()
        # Kept whole: its functions do not own their tables.
        self._inner = inner
        self._normalize = normalize
        self.ids = {name: int(value) for name, value in inner.tokenize.get_special_tokens_dict().items()}
        self.get_special_tokens_dict = _SpecialTokens(self.ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def __call__(self, sentences):
        # The function may hide the number of rows, which stays that of the input.
        normalized = tf.reshape(self._normalize(sentences), tf.shape(sentences))
        return self._inner.tokenize(normalized)


# === Using ===


@dataclass(frozen=True)
class Preprocessing:
    """A loaded preprocessing SavedModel, ours or one of TF Hub's.

    Attributes:
        model: the loaded SavedModel; keep it, its functions do not own their resources.
        special: ids of the framing tokens.
        folder: where it was loaded from.
        rewrite: the user's own normalization where it is plain Python; no graph can carry it.
    """

    model: Any
    special: SpecialIds
    folder: Path
    rewrite: Callable[[str], str] | None = None

    def segment(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Word pieces of strings [B]: int32 [B, (words), (pieces)] (in-graph, unless `rewrite` is there)."""
        if self.rewrite is not None:
            texts = tf.constant(self.normalized([text.decode("utf-8", "replace") for text in texts.numpy()]), tf.string)
        return self.model.tokenize(texts)

    def normalized(self, texts: Sequence[str]) -> list[Any]:
        """Texts behind the user's own normalization: as they are where there is none, as bytes where it is part of the graph."""
        if self.rewrite is not None:
            return [self.rewrite(text) for text in texts]
        # Earlier versions wrote it under another name.
        normalize = getattr(self.model, "normalize", getattr(self.model, "normalise", None))
        return list(texts) if normalize is None else normalize(tf.constant(list(texts), tf.string)).numpy().tolist()

    def token_rows(
        self, texts: Sequence[str], pairs: Sequence[str] | None, sequence_length: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Tokenizes many texts once, outside any model graph.

        Returns:
            Word ids and type ids of all rows end to end, int32 [tokens]; row offsets, int64 [rows + 1]; and each row's
            length before the cut, int64 [rows].
        """
        parts = [
            self._rows(texts[i : i + _TOKENIZE_BATCH], pairs and pairs[i : i + _TOKENIZE_BATCH], sequence_length)
            for i in range(0, max(len(texts), 1), _TOKENIZE_BATCH)
        ]
        words, types, lengths, uncut = (np.concatenate(column) for column in zip(*parts, strict=True))
        return words, types, np.concatenate([[0], np.cumsum(lengths)]), uncut

    def _rows(self, texts: Sequence[str], pairs: Sequence[str] | None, sequence_length: int) -> tuple[np.ndarray, ...]:
        segments = [self.segment(tf.constant(column, tf.string)) for column in (texts, pairs) if column is not None]
        word_ids, type_ids = combine_segments(segments, self.special, sequence_length)
        uncut = tf.add_n([segment.merge_dims(1, -1).row_lengths() for segment in segments]) + len(segments) + 1
        return (
            word_ids.flat_values.numpy(),
            type_ids.flat_values.numpy(),
            word_ids.row_lengths().numpy(),
            uncut.numpy(),
        )


def load_preprocessing(folder: Path, *, rewrite: Callable[[str], str] | None = None) -> Preprocessing:
    """Loads a preprocessing SavedModel; `rewrite` is a normalization in Python to put before it.

    Raises:
        EncoderError: the folder holds no SavedModel or one with another interface.
    """
    if not (folder / contract.GRAPH_FILE).is_file():
        raise EncoderError(
            f"{folder}: no preprocessing SavedModel here (saved_model.pb is missing); set encoder.preprocessing"
        )
    try:
        model = tf.saved_model.load(str(folder))
        tokens = {name: int(value) for name, value in model.tokenize.get_special_tokens_dict().items()}
        special = _special_ids(tokens)
    except (AttributeError, KeyError) as error:
        raise EncoderError(f"{folder}: not a text preprocessing SavedModel of TF Hub's format: {error}") from None
    except (OSError, tf.errors.OpError) as error:
        raise EncoderError(
            f"{folder}: cannot load the preprocessing SavedModel: {str(error).splitlines()[0]}"
        ) from None
    return Preprocessing(model, special, folder, rewrite)


def _special_ids(tokens: dict[str, int]) -> SpecialIds:
    return SpecialIds(
        start_of_sequence=tokens["start_of_sequence_id"],
        end_of_segment=tokens["end_of_segment_id"],
        padding=tokens["padding_id"],
    )
