"""Numbers, lists and texts as people read them, in messages, tables and pages."""

from collections.abc import Iterable

_SCORE_NAMES = {
    "micro f1": "micro F1",
    "macro f1": "macro F1",
    "weighted f1": "weighted F1",
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
    "tfidf logistic regression": "TF-IDF logistic regression",
    "tfidf ridge": "TF-IDF ridge regression",
}


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or the plural, such as "1 row" or "2,000 rows"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def agreeing(number: int, singular: str, plural: str) -> str:
    """The form of a verb or pronoun that agrees with a number, such as "has" or "have"."""
    return singular if number == 1 else plural


def listed(names: Iterable[object], most: int = 5) -> str:
    """Names joined by commas; an ellipsis stands for those after the first `most`."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:most]) + (" ..." if len(shown) > most else "")


def shown_of(shown: int, total: int, noun: str) -> str:
    """How many there are, and how many of them are shown, such as "500 of 2,000 rows"."""
    return counted(total, noun) if shown == total else f"{shown:,} of {counted(total, noun)}"


def percent(share: float) -> str:
    """A share from 0 to 1 in percent; a share above 0 never reads as 0%."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share:.1%}" if 0 < share < 0.995 else f"{share:.0%}"


def shortened(text: str, characters: int) -> str:
    """The text, cut after `characters` with its whole length stated."""
    return text if len(text) <= characters else f"{text[:characters]} … ({len(text):,} characters)"


def score_name(name: str) -> str:
    """The name of a score or of a baseline for people, such as "macro F1" for "macro_f1"."""
    words = name.replace("_", " ")
    return _SCORE_NAMES.get(words, words)
