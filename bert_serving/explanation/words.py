"""The words of a text, and the tokens of each word."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf
import tensorflow_text

from bert_serving.classifier import Classifier
from bert_serving.errors import InputError
from bert_serving.explanation.attribution import Word
from bert_serving.text.packing import combine_segments, combine_windows
from bert_serving.text.preprocessing import Preprocessing
from bert_serving.text.shown_pieces import has_sentencepieces, read_shown_pieces
from bert_serving.text.tokenizers import normalize

_FRAMING = -1


class TokenWords:
    """The words of one text or of a pair, and the word of each token.

    Attributes:
        numbers: the word's number for each token, int32 [tokens], those of the windows one after the other; -1 for [CLS] and
            [SEP].
        are_cut: whether the text is too long for all words to be read.
    """

    def __init__(self, classifier: Classifier, texts: Sequence[str]):
        """Splits `texts` into words as the classifier's tokenizer does."""
        preprocessing, options = classifier.preprocessing, classifier.options
        self._words: list[Word] = []
        word_numbers = []
        for segment, text in enumerate(texts):
            words, counts = _words_of(text, preprocessing)
            flat = np.repeat(np.arange(len(counts)) + len(self._words), counts).astype(np.int32)
            word_numbers.append(tf.RaggedTensor.from_row_lengths(flat, [len(flat)]))
            self._words += [Word(word, None, after_space, segment) for word, after_space in words]
        if not self._words:
            raise InputError(f"the text {texts[0]!r:.60} has no words to explain; give one with letters or signs")
        # Truncated and framed like the tokens, so that each number has the position of its token.
        framing = replace(preprocessing.special, start_of_sequence=_FRAMING, end_of_segment=_FRAMING, padding=_FRAMING)
        if options.windows is not None:
            rows, *_ = combine_windows(word_numbers[0], framing, options.windows)
        else:
            rows, _ = combine_segments(word_numbers, framing, options.sequence_length, long_texts=options.long_texts)
        self.numbers = rows.flat_values.numpy()
        total = int(tf.add_n([numbers.row_lengths()[0] for numbers in word_numbers]))
        self.are_cut = total + preprocessing.special.frame_tokens(len(texts)) > options.reach
        self._windows = [row[row >= 0] for row in np.split(self.numbers, rows.row_starts().numpy()[1:])]

    def attributed(self, tokens: np.ndarray) -> tuple[Word, ...]:
        """The words with the sums of their tokens' attributions, float [tokens]."""
        sums = np.zeros(len(self._words))
        inside = self.numbers >= 0
        np.add.at(sums, self.numbers[inside], tokens[inside])
        kept = set(self.numbers.tolist())
        return tuple(
            replace(word, attribution=float(sums[number])) if number in kept else word
            for number, word in enumerate(self._words)
        )

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Number of the first and of the last word of each window, of which one may be empty."""
        return [(int(numbers[0]), int(numbers[-1])) for numbers in self._windows if len(numbers)]


def _words_of(text: str, preprocessing: Preprocessing) -> tuple[list[tuple[str, bool]], Sequence[int]]:
    """The words of a text, whether white space precedes each, and the number of tokens of each."""
    pieces = preprocessing.segment(tf.constant([text]))[0]
    if not has_sentencepieces(preprocessing.folder):
        words, counts = _split_words(text), pieces.row_lengths().numpy().tolist()
        if len(words) == len(counts):
            return words, counts
        # For example a word of accents alone, which an uncased tokenizer removes.
    vocabulary = read_shown_pieces(preprocessing.folder)
    if isinstance(pieces, tf.RaggedTensor):
        # Byte-level BPE has empty words.
        grouped = [word for word in pieces.to_list() if word or vocabulary.is_word_piece]
    else:
        grouped = vocabulary.words(pieces.numpy().tolist())
    return [vocabulary.word(word) for word in grouped], [len(word) for word in grouped]


def _split_words(text: str) -> list[tuple[str, bool]]:
    """The words of a text by BERT's tokenizer, as written in the text, and whether white space precedes each."""
    cleaned = normalize(tf.constant([text]), lower_case=False)
    # A tokenizer with an empty vocabulary turns each word into one unknown piece.
    empty = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["[UNK]"], tf.constant([0], tf.int64)), -1)
    tokenizer = tensorflow_text.BertTokenizer(empty, lower_case=False, token_out_type=tf.int64)
    _, starts, _ = tokenizer.tokenize_with_offsets(cleaned)
    content = cleaned.numpy()[0]
    # The tokenizer ends very long words too early; their starts are right.
    offsets = [*starts[0][:, :1].flat_values.numpy().tolist(), len(content)]
    return [
        (content[start:end].rstrip(b" ").decode(), content[:start].endswith(b" ") or start == 0)
        for start, end in itertools.pairwise(offsets)
    ]
