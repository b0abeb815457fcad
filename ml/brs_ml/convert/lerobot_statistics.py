"""Statistics as LeRobot keeps them: of each number, and of each colour of pictures.

Pictures are counted into 256 bins a colour, so statistics of any number of them are exact and
take no memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_MOST_PIXELS = 20_000

Statistics = dict[str, list[Any]]


def number_statistics(values: np.ndarray) -> Statistics:
    """Of (n, ...) numbers along the first axis; one number a step gives lists of one."""
    values = values.reshape(len(values), -1).astype(np.float64)
    return {
        "min": values.min(axis=0).tolist(),
        "max": values.max(axis=0).tolist(),
        "mean": values.mean(axis=0).tolist(),
        "std": values.std(axis=0).tolist(),
        "count": [len(values)],
        **{
            name: row.tolist()
            for name, row in zip(
                QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True
            )
        },
    }


class PictureCounts:
    """How often each shade of red, green and blue occurs.

    Attributes:
        bins: (3, 256) int64.
        pictures: how many were counted.
    """

    def __init__(self) -> None:
        self.bins, self.pictures = np.zeros((3, 256), np.int64), 0

    def add(self, rgb: np.ndarray) -> None:
        """Count (h, w, 3) uint8; of large pictures every n-th row and column."""
        stride = int(np.ceil(np.sqrt(rgb.shape[0] * rgb.shape[1] / _MOST_PIXELS)))
        thinned = rgb[::stride, ::stride].reshape(-1, 3)
        for color in range(3):
            self.bins[color] += np.bincount(thinned[:, color], minlength=256)
        self.pictures += 1

    def merge(self, other: PictureCounts) -> None:
        """Add what another has counted."""
        self.bins += other.bins
        self.pictures += other.pictures

    def statistics(self) -> Statistics:
        """From 0 to 1, as (3, 1, 1) each."""
        shades = np.arange(256) / 255.0
        count = self.bins.sum(axis=1)
        mean = self.bins @ shades / count
        variance = self.bins @ shades**2 / count - mean**2
        found = {
            "min": shades[(self.bins > 0).argmax(axis=1)],
            "max": shades[255 - (self.bins[:, ::-1] > 0).argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0.0)),
        }
        below = np.cumsum(self.bins, axis=1)
        for name, share in QUANTILES.items():
            found[name] = shades[(below >= (share * count)[:, None]).argmax(axis=1)]
        listed = {name: values.reshape(3, 1, 1).tolist() for name, values in found.items()}
        return {**listed, "count": [self.pictures]}
