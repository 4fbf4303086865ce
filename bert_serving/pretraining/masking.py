"""Masking for masked language modeling: which tokens of a row must be predicted, and what the encoder sees in their place.

After Devlin et al. 2018 (https://arxiv.org/abs/1810.04805), appendix A.1: most of the selected tokens are replaced by [MASK],
some by a random token, some stay. Masks are drawn anew in each epoch: dynamic masking (Liu et al. 2019,
https://arxiv.org/abs/1907.11692, section 4.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bert_serving.pretraining.config import MaskingConfig

POSITIONS = "masked_lm_positions"


@dataclass(frozen=True)
class MaskingRule:
    """How a batch is masked.

    Attributes:
        config: masking rates, and whether whole words are masked.
        mask_id: id of [MASK].
        candidates: ids of the tokens that may replace another one, int32 [C].
        special: whether an id is that of a special token, which is never selected, bool [vocabulary].
        continues: whether an id continues a word ("##..."), bool [vocabulary].
    """

    config: MaskingConfig
    mask_id: int
    candidates: np.ndarray
    special: np.ndarray
    continues: np.ndarray

    @classmethod
    def of(cls, config: MaskingConfig, tokens: Sequence[str], special_tokens: Sequence[str]) -> "MaskingRule":
        """The rule for a vocabulary whose special tokens are neither selected nor shown."""
        special = np.array([token in special_tokens for token in tokens])
        return cls(
            config=config,
            mask_id=list(tokens).index("[MASK]"),
            candidates=np.flatnonzero(~special).astype(np.int32),
            special=special,
            continues=np.array([token.startswith("##") for token in tokens]),
        )


@dataclass(frozen=True)
class MaskedBatch:
    """A masked batch.

    Attributes:
        words: masked word ids, int32 [B, L].
        positions: where to predict, int32 [B, P]; rows with fewer positions are filled up with 0.
        labels: the original word ids there, int32 [B, P].
        weights: 1 where there is something to predict, float32 [B, P].
    """

    words: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def mask_batch(words: np.ndarray, mask: np.ndarray, rule: MaskingRule, random: np.random.Generator) -> MaskedBatch:
    """Selects tokens of a batch and replaces them.

    Args:
        words: word ids, int32 [B, L].
        mask: 0 for padding, int32 [B, L].
        rule: how to mask.
        random: source of the randomness.
    """
    config = rule.config
    allowed = (mask != 0) & ~rule.special[words]
    selected = [_select(words[row], allowed[row], rule, random) for row in range(len(words))]
    # A width that depends on the batch's shape alone: few shapes, few traces.
    width = max(1, int(np.ceil(config.mask_selection_rate * words.shape[1])))
    positions = np.zeros((len(words), width), np.int32)
    weights = np.zeros((len(words), width), np.float32)
    for row, columns in enumerate(selected):
        positions[row, : len(columns)] = columns[:width]
        weights[row, : len(columns)] = 1
    labels = np.take_along_axis(words, positions, axis=1)
    rows, slots = np.nonzero(weights)
    columns = positions[rows, slots]
    draw = random.random(len(rows))
    replacements = np.where(
        draw < config.mask_token_rate,
        rule.mask_id,
        np.where(
            draw < config.mask_token_rate + config.random_token_rate,
            random.choice(rule.candidates, len(rows)),
            words[rows, columns],
        ),
    )
    masked = words.copy()
    masked[rows, columns] = replacements
    return MaskedBatch(masked, positions, labels, weights)


def _select(words: np.ndarray, allowed: np.ndarray, rule: MaskingRule, random: np.random.Generator) -> np.ndarray:
    """Positions of one row's selected tokens, in order."""
    positions = np.flatnonzero(allowed)
    if not len(positions):
        return positions
    limit = max(1, int(rule.config.mask_selection_rate * len(positions)))
    if not rule.config.whole_words:
        return np.sort(random.choice(positions, limit, replace=False))
    # A word begins where a token does not continue one, or where the token before it may not be selected.
    begins = ~rule.continues[words[positions]] | (np.diff(positions, prepend=-2) > 1)
    groups = np.split(positions, np.flatnonzero(begins)[1:])
    taken: list[np.ndarray] = []
    count = 0
    for number in random.permutation(len(groups)):
        if count + len(groups[number]) <= limit or not taken:
            taken.append(groups[number][:limit])
            count += len(taken[-1])
        if count >= limit:
            break
    return np.sort(np.concatenate(taken))
