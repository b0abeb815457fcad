"""What makes one person's demonstration unlike another's: pace, misjudgement and lapses.

Who learns from demonstrations must see how one gets back from where one should not be.
"""

from __future__ import annotations

import numpy as np


class Habits:
    """The person of one seed.

    Attributes:
        pace: of reaching movements, 1 is usual.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 2])
        self.pace = float(self._random.uniform(0.95, 1.1))

    def misjudged(self, spread_m: float) -> np.ndarray:
        """(3,) how far off a place is taken to be at first, at most `spread_m` along each axis."""
        offset: np.ndarray = self._random.uniform(-spread_m, spread_m, 3)
        return offset

    def lapses(self, share: float) -> bool:
        """Whether this time, of a `share` of all times, something goes wrong at first."""
        return bool(self._random.random() < share)
