"""Forms of labels: what is the same label in another spelling, what means no label, what holds several labels."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

NO_LABEL_WORDS = {
    *("missing", "no label", "none", "not applicable", "not available", "not labeled", "not labelled", "null", "tbd"),
    *("undefined", "unk", "unknown", "unlabeled", "unlabelled"),
}
"""labels that may mean "no label", and may be a class"""
NO_LABEL_MARKS = {"na", "nan", "nil", "#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#num!", "#null!"}
"""labels that hardly are a class: what programs write for a missing or a wrong cell"""
SEPARATORS = (";", "|", ",", "/", "\\", "+", "&", " ")

_CODE_LABELS = 5
"""so many labels of one length of two or three letters are codes, such as those of countries"""
# Letters of other scripts that look like Latin ones, as they come from a keyboard that was switched late.
_LOOK_ALIKES = str.maketrans("авеёіјкмнорстухѕԁοαν", "abeeijkmhopctyxsdoav")
_QUOTES = "\"'`“”‘’«»"


def label_form(name: str) -> str:
    r"""The form that spellings of one label share: without case, blanks, quotes, invisible signs and Unicode variants.

    Hyphens and underscores between letters count as blanks, "1.0" and "01" as "1", letters of other scripts in a Latin
    word as the Latin letters that they look like.

    >>> label_form("Not_Spam\u200b") == label_form(" not  spam")
    True
    """
    form = "".join(char for char in _plain(name) if not _is_invisible(char)).strip().strip(_QUOTES)
    # casefold() leaves a dot over the i of "İ"; Turkish has an i without a dot, too.
    form = form.casefold().replace("i̇", "i").replace("ı", "i")
    if not form.isascii() and (re.search("[a-z]", form) or form.translate(_LOOK_ALIKES).isascii()):
        form = form.translate(_LOOK_ALIKES)
    form = " ".join(re.sub(r"(?<=[^\W\d_])[-_\s]+(?=[^\W\d_])", " ", form).split())
    number = re.fullmatch(r"\+?0*([0-9]+)(?:\.0+)?", form)
    return number[1] if number else form or name


def spellings(names: Iterable[str]) -> list[list[str]]:
    """The labels that have other spellings of the same label beside them, in groups."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(label_form(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def distinguishable(group: Collection[str]) -> list[str]:
    """The names of a group in quotes, with escapes for signs in which they differ without looking different."""
    shared = set.intersection(*map(set, group))
    are_composed = all(unicodedata.normalize("NFC", name) == name for name in group)

    def shown(char: str, *, is_latin: bool) -> str:
        looks_latin = is_latin and char.casefold().translate(_LOOK_ALIKES).isascii()
        is_clear = char.isalnum() and are_composed and _plain(char) == char and not looks_latin
        return char if char.isascii() or char in shared or is_clear else ascii(char)[1:-1]

    latin = [re.search("[A-Za-z]", name) is not None for name in group]
    return [
        f"'{''.join(shown(char, is_latin=is_latin) for char in name)}'"
        for name, is_latin in zip(group, latin, strict=True)
    ]


def labels_of_nothing(rows: Mapping[str, int]) -> list[str]:
    """The labels that mean "no label", from the rows of each.

    A sign such as "-" is a class where signs are the classes; "na" is one among codes of equal length; "-1" is one
    beside other negative numbers, or beside 0 and 1 alone where its rows are about as many.
    """
    words = [name for name in rows if any(map(str.isalnum, name))]
    signs = {name for name in rows if not any(map(str.isalnum, name))}
    missing = signs if len(signs) < len(words) and all(set(name) <= set("-–—?.*_ ") for name in signs) else set()
    are_codes = len(rows) >= _CODE_LABELS and len({len(name) for name in words}) == 1 and len(words[0]) <= 3
    if not are_codes:
        missing |= {name for name in words if is_mark_of_nothing(name) or _bare(name) in NO_LABEL_WORDS}
    return [name for name in rows if name in missing or (name == "-1" and _is_no_number(rows))]


def is_mark_of_nothing(name: str) -> bool:
    """Whether a label is what programs write for a missing or a wrong cell."""
    return not any(map(str.isalnum, name)) or _bare(name) in NO_LABEL_MARKS or name.casefold() in NO_LABEL_MARKS


def separator_of(name: str, forms: Collection[str], *, sure: bool = False) -> str | None:
    """The sign that separates several labels in one name; None where the name is one label.

    Args:
        name: a label.
        forms: of all labels; the parts must be among them.
        sure: whether any text with a semicolon or a bar is taken for several labels.
    """
    for separator in SEPARATORS:
        parts = [part.strip() for part in name.split(separator)]
        if len(parts) < 2 or not all(parts) or (separator == "," and re.fullmatch(r"[0-9]+,(0|25|5|75)", name)):
            continue
        if (sure and separator in ";|") or all(label_form(part) in forms for part in parts):
            return separator
    return None


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def _is_invisible(char: str) -> bool:
    """Zero-width and direction marks, soft hyphens, control characters but blanks, variation selectors."""
    return (unicodedata.category(char) in ("Cf", "Cc") and not char.isspace()) or "\ufe00" <= char <= "\ufe0f"


def _bare(name: str) -> str:
    """The form of a label without brackets, dots and slashes: "n/a", "N.A." and "<NA>" are "na"."""
    return re.sub(r"[^\w\s#]", "", label_form(name)).strip()


def _is_no_number(rows: Mapping[str, int]) -> bool:
    others = {name: count for name, count in rows.items() if name != "-1"}
    if not all(re.fullmatch(r"[+-]?[0-9]+", name) for name in others):
        return True
    numbers = sorted(map(int, others))
    if not numbers or numbers[0] != 0:
        return False
    return numbers != [0, 1] or 2 * rows["-1"] < min(others.values())
