"""What another format has no place for, kept beside it: the way there and back loses nothing.

Foreign formats hold a number at every step. Where ours does not know one, they are given the last
one that was known (as BRS's recorder does), and which ones these are is kept apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import zstandard

from brs_ml.dataset.clouds import POINT_BYTES, CloudCodec
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import (
    EpisodeEntry,
    Feature,
    Index,
    check_name,
    from_json,
    inside,
    span_path,
)
from brs_ml.dataset.reader import Dataset

# Told the name of each episode that is done.
Progress = Callable[[str], None]

FORMAT = "brs-kept"
VERSION = 1


@dataclass(frozen=True)
class Kept:
    """What a data set told of itself and its episodes before it was converted."""

    robot: str
    rate_hz: float
    features: Mapping[str, Feature]
    episodes: tuple[EpisodeEntry, ...]  # in the order of the other format
    build: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION

    @classmethod
    def of(cls, index: Index, episodes: Iterable[EpisodeEntry]) -> Kept:
        """Of a data set and some of its episodes."""
        return cls(
            index.robot,
            index.rate_hz,
            index.features,
            tuple(episodes),
            index.build,
            index.left_out,
        )

    def to_json(self) -> bytes:
        """As text."""
        return json.dumps(asdict(self), indent=1, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Kept:
        """From text that may be anybody's.

        Raises:
            DatasetError: it is damaged or of another version.
        """
        try:
            values = json.loads(data)
            if (values["format"], values["version"]) != (FORMAT, VERSION):
                raise ValueError(f"version {values['version']} of {values['format']}")
            features = {
                check_name(k): from_json(Feature, v) for k, v in values["features"].items()
            }
            if not all(features[key].encoding == "column" for key in ("proprioception", "action")):
                raise ValueError("proprioception and action are no columns")
            check_name(values["robot"])
            episodes = tuple(from_json(EpisodeEntry, entry) for entry in values["episodes"])
            return from_json(cls, {**values, "features": features, "episodes": episodes})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise DatasetError(
                f"what was kept of the data set is damaged ({error})",
                where=where,
                remedy="convert the data set again",
            ) from None


def stand_ins(known: np.ndarray) -> np.ndarray:
    """(n,) int64: for each step the last known one, before the first the first; -1 if none is.

    Args:
        known: (n,) bool.
    """
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    first = int(known.argmax()) if known.any() else -1
    return np.where(last < 0, first, last)


def held(values: np.ndarray) -> np.ndarray:
    """(n, ...) with a number in place of each NaN: of `stand_ins` in the same place, or 0."""
    if values.dtype.kind != "f" or not np.isnan(values).any():
        return values
    columns = values.reshape(len(values), -1).copy()
    for column in columns.T:
        rows = stand_ins(~np.isnan(column))
        column[:] = np.where(rows >= 0, column[rows], 0.0)
    return columns.reshape(values.shape)


def steps_of(entry: EpisodeEntry) -> slice:
    """Where an episode's steps are in the columns."""
    return slice(entry.first, entry.first + entry.steps)


def present(dataset: Dataset, feature: str, entry: EpisodeEntry) -> np.ndarray:
    """(steps,) bool: which steps of an episode have a picture or cloud."""
    file = inside(dataset.root, span_path(feature))
    spans = np.load(file, mmap_mode="r", allow_pickle=False)
    return np.asarray(spans[steps_of(entry), 1] > 0)


def packed_of(dataset: Dataset, feature: str, entry: EpisodeEntry) -> list[bytes]:
    """What is packed of each step of an episode; of its stand-in where it has none, or empty."""
    return [
        dataset.packed(feature, (entry.first + int(row),))[0] if row >= 0 else b""
        for row in stand_ins(present(dataset, feature, entry))
    ]


def codec_of(feature: Feature) -> CloudCodec:
    """What packs and unpacks a feature's clouds."""
    return CloudCodec(feature.lower[:3], feature.upper[:3])


def points_in(packed: bytes) -> int:
    """Points of a packed cloud."""
    return int(zstandard.frame_content_size(packed)) // POINT_BYTES if packed else 0
