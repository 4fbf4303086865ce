"""The files of a Hugging Face tokenizer, read together as transformers reads them.

What transformers 4 and 5 read in the same way is read so here; where they differ, a folder is refused:

- `tokenizer_class` comes from tokenizer_config.json, else from config.json, else from the model's type;
- `added_tokens_decoder` in tokenizer_config.json, even an empty one, makes special_tokens_map.json and added_tokens.json
  count for nothing; without it, special_tokens_map.json overrides tokenizer_config.json;
- tokenizer.json has the vocabulary wherever it is there; vocab.txt and spiece.model are then not read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving.errors import EncoderError
from bert_serving.text.vocabulary import SECOND_TYPE, SEPARATORS

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"

GENERIC_CLASS = "PreTrainedTokenizer"
"""the class, without its ending "Fast", whose rules are in tokenizer.json alone"""

# transformers writes a huge number where there is no limit.
_NO_LIMIT = 1e6
_SHORTEST = 4
_SIDES = {"truncation_side": "truncation", "padding_side": "padding"}
_GENERIC = (GENERIC_CLASS, "TokenizersBackend")
# Version 5 of transformers gives no token_type_ids for an ALBERT, version 4 does.
_WITHOUT_TYPES = ("DistilBertTokenizer", "AlbertTokenizer")


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Reads a JSON object; {} for an optional file that is not there.

    Raises:
        EncoderError: the file is missing or damaged.
    """
    if optional and not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{path}: missing; a Hugging Face folder needs it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: cannot read it: {error}") from None
    if not isinstance(content, dict):
        raise EncoderError(f"{path}: cannot read it: holds {type(content).__name__}, expected a JSON object")
    return content


