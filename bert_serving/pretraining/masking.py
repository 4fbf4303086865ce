"""Which word pieces of a row are to be guessed, and what is shown in their place.

After Devlin et al. 2018 (https://arxiv.org/abs/1810.04805), appendix A.1: of the chosen word pieces most are shown as [MASK], some as
another one, some as they are. Drawn anew in each epoch (Liu et al. 2019, https://arxiv.org/abs/1907.11692, section 4.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POSITIONS = "masked_lm_positions"


@dataclass(frozen=True)
class MaskingRule:
    """How a batch is masked.

    Attributes:
        mask_selection_rate: of a row's word pieces that are chosen; at least one is.
        mask_token_rate, random_token_rate: of the chosen ones, so many are shown as [MASK], so many as another one.
        whole_words: choose all word pieces of a word or none.
        mask_id: of [MASK].
        candidates: ids that another word piece may have, int32 [C].
        special: whether an id frames texts and is never chosen, bool [vocabulary].
        continues: whether an id goes on with a word ("##..."), bool [vocabulary].
    """

    mask_selection_rate: float
    mask_token_rate: float
    random_token_rate: float
    whole_words: bool
    mask_id: int
    candidates: np.ndarray
    special: np.ndarray
    continues: np.ndarray

    @classmethod
    def of(
        cls,
        tokens: Sequence[str],
        framing: Sequence[str],
        *,
        mask_selection_rate: float,
        mask_token_rate: float,
        random_token_rate: float,
        whole_words: bool,
    ) -> "MaskingRule":
        """The rule for a vocabulary whose `framing` tokens are never chosen nor shown."""
        special = np.array([token in framing for token in tokens])
        return cls(
            mask_selection_rate=mask_selection_rate,
            mask_token_rate=mask_token_rate,
            random_token_rate=random_token_rate,
            whole_words=whole_words,
            mask_id=list(tokens).index("[MASK]"),
            candidates=np.flatnonzero(~special).astype(np.int32),
            special=special,
            continues=np.array([token.startswith("##") for token in tokens]),
        )


@dataclass(frozen=True)
class MaskedBatch:
    """A batch to guess in.

    Attributes:
        words: what is shown, int32 [B, L].
        positions: where to guess, int32 [B, P]; rows with fewer are filled up with 0.
        labels: what stood there, int32 [B, P].
        weights: 1 where there is something to guess, float32 [B, P].
    """

    words: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def mask_batch(words: np.ndarray, mask: np.ndarray, rule: MaskingRule, random: np.random.Generator) -> MaskedBatch:
    """Chooses word pieces of a batch and replaces them.

    Args:
        words, mask: word ids and 1 for what is no padding, int32 [B, L].
        rule: how.
        random: where chance comes from.
    """
    allowed = (mask != 0) & ~rule.special[words]
    chosen = [_choose(words[row], allowed[row], rule, random) for row in range(len(words))]
    # A width that depends on the batch's shape alone: few shapes, few traces.
    width = max(1, int(np.ceil(rule.mask_selection_rate * words.shape[1])))
    positions = np.zeros((len(words), width), np.int32)
    weights = np.zeros((len(words), width), np.float32)
    for row, places in enumerate(chosen):
        positions[row, : len(places)] = places[:width]
        weights[row, : len(places)] = 1
    labels = np.take_along_axis(words, positions, axis=1)
    shown = words.copy()
    rows, columns = np.nonzero(weights)
    places = positions[rows, columns]
    draw = random.random(len(rows))
    replaced = np.where(
        draw < rule.mask_token_rate,
        rule.mask_id,
        np.where(
            draw < rule.mask_token_rate + rule.random_token_rate,
            random.choice(rule.candidates, len(rows)),
            words[rows, places],
        ),
    )
    shown[rows, places] = replaced
    return MaskedBatch(shown, positions, labels, weights)


def _choose(words: np.ndarray, allowed: np.ndarray, rule: MaskingRule, random: np.random.Generator) -> np.ndarray:
    """Positions of one row's word pieces to guess, in order."""
    places = np.flatnonzero(allowed)
    if not len(places):
        return places
    wanted = max(1, int(rule.mask_selection_rate * len(places)))
    if not rule.whole_words:
        return np.sort(random.choice(places, wanted, replace=False))
    # A word begins where a piece does not continue one, or where what stands before is not to be chosen.
    begins = ~rule.continues[words[places]] | (np.diff(places, prepend=-2) > 1)
    groups = np.split(places, np.flatnonzero(begins)[1:])
    taken: list[np.ndarray] = []
    count = 0
    for number in random.permutation(len(groups)):
        if count + len(groups[number]) <= wanted or not taken:
            taken.append(groups[number][:wanted])
            count += len(taken[-1])
        if count >= wanted:
            break
    return np.sort(np.concatenate(taken))
