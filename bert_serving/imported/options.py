"""What a person tells of a classifier that was fine-tuned elsewhere, where its files do not."""

from dataclasses import dataclass
from pathlib import Path

from bert_serving.contract import Head


@dataclass(frozen=True)
class ImportOptions:
    """Facts that not every file has.

    Attributes:
        labels: in the order of the outputs.
        head: what the last dense layer predicts; None: as its activation and its number of outputs tell.
        vocabulary: WordPiece vocabulary of a model that takes token ids.
        sequence_length: texts are cut at this number of tokens; None: the model's own.
        pairs: whether the model classifies pairs of texts.
    """

    labels: tuple[str, ...] = ()
    head: Head | None = None
    vocabulary: Path | None = None
    sequence_length: int | None = None
    pairs: bool = False

    def given(self) -> dict[str, bool]:
        """The options, as the command line spells them, and whether each was given."""
        return {
            "--labels": bool(self.labels),
            "--head": self.head is not None,
            "--vocabulary": self.vocabulary is not None,
            "--sequence-length": self.sequence_length is not None,
            "--pairs": self.pairs,
        }