def table(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A JSON object in another one; {} where there is none."""
    value = parent.get(name)
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True)
class Frame:
    """How the second text of a pair is joined to the first.

    Attributes:
        separators: tokens between the texts.
        second_type: type id of the second text.
    """

    separators: int
    second_type: int


BERT_FRAME, ROBERTA_FRAME = Frame(1, 1), Frame(2, 0)
ROBERTA_FRAME_IDS = {SEPARATORS: ROBERTA_FRAME.separators, SECOND_TYPE: ROBERTA_FRAME.second_type}
ROBERTA_SPECIAL = {
    "start_of_sequence_id": "<s>",
    "end_of_segment_id": "</s>",
    "padding_id": "<pad>",
    "mask_id": "<mask>",
}
"""names of special ids and their pieces in the SentencePiece models of RoBERTa and XLM-RoBERTa"""
_FRAME_OF_TYPE = {"BertProcessing": BERT_FRAME, "RobertaProcessing": ROBERTA_FRAME}


@dataclass(frozen=True)
class TokenizerFiles:
    """The files of a tokenizer, but for its vocabulary.

    Attributes:
        folder: that they are in.
        settings: tokenizer_config.json.
        rules: tokenizer.json; {} where there is none.
        special: special_tokens_map.json; {} where it does not count.
        added: added_tokens.json; {} where it does not count.
        declared_class: `tokenizer_class` without its ending "Fast"; None where no file has it.
    """

    folder: Path
    settings: Mapping[str, Any]
    rules: Mapping[str, Any]
    special: Mapping[str, Any]
    added: Mapping[str, Any]
    declared_class: str | None

    @classmethod
    def read(cls, folder: Path, config: Mapping[str, Any]) -> "TokenizerFiles":
        """Reads the files of a folder with the model configuration `config`.

        Raises:
            EncoderError: a file is damaged.
        """
        settings = read_json(folder / TOKENIZER_CONFIG_FILE, optional=True)
        rules = read_json(folder / TOKENIZER_FILE, optional=True)
        special, added = (
            ({}, {})
            if "added_tokens_decoder" in settings
            else (read_json(folder / name, optional=True) for name in (SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE))
        )
        declared = settings.get("tokenizer_class") or config.get("tokenizer_class")
        return cls(
            folder, settings, rules, special, added, None if declared is None else str(declared).removesuffix("Fast")
        )

    @property
    def is_generic(self) -> bool:
        """Whether the class has no rules of its own, so that tokenizer.json has all of them."""
        return self.declared_class in _GENERIC

    @property
    def has_types(self) -> bool:
        """Whether every version of transformers tells the model which tokens are those of the second text."""
        names = self.settings.get("model_input_names")
        if isinstance(names, list):
            return "token_type_ids" in names
        return self.declared_class not in _WITHOUT_TYPES and not self.is_generic

    def switch(self, name: str, default: bool | None) -> bool | None:
        """A setting of tokenizer_config.json that is true or false, or null where `default` is None.

        Raises:
            EncoderError: it is something else.
        """
        value = self.settings.get(name, default)
        if value is not default and not isinstance(value, bool):
            raise EncoderError(
                f"{self.folder / TOKENIZER_CONFIG_FILE}: {name} is {json.dumps(value)}, expected true or false; correct it"
            )
        return value

    @property
    def named(self) -> dict[str, tuple[Any, str]]:
        """Settings about special tokens, each with the name of its file."""
        settings = {key: (value, TOKENIZER_CONFIG_FILE) for key, value in self.settings.items()}
        return settings | {key: (value, SPECIAL_TOKENS_FILE) for key, value in self.special.items()}

    def special_token(self, role: str, default: str) -> str:
        """The token of a role, such as `cls_token`.

        Raises:
            EncoderError: it is not a token.
        """
        value, file = self.named.get(role, (default, ""))
        content = content_of(value)
        # Without [MASK] texts are read in the same way.
        if value is None and role == "mask_token":
            return default
        if not content:
            raise EncoderError(
                f"{self.folder / file}: {role} is {json.dumps(value)}, expected a token such as {default!r}; correct it"
            )
        return content

    def frame(self, size: int, expected: Sequence[Frame] | None = None) -> tuple[int, int, Frame]:
        """Ids of the tokens before and after a text, and the frame of a pair, from the post-processor of tokenizer.json.

        Args:
            size: of the vocabulary.
            expected: frames of a pair that can be converted.

        Raises:
            EncoderError: it is none of them.
        """
        post = table(self.rules, "post_processor")
        frames = [BERT_FRAME] if expected is None else expected
        try:
            if post.get("type") in _FRAME_OF_TYPE:
                start, end, frame = post["cls"][1], post["sep"][1], _FRAME_OF_TYPE[post["type"]]
            else:
                names = post["single"][0]["SpecialToken"]["id"], post["single"][-1]["SpecialToken"]["id"]
                if post["single"] != _template(*names):
                    raise ValueError
                frame = next(frame for frame in frames if post["pair"] == _template(*names, frame=frame))
                [[start], [end]] = (post["special_tokens"][name]["ids"] for name in names)
            if frame not in frames or not all(
                isinstance(number, int) and 0 <= number < size for number in (start, end)
            ):
                raise ValueError
        except (KeyError, IndexError, TypeError, ValueError, StopIteration):
            family, single, pair = ("BERT", "[CLS] A [SEP]", "[CLS] A [SEP] B [SEP]' with type 1 from B on")
            if BERT_FRAME not in frames:
                family, single, pair = "RoBERTa", "<s> A </s>", "<s> A </s> </s> B </s>' with type 0"
            raise EncoderError(
                f"{self.folder / TOKENIZER_FILE}: post_processor is {json.dumps(post.get('type'))} with another frame than {family}'s, "
                f"'{single}' and '{pair}; only {family}'s can be converted"
            ) from None
        return start, end, frame

    def max_length(self) -> int | None:
        """Tokens at which texts are cut (`model_max_length`); None where there is no limit.

        Raises:
            EncoderError: it is not a number of tokens.
        """
        key = "model_max_length" if "model_max_length" in self.settings else "max_len"
        length = self.settings.get(key)
        if length is None:
            return None
        if isinstance(length, bool) or not isinstance(length, int | float) or not length >= _SHORTEST:
            raise EncoderError(
                f"{self.folder / TOKENIZER_CONFIG_FILE}: {key} is {json.dumps(length)}, expected a number of tokens, at least "
                f"{_SHORTEST}; correct it, or give --sequence-length"
            )
        return int(length) if length < _NO_LIMIT else None

    def check_sides(self) -> None:
        """Refuses a tokenizer that cuts texts, or pads them, at their beginning.

        Raises:
            EncoderError: as above, with the setting's name.
        """
        for key, part in _SIDES.items():
            side = str(self.settings.get(key) or table(self.rules, part).get("direction") or "right").lower()
            if side != "right":
                file = TOKENIZER_CONFIG_FILE if self.settings.get(key) else TOKENIZER_FILE
                raise EncoderError(
                    f"{self.folder / file}: {key} is {side!r}, only 'right' can be converted; set it to 'right' if the model may "
                    "read texts so"
                )


def content_of(token: Any) -> str | None:
    """The text of a token, which is a string or a JSON object; None for anything else."""
    content = token.get("content") if isinstance(token, Mapping) else token
    return content if isinstance(content, str) else None


def _template(start: str, end: str, *, frame: Frame | None = None) -> list[dict[str, Any]]:
    def part(kind: str, name: str, type_id: int) -> dict[str, Any]:
        return {kind: {"id": name, "type_id": type_id}}

    first = [part("SpecialToken", start, 0), part("Sequence", "A", 0), part("SpecialToken", end, 0)]
    if frame is None:
        return first
    type_id = frame.second_type
    more = [part("SpecialToken", end, type_id)] * (frame.separators - 1)
    return [*first, *more, part("Sequence", "B", type_id), part("SpecialToken", end, type_id)]
