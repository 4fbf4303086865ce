"""WordPiece as KerasHub's tokenizers have it: words are split first and folded then, accents stay unless they are told to go.

`case_fold_utf8` is Unicode's NFKC_Casefold: besides lower-casing it makes "，" a "," and "ß" an "ss".
"""

from pathlib import Path

import tensorflow as tf
import tensorflow_text

from bert_serving.io.saved_models import write_saved_model
from bert_serving.text.added_tokens import AddedTokens
from bert_serving.text.preprocessing import PreprocessingModule
from bert_serving.text.tokenizers import NO_WORD, WordPieceTokenize

# Of the fast WordPiece of TensorFlow Text; a longer word is unknown.
_LONGEST_WORD = 100


def write_keras_hub_words(vocabulary: Path, target: Path, *, lower_case: bool, strip_accents: bool) -> None:
    """Writes a preprocessing SavedModel.

    Args:
        vocabulary: WordPiece file, named vocab.txt because the asset keeps its name.
        target: folder to create.
        lower_case: fold the case of words.
        strip_accents: decompose texts and remove combining marks.
    """
    tokenize = _KerasHubTokenize(str(vocabulary), lower_case=lower_case, strip_accents=strip_accents)
    write_saved_model(PreprocessingModule(tokenize), target)


class _KerasHubTokenize(WordPieceTokenize):
    """`.tokenize` of the TF Hub interface."""

    def __init__(self, vocabulary: str, *, lower_case: bool, strip_accents: bool):
        super().__init__(vocabulary, lower_case)
        self._lower_case, self._strip_accents = lower_case, strip_accents
        # Its tokenizers do not search texts for special tokens.
        self._added = AddedTokens((), self._cleaned)

    def _cleaned(self, texts: tf.Tensor) -> tf.Tensor:
        # Control and format characters stand between words.
        texts = tf.strings.regex_replace(texts, r"[\p{Cc}\p{Cf}]", " ")
        if self._strip_accents:
            texts = tensorflow_text.normalize_utf8(texts, "NFD")
            texts = tf.strings.regex_replace(texts, r"\p{Mn}", "")
        return texts

    def pieces(self, normalized: tf.Tensor) -> tf.RaggedTensor:
        """Word pieces of cleaned strings [B]."""
        words = self._splitter.tokenize(normalized)
        if self._lower_case:
            words = words.with_flat_values(tensorflow_text.case_fold_utf8(words.flat_values))
            words = tf.ragged.boolean_mask(words, words != "")
        is_long = tf.strings.length(words.flat_values) > _LONGEST_WORD
        return self.cut(words.with_flat_values(tf.where(is_long, NO_WORD, words.flat_values)))
