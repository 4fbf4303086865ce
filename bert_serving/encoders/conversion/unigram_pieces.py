"""SentencePiece of type unigram: the model, and the normalization of texts before it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bert_serving.encoders.conversion.added_tokens import read_added_tokens, searched
from bert_serving.encoders.conversion.tokenizer_files import TOKENIZER_FILE, Frame, TokenizerFiles, table
from bert_serving.errors import EncoderError
from bert_serving.text.added_tokens import AddedToken, problems
from bert_serving.text.byte_level_bpe import WordRules
from bert_serving.text.preprocessing import write_sentencepiece_preprocessing
from bert_serving.text.sentencepieces import (
    SentencePiece,
    TextRules,
    piece_names,
    with_control_pieces,
    with_exact_sums,
)


@dataclass(frozen=True)
class UnigramPieces:
    """A SentencePiece tokenizer.

    Attributes:
        model: the SentencePiece model, its pieces in the order of the token ids.
        rules: normalization before it, or the split into words before byte-level BPE.
        added: tokens that texts are searched for.
    """

    model: SentencePiece
    rules: TextRules | WordRules
    added: tuple[AddedToken, ...] = ()

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
        write_sentencepiece_preprocessing(model, target, rules=self.rules, added=self.added)

    @classmethod
    def with_added(
        cls, files: TokenizerFiles, model: SentencePiece, rules: TextRules, roles: Mapping[str, str]
    ) -> "UnigramPieces":
        """The tokenizer with the added tokens of its files; those that are not in the model follow its pieces.

        Args:
            files: of the tokenizer.
            model: its pieces stand in the order of the token ids.
            rules: normalization before it.
            roles: tokens of the roles that the tokenizer's class has.

        Raises:
            EncoderError: the files contradict each other, or a token cannot be searched for.
        """
        pieces = piece_names(model.content)
        added = read_added_tokens(
            files, {piece: number for number, piece in enumerate(pieces)}, roles, strips_before=("mask_token",)
        )
        if problem := next(problems(added, rules.apply, composed=True), None):
            raise EncoderError(f"{files.folder}: {problem}; such tokens cannot be converted, so fine-tune without them")
        new = [token.content for token in added if token.number >= len(pieces)]
        return cls(with_control_pieces(model, new) if new else model, rules, searched(files, added))


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
        start, end, _ = files.frame(len(pieces), [frame])
        return cls(pieces, charsmap, unknown, start, end)


def normalizer_steps(rules: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Steps of the normalizer of tokenizer.json, one or many."""
    normalizer = table(rules, "normalizer")
    steps = normalizer.get("normalizers") if normalizer.get("type") == "Sequence" else [normalizer] * bool(normalizer)
    return [step for step in steps or () if isinstance(step, Mapping)]


def check_prefix(files: TokenizerFiles) -> None:
    """Refuses a pre-tokenizer that does not put a space before each text between added tokens.

    Raises:
        EncoderError: as above, with the setting.
    """
    splitter = table(files.rules, "pre_tokenizer")
    for part in splitter.get("pretokenizers") or [splitter]:
        if isinstance(part, Mapping) and part.get("type") == "Metaspace":
            scheme = part.get("prepend_scheme", "always" if part.get("add_prefix_space", True) else "never")
            if scheme != "always":
                raise EncoderError(
                    f'{files.folder / TOKENIZER_FILE}: prepend_scheme of Metaspace is {json.dumps(scheme)}, only "always" can be '
                    "converted; texts after an added token would be tokenized differently than in the training of the encoder"
                )


def pre_tokenizer_types(rules: Mapping[str, Any]) -> list[Any]:
    """Types of the pre-tokenizers of tokenizer.json, but for a first split at white space, which Metaspace does, too."""
    splitter = table(rules, "pre_tokenizer")
    parts = [part.get("type") for part in splitter.get("pretokenizers") or [splitter] if isinstance(part, Mapping)]
    return parts[parts[:1] == ["WhitespaceSplit"] :]
