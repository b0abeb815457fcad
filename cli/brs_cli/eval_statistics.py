"""How sure one may be of success rates, and of the difference between two drivers."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share, 0..1; it holds near 0 and 1, and for few trials.

    Args:
        successes: so many.
        trials: of so many; without any, all is possible.
        confidence: that the true share lies within, such as 0.95.
    """
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share, weight = successes / trials, z * z / trials
    middle = (share + weight / 2.0) / (1.0 + weight)
    half = z * math.sqrt(share * (1.0 - share) / trials + weight / (4.0 * trials))
    half /= 1.0 + weight
    low = 0.0 if successes == 0 else max(middle - half, 0.0)
    return low, 1.0 if successes == trials else min(middle + half, 1.0)


def paired_chance(first_only: int, second_only: int) -> float:
    """How likely a difference at least as large is if two drivers are equally good (0..1).

    McNemar's exact test on trials in the same scenes, two-sided.

    Args:
        first_only: scenes in which only the first succeeded.
        second_only: scenes in which only the second did.
    """
    differing, fewer = first_only + second_only, min(first_only, second_only)
    tail = sum(math.comb(differing, count) for count in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**differing))
