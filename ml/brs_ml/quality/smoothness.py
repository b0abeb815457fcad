"""How smooth a motion is: log dimensionless jerk.

The integral of the squared jerk, made free of duration and size (Hogan and Sternad, "Sensitivity
of smoothness measures to movement duration, amplitude, and arrests", 2009), as its negative
logarithm (Balasubramanian, Melendez-Calderon, Roby-Brami and Burdet, "On the analysis of movement
smoothness", 2015):

    -ln( T^3 / v_peak^2 * integral of |d^2 v / dt^2|^2 dt )

A joint motion is one path of several dimensions: v is the vector of the joints' velocities.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from brs_ml.episode.errors import EpisodeError

RATE_HZ = 50.0  # of the samples that are differentiated: faster ones are mostly noise
# Savitzky-Golay filter that differentiates: width [samples] and order of the polynomial.
_WIDTH, _ORDER = 15, 5


def uniform(times_s: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m,) times RATE_HZ apart and (m, d) values on straight lines between the samples."""
    count = int((times_s[-1] - times_s[0]) * RATE_HZ + 1e-6) + 1
    even_s = times_s[0] + np.arange(count) / RATE_HZ
    columns = [np.interp(even_s, times_s, column) for column in values.T]
    return even_s, np.array(columns).reshape(values.shape[1], count).T


def derivative(values: np.ndarray, order: int) -> np.ndarray:
    """(m, d) derivative of even samples (m, d), smoothed; zeros where they are too few.

    Raises:
        EpisodeError: SciPy is not installed.
    """
    if len(values) < _WIDTH:
        return np.zeros_like(values)
    return np.asarray(
        _signal().savgol_filter(values, _WIDTH, _ORDER, deriv=order, delta=1.0 / RATE_HZ, axis=0)
    )


def log_dimensionless_jerk(values: np.ndarray) -> float:
    """Of even samples (m, d), m > 1, of a motion; NaN if nothing moves.

    Raises:
        EpisodeError: SciPy is not installed.
    """
    return _of_derivatives(derivative(values, 1), derivative(values, 3))


def windows(values: np.ndarray, window_s: float, least_speed: float) -> np.ndarray:
    """(k,) log dimensionless jerk of each window in which the part gets faster than `least_speed`.

    Args:
        values: (m, d) even samples.
        window_s: length; windows overlap by half.
        least_speed: of the fastest number [unit/s].

    Raises:
        EpisodeError: SciPy is not installed.
    """
    speed, jerk = derivative(values, 1), derivative(values, 3)
    length = max(int(window_s * RATE_HZ), _WIDTH)
    found = [
        _of_derivatives(speed[first : first + length], jerk[first : first + length])
        for first in range(0, len(values) - length + 1, length // 2)
        if np.abs(speed[first : first + length]).max(initial=0.0) > least_speed
    ]
    return np.array(found)


def _of_derivatives(speed: np.ndarray, jerk: np.ndarray) -> float:
    peak = float((speed**2).sum(axis=1).max())
    squared = (jerk**2).sum(axis=1)
    seconds = (len(speed) - 1) / RATE_HZ
    # Trapezoids.
    area = float(squared.sum() - 0.5 * (squared[0] + squared[-1])) / RATE_HZ
    if peak <= 0.0 or area <= 0.0:
        return math.nan
    return -math.log(seconds**3 / peak * area)


def _signal() -> Any:
    try:
        from scipy import signal
    except ImportError:
        raise EpisodeError(
            "smoothness needs SciPy, which is not installed", remedy="pip install brs[robot]"
        ) from None
    return signal
