"""The one kind of error that the user of a launch file can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LaunchError(Exception):
    """A launch file, its arguments or its surroundings are wrong.

    Args:
        what: what is wrong, one line.
        where: file and line, or empty until someone who knows adds it.
        remedy: what to do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def at(self, place: str) -> LaunchError:
        """Itself, with `place` as its origin unless it already names one."""
        self.where = self.where or place
        return self

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. Try: {self.remedy}" if self.remedy else text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"one of {', '.join(known)}" if known else "there is none to choose from"
