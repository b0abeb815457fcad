"""Episodes read from another format, written as a data set of ours."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.convert.kept import Progress
from brs_ml.dataset.align import period_ns
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import EpisodeEntry, Feature, Index
from brs_ml.dataset.images import pack_image, unpack_image
from brs_ml.dataset.splits import split_of
from brs_ml.dataset.streams import UNKNOWN
from brs_ml.dataset.writer import EpisodePart, PartWriter, join_parts

_PNG = b"\x89PNG\r\n\x1a\n"
_SETTLED_LATER = ("name", "first", "steps", "split")
# Columns that any data set of ours has beside proprioception and action.
STEP_FEATURES = {
    "valid": Feature("|b1", ()),
    "action_valid": Feature("|b1", ()),
    "driver": Feature("|u1", ()),
    "stamp_ns": Feature("<i8", ()),
}


@dataclass(frozen=True)
class Recovered:
    """One episode of another format."""

    entry: EpisodeEntry  # where its steps begin is settled when it is written
    columns: Mapping[str, np.ndarray]  # feature -> (steps, ...)
    blobs: Iterable[tuple[str, int, bytes]]  # feature, step within the episode, packed


@dataclass(frozen=True)
class Source:
    """A whole set of another format."""

    robot: str
    rate_hz: float
    features: Mapping[str, Feature]
    episodes: Iterable[Recovered]
    build: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what the result does not hold, or holds differently


def write_set(source: Source, root: Path, progress: Progress | None = None) -> Index:
    """Write a data set to a folder that is made here; `progress` is told of each episode.

    Raises:
        DatasetError: an episode is damaged, there is none, or none is for training.
    """
    folder = root / "parts"
    folder.mkdir(parents=True)
    parts: list[EpisodePart] = []
    splits: dict[str, str] = {}
    for episode in source.episodes:
        entry = episode.entry
        if entry.name in splits:
            raise DatasetError("an episode occurs twice", where=entry.name, remedy="rename one")
        splits[entry.name] = entry.split
        try:
            parts.append(_write_part(folder, episode, source.features))
        except (ValueError, KeyError, IndexError) as error:
            # Columns of other shapes than told, or too few of them.
            raise DatasetError(
                f"is damaged ({error!r})", where=entry.name, remedy="leave the episode out"
            ) from error
        if progress is not None:
            progress(entry.name)
    if not parts:
        raise DatasetError("there is no episode in it", remedy="name the folder that has them")
    index = join_parts(
        root,
        parts,
        splits,
        robot=source.robot,
        rate_hz=source.rate_hz,
        build=source.build,
        left_out=source.left_out,
    )
    shutil.rmtree(folder)
    return index


def _write_part(folder: Path, episode: Recovered, features: Mapping[str, Feature]) -> EpisodePart:
    entry = episode.entry
    facts = {k: v for k, v in asdict(entry).items() if k not in _SETTLED_LATER}
    with PartWriter(folder, entry.name, features) as writer:
        for feature, step, data in episode.blobs:
            writer.add(feature, step, data)
        return writer.finish(episode.columns, range(entry.steps), **facts)


def in_splits(entries: Iterable[EpisodeEntry], validation_share: float) -> list[EpisodeEntry]:
    """Episodes of a set that has no split, in ours: by a hash of their names.

    The first is for training where chance leaves none.
    """
    found = [replace(entry, split=split_of(entry.name, validation_share)) for entry in entries]
    if found and all(entry.split != "train" for entry in found):
        found[0] = replace(found[0], split="train")
    return found


def step_columns(steps: int, rate_hz: float) -> dict[str, np.ndarray]:
    """Columns of an episode that tells nothing of them: all is valid, stamps count from 0."""
    return {
        "valid": np.ones(steps, bool),
        "action_valid": np.ones(steps, bool),
        "driver": np.full(steps, UNKNOWN, np.uint8),
        "stamp_ns": np.arange(steps, dtype=np.int64) * period_ns(rate_hz),
    }


def packed_picture(data: bytes, shape: tuple[int, ...], quality: int, where: str) -> bytes:
    """A JPEG or PNG file as a JPEG of ours: JPEG stays as it is, byte by byte.

    Raises:
        DatasetError: it is neither, or of another size than told.
    """
    jpeg = data.startswith(b"\xff\xd8")
    # Told by the head, before anything is unpacked: a few bytes can claim any size.
    if not jpeg and (data[:8] != _PNG or _png_size(data) != shape[:2]):
        raise DatasetError(
            f"a picture is no JPEG or PNG of {shape[1]} x {shape[0]}",
            where=where,
            remedy="leave the episode out",
        )
    rgb = unpack_image(data, shape if jpeg else None)
    return data if jpeg else pack_image(rgb, quality)


def _png_size(data: bytes) -> tuple[int, int]:
    """Height and width of a PNG picture by its head; zeros if it is cut off."""
    width, height = struct.unpack_from(">II", data.ljust(24, b"\0"), 16)
    return height, width


def check_picture(rgb: np.ndarray, shape: tuple[int, ...], where: str) -> None:
    """Raises DatasetError if a picture has not the shape that was told of it."""
    if rgb.shape != shape:
        raise DatasetError(
            f"a picture is {rgb.shape}, not {shape}", where=where, remedy="leave the episode out"
        )
