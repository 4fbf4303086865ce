"""The preprocessing SavedModel: strings to BERT's inputs, in TF Hub's format for text preprocessing.

Interface: https://www.tensorflow.org/hub/common_saved_model_apis/text. The root call packs single texts, `.tokenize` gives
word pieces, `.bert_pack_inputs` packs one or two tokenized segments to any length.
"""

# tf.function has no annotations.
# mypy: disable-error-code=untyped-decorator

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.contract import LongTexts
from bert_serving.errors import EncoderError
from bert_serving.io.cache import folder_sha256
from bert_serving.io.saved_models import write_saved_model
from bert_serving.text.added_tokens import AddedToken
from bert_serving.text.byte_level_bpe import WordRules
from bert_serving.text.keras_hub_bytes import KerasHubWordRules
from bert_serving.text.packing import combine_segments, pad
from bert_serving.text.sentencepieces import SentencePiece, TextRules
from bert_serving.text.tokenizers import SentencePieceTokenize, SpecialTokens, WordPieceTokenize
from bert_serving.text.vocabulary import SpecialIds

DEFAULT_SEQUENCE_LENGTH = 128
VOCABULARY_FILE = "vocab.txt"
SENTENCEPIECE_FILE = "spiece.model"
_TOKENIZE_BATCH = 1024


# === Writing ===


def write_preprocessing(
    vocabulary: Path, target: Path, *, lower_case: bool, added: Sequence[AddedToken] = (), words: int | None = None
) -> None:
    """Writes a preprocessing SavedModel.

    Args:
        vocabulary: WordPiece file, named vocab.txt because the asset keeps its name.
        target: folder to create.
        lower_case: lower-case and strip accents first, for an uncased encoder.
        added: tokens that texts are searched for before they are split.
        words: tokens of the file that words are split into; those after them are `added` ones; None: all.
    """
    write_saved_model(PreprocessingModule(WordPieceTokenize(str(vocabulary), lower_case, added, words)), target)


def write_sentencepiece_preprocessing(
    model: SentencePiece,
    target: Path,
    *,
    rules: TextRules | WordRules | KerasHubWordRules,
    added: Sequence[AddedToken] = (),
) -> None:
    """Writes a preprocessing SavedModel around a SentencePiece model.

    Args:
        model: its pieces stand in the order of the token ids.
        target: folder to create.
        rules: normalization before SentencePiece, or the split into words before byte-level BPE.
        added: tokens that texts are searched for before they are split.
    """
    with TemporaryDirectory() as scratch:
        # The asset of a SavedModel keeps the file's name.
        path = Path(scratch, SENTENCEPIECE_FILE)
        path.write_bytes(model.content)
        write_saved_model(PreprocessingModule(SentencePieceTokenize(path, model, rules, added)), target)


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
    def __call__(
        self, inputs: Sequence[tf.RaggedTensor], seq_length: int | tf.Tensor = DEFAULT_SEQUENCE_LENGTH
    ) -> dict[str, tf.Tensor]:
        word_ids, type_ids = combine_segments(inputs, self._special, seq_length)
        return pad(word_ids, type_ids, self._special, seq_length)


