"""SentencePiece of type unigram: the model, and the normalization of texts before it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bert_serving.encoders.conversion.tokenizer_files import TOKENIZER_FILE, Frame, TokenizerFiles, table
from bert_serving.errors import EncoderError
from bert_serving.text.byte_level_bpe import WordRules
from bert_serving.text.preprocessing import write_sentencepiece_preprocessing
from bert_serving.text.sentencepieces import SentencePiece, TextRules, with_exact_sums


@dataclass(frozen=True)
class UnigramPieces:
    """A SentencePiece tokenizer.

    Attributes:
        model: the SentencePiece model, its pieces in the order of the token ids.
        rules: normalization before it, or the split into words before byte-level BPE.
    """

    model: SentencePiece
    rules: TextRules | WordRules

    @property
    def size(self) -> int:
        """Number of pieces."""
        return self.model.ids["vocab_size"]

    @property
    def lower_case(self) -> bool:
        """Whether texts are lower-cased."""
        return self.rules.lower_case

    @property
    def second_type(self) -> int:
        """Type id of the second text of a pair."""
        return self.model.second_type

    def write(self, target: Path) -> None:
        """Writes the preprocessing SavedModel."""
        model = replace(self.model, content=with_exact_sums(self.model.content))
        write_sentencepiece_preprocessing(model, target, rules=self.rules)


@dataclass(frozen=True)
class UnigramRules:
    """What tokenizer.json has of a SentencePiece model.

    Attributes:
        pieces: with their scores, in the order of their ids.
        charsmap: the compiled normalization rules; empty for none.
        unknown: id of the piece for unknown characters.
        start, end: ids of the tokens before and after a text.
    """

    pieces: list[tuple[str, float]]
    charsmap: bytes
    unknown: int
    start: int
    end: int

    @classmethod
    def read(cls, files: TokenizerFiles, frame: Frame) -> "UnigramRules":
        """Reads tokenizer.json; texts must have the frame `frame` there.

        Raises:
            EncoderError: a part is missing or damaged, or the frame is another one.
        """
        found = files.folder / TOKENIZER_FILE
        try:
            model = files.rules["model"]
            pieces = [(str(piece), float(score)) for piece, score in model["vocab"]]
            unknown = int(model["unk_id"])
            steps = [step for step in normalizer_steps(files.rules) if step["type"] == "Precompiled"]
            charsmap = base64.b64decode(steps[0]["precompiled_charsmap"] or "") if steps else b""
            if not 0 <= unknown < len(pieces):
                raise IndexError(f"unk_id is {unknown} of {len(pieces)} pieces")
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise EncoderError(f"{found}: cannot read its vocabulary: {type(error).__name__}: {error}") from None
        files.check_ids([piece for piece, _ in pieces])
        start, end, _ = files.frame(len(pieces), [frame])
        return cls(pieces, charsmap, unknown, start, end)


def normalizer_steps(rules: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Steps of the normalizer of tokenizer.json, one or many."""
    normalizer = table(rules, "normalizer")
    steps = normalizer.get("normalizers") if normalizer.get("type") == "Sequence" else [normalizer] * bool(normalizer)
    return [step for step in steps or () if isinstance(step, Mapping)]


def pre_tokenizer_types(rules: Mapping[str, Any]) -> list[Any]:
    """Types of the pre-tokenizers of tokenizer.json, but for a first split at white space, which Metaspace does, too."""
    splitter = table(rules, "pre_tokenizer")
    parts = [part.get("type") for part in splitter.get("pretokenizers") or [splitter] if isinstance(part, Mapping)]
    return parts[parts[:1] == ["WhitespaceSplit"] :]
