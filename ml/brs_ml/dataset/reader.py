"""Reads a data set: columns mapped into memory, pictures and clouds one by one."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import (
    EpisodeEntry,
    blob_path,
    column_path,
    inside,
    read_index,
    sha256,
    span_path,
)
from brs_ml.dataset.images import unpack_image

_OPEN_FILES = 256


class Dataset:
    """One data set on disk.

    It may be handed to other processes: each opens the files anew. Not thread-safe.

    Args:
        root: its folder.
        verify: compare every file with its checksum (reads all of it).

    Raises:
        DatasetError: it is none, or a file is missing, damaged or leads out of the folder.
    """

    def __init__(self, root: str | Path, *, verify: bool = False) -> None:
        self.root = Path(root)
        self.index = read_index(self.root)
        for path, entry in self.index.files.items():
            file = inside(self.root, path)
            size = file.stat().st_size if file.is_file() else -1
            if size != entry.bytes:
                raise _damaged(file, f"has {max(size, 0)} bytes of {entry.bytes}")
            if verify and sha256(file) != entry.sha256:
                raise _damaged(file, "does not match its checksum")
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "index": self.index}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        features = self.index.features
        self._columns = {
            key: self._map(column_path(key), feature.dtype, feature.shape)
            for key, feature in features.items()
            if feature.encoding == "column"
        }
        self._spans = {
            key: self._map(span_path(key), "<u8", (2,))
            for key, feature in features.items()
            if feature.encoding != "column"
        }
        self._codecs = {
            key: CloudCodec(feature.lower[:3], feature.upper[:3])
            for key, feature in features.items()
            if feature.encoding == "cloud"
        }
        self._firsts = np.array([episode.first for episode in self.index.episodes])
        self._files: OrderedDict[tuple[int, str], int] = OrderedDict()

    def __len__(self) -> int:
        return self.index.steps

    def __del__(self) -> None:
        for descriptor in getattr(self, "_files", {}).values():
            os.close(descriptor)

    @property
    def episodes(self) -> tuple[EpisodeEntry, ...]:
        """Episodes in the order of their steps."""
        return self.index.episodes

    def column(self, feature: str) -> np.ndarray:
        """(steps, ...) of all episodes, mapped into memory, read-only.

        Raises:
            DatasetError: there is no such column.
        """
        if feature not in self._columns:
            raise DatasetError(
                f"has no column '{feature}'",
                where=str(self.root),
                remedy=f"one of {', '.join(self._columns)}",
            )
        return self._columns[feature]

    def episode_of(self, step: int) -> int:
        """Number of the episode that a step is in."""
        return int(np.searchsorted(self._firsts, step, side="right")) - 1

    def image(self, feature: str, step: int) -> np.ndarray:
        """(h, w, 3) uint8 RGB of a step.

        Raises:
            DatasetError: the step is not valid and has none, or the file is damaged.
        """
        shape = self.index.features[feature].shape if feature in self._spans else ()
        return unpack_image(self.packed(feature, (step,))[0], shape)

    def cloud(self, step: int, points: int | None = None, feature: str = "cloud") -> np.ndarray:
        """(points, 6) float32 of a step: x, y, z [m], then red, green, blue from 0 to 1.

        Args:
            step: which one.
            points: how many; None for what the data set was made with.
            feature: name of the cloud.

        Raises:
            DatasetError: the step is not valid and has none, or the file is damaged.
        """
        return self.clouds((step,), points, feature)[0]

    def clouds(
        self, steps: Sequence[int], points: int | None = None, feature: str = "cloud"
    ) -> np.ndarray:
        """(len(steps), points, 6) float32 of steps of one episode; see `cloud`."""
        count = points or self.index.features[feature].shape[0]
        out = np.empty((len(steps), count, 6), np.float32)
        for data, place in zip(self.packed(feature, steps), out, strict=True):
            self._codecs[feature].points(data, count, place)
        return out

    def packed(self, feature: str, steps: Sequence[int]) -> list[bytes]:
        """Bytes of steps of one episode as they lie in its blob; neighbours are read at once."""
        if feature not in self._spans:
            raise DatasetError(
                f"has no '{feature}'",
                where=str(self.root),
                remedy=f"one of {', '.join(self._spans) or 'its columns'}",
            )
        spans = [
            (int(offset), int(length)) for offset, length in self._spans[feature][list(steps)]
        ]
        if not all(length for _, length in spans):
            raise DatasetError(
                f"a step has no {feature}", where=str(self.root), remedy="read valid steps only"
            )
        start = min(offset for offset, _ in spans)
        end = max(offset + length for offset, length in spans)
        if end - start > 2 * sum(length for _, length in spans):
            return [self._read(feature, steps[0], *span) for span in spans]
        data = self._read(feature, steps[0], start, end - start)
        return [data[offset - start : offset - start + length] for offset, length in spans]

    def _read(self, feature: str, step: int, offset: int, length: int) -> bytes:
        episode = self.episode_of(step)
        path = blob_path(self.episodes[episode].name, feature)
        known = self.index.files.get(path)
        # Of that size it was when the data set was opened: no place may ask for more memory.
        if known is None or offset + length > known.bytes:
            raise _damaged(self.root / path, f"ends before {offset + length}")
        data = os.pread(self._descriptor(episode, feature), length, offset)
        if len(data) != length:
            raise _damaged(self.root / path, f"ends before {offset + length}")
        return data

    def _descriptor(self, episode: int, feature: str) -> int:
        """An open file; the one not used for longest is closed when there are many."""
        key = (episode, feature)
        if key in self._files:
            self._files.move_to_end(key)
            return self._files[key]
        if len(self._files) >= _OPEN_FILES:
            os.close(self._files.popitem(last=False)[1])
        path = inside(self.root, blob_path(self.episodes[episode].name, feature))
        self._files[key] = os.open(path, os.O_RDONLY)
        return self._files[key]

    def _map(self, path: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        file = inside(self.root, path)
        try:
            column = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise _damaged(file, str(error)) from None
        if column.dtype.str != dtype or column.shape != (len(self), *shape):
            raise _damaged(file, f"is {column.shape} {column.dtype.str}")
        return column


def _damaged(file: Path, what: str) -> DatasetError:
    return DatasetError(what, where=str(file), remedy="copy or build the data set again")
