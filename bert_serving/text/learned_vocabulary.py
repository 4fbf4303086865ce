"""Learns a WordPiece vocabulary from text, with the learner of tensorflow_text.tools."""

from collections import Counter
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow_text.python.ops.bert_tokenizer import BasicTokenizer
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as learner

from bert_serving.errors import InputError
from bert_serving.text.tokenizers import LONGEST_WORD, normalize
from bert_serving.text.vocabulary import SPECIAL_TOKENS

SMALLEST = 100
_BATCH = 1024
# The learner's default of 1,000 would lose most Chinese characters.
_CHARACTERS = 20_000
# The learner ignores longer words: they are rare, and its time grows with the square of this.
_WORD_LENGTH = 50


def count_words(
    texts: Sequence[str], *, lower_case: bool, progress: Callable[[int], None] | None = None
) -> Counter[str]:
    """Counts words, cleaned and split as our preprocessing does it before it looks for word pieces.

    Words that are too long to be split into word pieces do not count.

    Args:
        texts: any number of them.
        lower_case: lower-case and strip accents first.
        progress: called with the number of texts counted so far.
    """
    splitter = BasicTokenizer(lower_case=False)
    counts: Counter[bytes] = Counter()
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        words = splitter.tokenize(normalize(tf.constant(batch), lower_case=lower_case)).flat_values
        counts.update(words.numpy().tolist())
        if progress is not None:
            progress(start + len(batch))
    decoded = ((word.decode("utf-8"), count) for word, count in counts.items())
    return Counter({word: count for word, count in decoded if len(word) <= LONGEST_WORD})


def learn_vocabulary(counts: Counter[str], size: int) -> list[str]:
    """Learns a vocabulary of at most `size` word pieces, the special tokens first.

    Every character is a word piece, at a word's start and inside, so that a word of known characters is never unknown.

    Raises:
        InputError: the size is too small for the characters of the text, or there are no words.
    """
    if not counts:
        raise InputError("the files have no words to learn a vocabulary from; give other files")
    characters = len({character for word in counts for character in word})
    least = len(SPECIAL_TOKENS) + 2 * min(characters, _CHARACTERS)
    if size < max(SMALLEST, least):
        raise InputError(
            f"--size {size} is too small: {characters:,} characters, each at a word's start and inside, and {len(SPECIAL_TOKENS)} "
            f"special tokens need {max(SMALLEST, least):,}; raise it"
        )
    learned = learner.learn(
        counts,
        vocab_size=size,
        reserved_tokens=list(SPECIAL_TOKENS),
        lower_thresh=1,
        max_unique_chars=_CHARACTERS,
        max_token_length=_WORD_LENGTH,
    )
    return _fitted(learned, counts, size)


def _fitted(learned: list[str], counts: Counter[str], size: int) -> list[str]:
    """Adds all characters to the word pieces, and removes the rarest of the longer ones where there are too many.

    The learner only approximates the size, and ignores the characters of words that are too long for it.
    """
    occurring: Counter[str] = Counter()
    for word, count in counts.items():
        occurring.update(dict.fromkeys(word, count))
    characters = [character for character, _ in occurring.most_common(_CHARACTERS)]
    alone = dict.fromkeys((*SPECIAL_TOKENS, *characters, *(f"##{character}" for character in characters)))
    pieces = list(dict.fromkeys((*learned, *alone)))
    # The rarest are last.
    dropped = set([piece for piece in pieces if piece not in alone][size - len(alone) :])
    return [piece for piece in pieces if piece not in dropped]
