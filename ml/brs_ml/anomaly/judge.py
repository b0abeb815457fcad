"""What the monitor asks of a judge: how sure is it that a picture shows a text?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Question:
    """One picture and one text."""

    picture: np.ndarray  # (h, w, 3) uint8 RGB
    keyword: str
    part: str  # key_frame, position or temporal


@dataclass(frozen=True)
class Verdict:
    """What a judge says."""

    score: float | None  # 0 to 1; none: it cannot tell
    reason: str  # one line


class Judge(Protocol):
    """Rates pictures."""

    @property
    def name(self) -> str:
        """What runs, for people."""

    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        """One verdict for each question; never raises for what a model or server does."""
