"""The added tokens of a Hugging Face folder, special tokens among them: which there are, their ids, and how texts are searched for them.

They are told in up to four files. transformers 4 and 5 differ on which one counts, so those that contradict each other are refused:

- `added_tokens` in tokenizer.json and `added_tokens_decoder` in tokenizer_config.json have ids and rules;
- added_tokens.json has ids;
- special_tokens_map.json and tokenizer_config.json name special tokens by their roles, with or without rules.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bert_serving.encoders.conversion.tokenizer_files import (
    ADDED_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TokenizerFiles,
    content_of,
)
from bert_serving.errors import EncoderError
from bert_serving.text.added_tokens import AddedToken

_RULES = ("normalized", "lstrip", "rstrip", "single_word")
_LISTS = ("additional_special_tokens", "extra_special_tokens")


@dataclass(frozen=True)
class _Claim:
    """What one file says of a token.

    Attributes:
        content: the token.
        file: the file's name.
        number: its id; None where the file does not tell.
        is_special: whether it is a special token; None where the file does not tell.
        rules: values of `_RULES`; None where the file has none.
    """

    content: str
    file: str
    number: Any = None
    is_special: bool | None = None
    rules: tuple[bool, ...] | None = None


def read_added_tokens(
    files: TokenizerFiles, ids: Mapping[str, int], roles: Mapping[str, str], *, strips_before: Collection[str] = ()
) -> tuple[AddedToken, ...]:
    """Reads the added tokens, in the order of their ids.

    Args:
        files: of the tokenizer.
        ids: the vocabulary.
        roles: tokens of the roles that the tokenizer's class has, such as `cls_token`.
        strips_before: roles whose token takes the white space before it, where no file has rules for it.

    Raises:
        EncoderError: files contradict each other, an id is missing, or ids do not follow those of the vocabulary.
    """
    claims: dict[str, list[_Claim]] = {}
    for claim in _claims(files, {role: content for role, content in roles.items() if content in ids}):
        claims.setdefault(claim.content, []).append(claim)
    stripped = {roles[role] for role in strips_before if role in roles}
    found = [_token(files, content, told, ids, stripped) for content, told in claims.items()]
    new = sorted((token for token in found if token.content not in ids), key=lambda token: token.number)
    for number, token in enumerate(new, start=len(ids)):
        if token.number != number:
            raise EncoderError(
                f"{files.folder / claims[token.content][0].file}: gives the added token {token.content!r} the id {token.number}, "
                f"expected {number}, the next one after the vocabulary's {len(ids)} and the other added tokens; correct it"
            )
    return tuple(sorted(found, key=lambda token: token.number))


def told_ids(files: TokenizerFiles) -> dict[str, int]:
    """Ids that the files give to added tokens.

    Raises:
        EncoderError: a file is damaged.
    """
    return {claim.content: int(claim.number) for claim in _claims(files, {}) if claim.number is not None}


def searched(files: TokenizerFiles, tokens: Sequence[AddedToken]) -> tuple[AddedToken, ...]:
    """The tokens that texts are searched for: all, or none that is special, as the tokenizer is set."""
    splits = files.switch("split_special_tokens", False)
    return tuple(token for token in tokens if not (splits and token.special))


def _claims(files: TokenizerFiles, roles: Mapping[str, str]) -> Iterator[_Claim]:
    for entry in _list(files, files.rules.get("added_tokens"), TOKENIZER_FILE):
        yield _full(files, entry, TOKENIZER_FILE, entry.get("id") if isinstance(entry, Mapping) else None)
    decoder = files.settings.get("added_tokens_decoder")
    for number, entry in decoder.items() if isinstance(decoder, Mapping) else ():
        yield _full(files, entry, TOKENIZER_CONFIG_FILE, number)
    for content, number in files.added.items():
        yield _Claim(content, ADDED_TOKENS_FILE, number)
    for key, (value, file) in files.named.items():
        if key in _LISTS:
            values = list(value.values()) if isinstance(value, Mapping) else _list(files, value, file)
        else:
            values = [value] if key.endswith("_token") and content_of(value) else []
        for entry in values:
            if isinstance(entry, Mapping) and content_of(entry):
                yield _full(files, entry, file, None, is_special=True)
            elif content_of(entry):
                yield _Claim(str(entry), file, is_special=True)
    if not files.is_generic:
        for role, content in roles.items():
            if role not in files.named:
                yield _Claim(content, TOKENIZER_CONFIG_FILE, is_special=True)


def _list(files: TokenizerFiles, value: Any, file: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise EncoderError(f"{files.folder / file}: has {json.dumps(value)} for a list of added tokens; correct it")
    return value


def _full(files: TokenizerFiles, entry: Any, file: str, number: Any, *, is_special: bool = False) -> _Claim:
    content = content_of(entry)
    if not content:
        raise EncoderError(f"{files.folder / file}: has {json.dumps(entry)} for an added token; correct it")
    if not isinstance(entry, Mapping):
        return _Claim(content, file, number)
    is_special = is_special or bool(entry.get("special", False))
    rules = tuple(bool(entry.get(rule, rule == "normalized" and not is_special)) for rule in _RULES)
    return _Claim(content, file, number, is_special, rules)


def _token(
    files: TokenizerFiles, content: str, told: list[_Claim], ids: Mapping[str, int], stripped: Collection[str]
) -> AddedToken:
    number = _number(files, content, told, ids)
    is_special = any(claim.is_special for claim in told)
    with_rules = [claim for claim in told if claim.rules is not None]
    first = (
        with_rules[0] if with_rules else _Claim(content, "", rules=(not is_special, content in stripped, False, False))
    )
    rules = dict(zip(_RULES, first.rules or (), strict=True))
    for claim in with_rules:
        for rule, value in zip(_RULES, claim.rules or (), strict=True):
            if value != rules[rule]:
                raise EncoderError(
                    f"{files.folder / claim.file}: {rule} of the added token {content!r} is {json.dumps(value)}, but "
                    f"{json.dumps(rules[rule])} in {first.file}; transformers 4 and 5 differ on which one counts, so write the same in "
                    "both"
                )
    return AddedToken(content, number, is_special, **rules)


def _number(files: TokenizerFiles, content: str, told: list[_Claim], ids: Mapping[str, int]) -> int:
    numbers = {str(claim.number): claim for claim in told if claim.number is not None}
    if content in ids:
        numbers.pop(str(ids[content]), None)
        if numbers:
            number, claim = next(iter(numbers.items()))
            raise EncoderError(
                f"{files.folder / claim.file}: gives {content!r} the id {number}, the vocabulary {ids[content]}; transformers 4 and 5 "
                "differ on which one counts, so correct the wrong one"
            )
        return ids[content]
    if not numbers:
        raise EncoderError(
            f"{files.folder / told[0].file}: names the added token {content!r}, to which no file gives an id; save the tokenizer again "
            "with transformers, save_pretrained"
        )
    if len(numbers) > 1 or not next(iter(numbers)).isdigit():
        raise EncoderError(
            f"{files.folder}: gives the added token {content!r} the ids {' and '.join(numbers)}; correct the wrong one"
        )
    return int(next(iter(numbers)))