class PreprocessingModule(tf.Module):
    """The root object of the SavedModel."""

    def __init__(self, tokenize: "WordPieceTokenize | SentencePieceTokenize | _NormalizedTokenize"):
        """Packs what `tokenize` cuts."""
        super().__init__()
        self.tokenize = tokenize
        self._special = SpecialIds.from_names(self.tokenize.ids)
        self.bert_pack_inputs = _PackInputs(self._special)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")], autograph=False)
    def __call__(self, sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        """Strings [B] to the encoder's inputs, int32 [B, `DEFAULT_SEQUENCE_LENGTH`] each."""
        word_ids, type_ids = combine_segments([self.tokenize(sentences)], self._special, DEFAULT_SEQUENCE_LENGTH)
        return pad(word_ids, type_ids, self._special, DEFAULT_SEQUENCE_LENGTH)


class NormalizedPreprocessing(PreprocessingModule):
    """A preprocessing, ours or TF Hub's, behind a normalizer of the user.

    `.normalize` is the normalizer alone, strings [B] to strings [B].
    """

    def __init__(self, inner: Any, function: Callable[[tf.Tensor], tf.Tensor]):
        """Wraps `inner`, a loaded SavedModel."""
        specification = tf.TensorSpec([None], tf.string, name="sentences")
        normalize = tf.function(function, input_signature=[specification], autograph=False)
        super().__init__(_NormalizedTokenize(inner, normalize))
        self.normalize = normalize


class PrefixedPreprocessing(PreprocessingModule):
    """A preprocessing, ours or TF Hub's, that puts a prefix before each text."""

    def __init__(self, inner: Any, prefix: str):
        """Wraps `inner`, a loaded SavedModel."""
        super().__init__(_NormalizedTokenize(inner, lambda texts: tf.strings.join([prefix, texts])))


class _NormalizedTokenize(tf.Module):
    """`.tokenize` of another preprocessing, behind a normalizer."""

    def __init__(self, inner: Any, normalize: Callable[[tf.Tensor], tf.Tensor]):
        super().__init__()
        # Kept whole: its functions do not own their tables.
        self._inner = inner
        self._normalize = normalize
        self.ids = {name: int(value) for name, value in inner.tokenize.get_special_tokens_dict().items()}
        self.get_special_tokens_dict = SpecialTokens(self.ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def __call__(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        # The function may lose the static number of rows, which equals that of the input.
        normalized = tf.reshape(self._normalize(sentences), tf.shape(sentences))
        return self._inner.tokenize(normalized)


# === Using ===


@dataclass(frozen=True)
class Preprocessing:
    """A loaded preprocessing SavedModel, ours or one of TF Hub's.

    Attributes:
        model: the loaded SavedModel; keep it, its functions do not own their resources.
        special: ids of the special tokens.
        folder: its folder.
        rewrite: the user's normalizer where it is plain Python, which cannot be part of a graph.
    """

    model: Any
    special: SpecialIds
    folder: Path
    rewrite: Callable[[str], str] | None = None

    @property
    def vocabulary(self) -> int | None:
        """Number of token ids that it makes; None where the SavedModel does not say it."""
        size = self.model.tokenize.get_special_tokens_dict().get("vocab_size")
        return None if size is None else int(size)

    def segment(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Word pieces of strings [B]: int32 [B, (words), (pieces)]; in a graph only without `rewrite`."""
        if self.rewrite is not None:
            texts = tf.constant(self.normalized([text.decode("utf-8", "replace") for text in texts.numpy()]), tf.string)
        return self.model.tokenize(texts)

    def normalized(self, texts: Sequence[str]) -> list[Any]:
        """Texts after the user's normalizer: as bytes where it is part of the graph, unchanged where there is none."""
        if self.rewrite is not None:
            return [self.rewrite(text) for text in texts]
        # Earlier versions spelled its name otherwise.
        normalize = getattr(self.model, "normalize", getattr(self.model, "normalise", None))
        return list(texts) if normalize is None else normalize(tf.constant(list(texts), tf.string)).numpy().tolist()

    def token_rows(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        sequence_length: int,
        *,
        long_texts: LongTexts = LongTexts.TRUNCATE,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Tokenizes many texts once, outside any model graph; `long_texts` as for `combine_segments`.

        Returns:
            Word ids and type ids of all rows concatenated, int32 [tokens]; row offsets, int64 [rows + 1]; and the length of each
            row before truncation, int64 [rows].
        """
        parts = [
            self._rows(
                texts[i : i + _TOKENIZE_BATCH], pairs and pairs[i : i + _TOKENIZE_BATCH], sequence_length, long_texts
            )
            for i in range(0, max(len(texts), 1), _TOKENIZE_BATCH)
        ]
        words, types, lengths, uncut = (np.concatenate(column) for column in zip(*parts, strict=True))
        return words, types, np.concatenate([[0], np.cumsum(lengths)]), uncut

    def _rows(
        self, texts: Sequence[str], pairs: Sequence[str] | None, sequence_length: int, long_texts: LongTexts
    ) -> tuple[np.ndarray, ...]:
        segments = [self.segment(tf.constant(column, tf.string)) for column in (texts, pairs) if column is not None]
        word_ids, type_ids = combine_segments(segments, self.special, sequence_length, long_texts=long_texts)
        uncut = tf.add_n([segment.merge_dims(1, -1).row_lengths() for segment in segments])
        uncut += self.special.frame_tokens(len(segments))
        return (
            word_ids.flat_values.numpy(),
            type_ids.flat_values.numpy(),
            word_ids.row_lengths().numpy(),
            uncut.numpy(),
        )


def load_preprocessing(folder: Path, *, rewrite: Callable[[str], str] | None = None) -> Preprocessing:
    """Loads a preprocessing SavedModel; `rewrite` is a normalizer in Python to apply before it.

    Raises:
        EncoderError: the folder holds no SavedModel or one with another interface.
    """
    if not (folder / contract.GRAPH_FILE).is_file():
        raise EncoderError(
            f"{folder}: no preprocessing SavedModel here (saved_model.pb is missing); set encoder.preprocessing"
        )
    try:
        model = _loaded(folder)
        tokens = {name: int(value) for name, value in model.tokenize.get_special_tokens_dict().items()}
        special = SpecialIds.from_names(tokens)
    except (AttributeError, KeyError) as error:
        raise EncoderError(f"{folder}: not a text preprocessing SavedModel of TF Hub's format: {error}") from None
    except (OSError, tf.errors.OpError) as error:
        raise EncoderError(
            f"{folder}: cannot load the preprocessing SavedModel: {str(error).splitlines()[0]}"
        ) from None
    return Preprocessing(model, special, folder, rewrite)


def _loaded(folder: Path) -> Any:
    """The SavedModel; the same object where one with the same content was loaded from the same place just before."""
    if tf.distribute.has_strategy():
        return tf.saved_model.load(str(folder))  # belongs to that strategy
    return _loaded_once(str(folder.absolute()), folder_sha256(folder))


@functools.lru_cache(maxsize=2)
def _loaded_once(folder: str, sha256: str) -> Any:  # noqa: ARG001  the digest is part of the key
    return tf.saved_model.load(folder)
