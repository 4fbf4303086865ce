"""Tokenized rows for pretraining: several texts packed into rows of full length, or one text per row."""

from collections.abc import Sequence

import numpy as np

from bert_serving.data.batches import TokenRows
from bert_serving.text.preprocessing import Preprocessing

# Longer than any text; a row is cut when it is packed.
_UNCUT = 1 << 30


def pretraining_rows(
    preprocessing: Preprocessing, texts: Sequence[str], *, sequence_length: int, packed: bool
) -> TokenRows:
    """Tokenizes texts for pretraining.

    When packed, the texts are joined with [SEP] between them and cut into rows of full length, which begin with [CLS] and end
    with [SEP]; the remainder at the end is dropped unless there is nothing else.

    Args:
        preprocessing: strings to token ids.
        texts: unlabeled.
        sequence_length: maximum number of tokens in a row, [CLS] and [SEP] included.
        packed: whether a row holds several texts.
    """
    special = preprocessing.special
    words, types, offsets, _ = preprocessing.token_rows(texts, None, _UNCUT if packed else sequence_length)
    if not packed:
        return TokenRows(words, types, offsets, special.padding)
    # Drops each text's [CLS]; its [SEP] separates it from the next text.
    stream = np.delete(words, offsets[:-1])
    inside = sequence_length - 2
    count = max(1, len(stream) // inside)
    stream = stream[: count * inside]
    body = len(stream) // count
    rows = np.empty((count, body + 2), np.int32)
    rows[:, 0], rows[:, -1] = special.start_of_sequence, special.end_of_segment
    rows[:, 1:-1] = stream[: count * body].reshape(count, body)
    flat = rows.reshape(-1)
    return TokenRows(flat, np.zeros_like(flat), np.arange(count + 1) * rows.shape[1], special.padding)
