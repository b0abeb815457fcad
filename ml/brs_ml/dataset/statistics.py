"""Statistics of each number of a column, over the training split only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brs_ml.dataset.format import EpisodeEntry, Feature, column_path

QUANTILES = {"q01": 0.01, "q05": 0.05, "q50": 0.5, "q95": 0.95, "q99": 0.99}


def statistics_of(
    root: Path, features: Mapping[str, Feature], episodes: Sequence[EpisodeEntry]
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Statistics of the named numbers of a data set, of valid steps of the training split.

    One number of all steps is in memory at a time (8 MB a million steps).

    Returns:
        feature -> mean, std, min, max, q01, q05, q50, q95, q99 -> one value a number. Empty if
        no episode is for training.
    """
    training = [episode for episode in episodes if episode.split == "train"]
    if not training:
        return {}
    rows = np.concatenate(
        [np.arange(episode.first, episode.first + episode.steps) for episode in training]
    )
    if "valid" in features:
        rows = rows[_column(root, "valid")[rows]]
    named = {
        key: feature
        for key, feature in features.items()
        if feature.encoding == "column" and feature.names
    }
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for key in named if len(rows) else ():
        column = _column(root, key)
        each = [number_statistics(column[:, i][rows]) for i in range(column.shape[1])]
        found[key] = {name: tuple(values[name] for values in each) for name in each[0]}
    return found


def number_statistics(values: np.ndarray) -> dict[str, float]:
    """Mean, standard deviation, extremes and quantiles of (n,) values."""
    values = values.astype(np.float64)
    quantiles = np.quantile(values, list(QUANTILES.values()))
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        **{name: float(value) for name, value in zip(QUANTILES, quantiles, strict=True)},
    }


def _column(root: Path, key: str) -> np.ndarray:
    return np.load(root / column_path(key), mmap_mode="r", allow_pickle=False)
