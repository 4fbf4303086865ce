"""Texts as rows of word pieces to guess in: several in a row up to its full length, or one in each."""

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

    Packed, texts stand one after another with [SEP] between them, cut into rows of full length that each begin with [CLS] and end
    with [SEP]; what is left at the end of all is dropped unless it is all there is.

    Args:
        preprocessing: strings to token ids.
        texts: unlabeled.
        sequence_length: most word pieces of a row, [CLS] and [SEP] included.
        packed: several texts in a row.
    """
    special = preprocessing.special
    words, types, offsets, _ = preprocessing.token_rows(texts, None, _UNCUT if packed else sequence_length)
    if not packed:
        return TokenRows(words, types, offsets, special.padding)
    # Each text's [CLS] goes, its [SEP] stays as the border to the next.
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
