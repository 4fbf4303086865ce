"""What a reader left out of a file or repaired in it, so that commands can say so."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bert_serving.wording import counted

BLANK_LINE = "blank line"


@dataclass
class Reading:
    """Collects what readers left out and repaired.

    Attributes:
        left_out: numbers by what it is, in the singular: {"blank line": 2}.
        repairs: a line for each file that was read otherwise than its name says.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    repairs: list[str] = field(default_factory=list)

    def leave_out(self, what: str, number: int = 1) -> None:
        """Counts something that is not read."""
        if number:
            self.left_out[what] += number

    def repair(self, line: str) -> None:
        """Adds a line, once."""
        if line not in self.repairs:
            self.repairs.append(line)

    def add(self, other: "Reading") -> None:
        """Adds what was left out and repaired in another file."""
        self.left_out.update(other.left_out)
        for line in other.repairs:
            self.repair(line)

    def lines(self) -> list[str]:
        """All of it, one line each, for people."""
        return [*self.repairs, *([f"left out: {listed_counts(self.left_out)}"] if self.left_out else [])]


def listed_counts(counts: Mapping[str, int]) -> str:
    """Numbers of things, the largest first, such as "12 hidden files, 1 blank line"."""
    return ", ".join(counted(number, what) for what, number in sorted(counts.items(), key=lambda item: -item[1]))
