"""Writes data sets: each episode to a part of its own, then all parts to one data set.

A part is made beside its place and renamed, and so is the data set: whatever breaks off, there
is never half of either. Parts that are done are found again by the next attempt.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import (
    EpisodeEntry,
    Feature,
    FileEntry,
    Index,
    blob_path,
    check_name,
    column_path,
    from_json,
    inside,
    sha256,
    span_path,
    write_index,
)
from brs_ml.dataset.statistics import statistics_of
from brs_ml.episode.errors import DiskFullError
from brs_ml.episode.metadata import sync_folder, write_atomically

PART_INDEX = "part.json"


@dataclass(frozen=True)
class EpisodePart:
    """One episode that is written, in a folder of its own."""

    folder: Path
    entry: EpisodeEntry  # `first` and `split` are settled when parts are joined
    features: Mapping[str, Feature]
    files: Mapping[str, FileEntry]  # file in the folder -> size and checksum
    fingerprint: str  # of what it was made from, and how


class PartWriter:
    """Writes one episode; use as a context, `finish` keeps it, leaving without drops it.

    Args:
        parts: folder of all parts; made if missing.
        name: of the episode.
        features: what a step holds.

    Attributes:
        features: as given.

    Raises:
        ValueError: the name cannot be that of a folder.
        OSError: the folder cannot be made.
    """

    def __init__(self, parts: Path, name: str, features: Mapping[str, Feature]) -> None:
        self._target = parts / check_name(name)
        self._folder = parts / f".{name}.new"
        self.features = features
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._files = ExitStack()
        blobs = [key for key, feature in features.items() if feature.encoding != "column"]
        self._blobs: dict[str, BinaryIO] = {
            key: self._files.enter_context((self._folder / f"{key}.bin").open("wb"))
            for key in blobs
        }
        self._spans: dict[str, dict[int, tuple[int, int]]] = {key: {} for key in blobs}

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._files.close()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, feature: str, step: int, data: bytes) -> None:
        """Append what a step holds of a feature kept in blobs."""
        self._spans[feature][step] = (self._blobs[feature].tell(), len(data))
        self._blobs[feature].write(data)

    def finish(
        self,
        columns: Mapping[str, np.ndarray],
        steps: Sequence[int],
        *,
        fingerprint: str = "",
        **entry: Any,
    ) -> EpisodePart:
        """Keep the episode.

        Args:
            columns: feature -> (len(steps), ...) of every feature that is a column.
            steps: numbers given to `add`, in the order of the columns; others are left behind.
            fingerprint: of what it was made from.
            entry: fields of EpisodeEntry.

        Raises:
            ValueError: a column is missing or has another shape than its feature.
            OSError: it cannot be written.
        """
        for blob in self._blobs.values():
            blob.flush()
            os.fsync(blob.fileno())
        self._files.close()
        for key, feature in self.features.items():
            if feature.encoding == "column":
                column = np.asarray(columns[key])
                if column.shape != (len(steps), *feature.shape):
                    raise ValueError(f"{key} is {column.shape} for {len(steps)} steps")
                np.save(self._folder / f"{key}.npy", column.astype(feature.dtype))
            else:
                spans = [self._spans[key].get(step, (0, 0)) for step in steps]
                np.save(self._folder / f"{key}.span.npy", np.array(spans, "<u8"))
        part = EpisodePart(
            self._target,
            EpisodeEntry(
                name=self._target.name, first=0, steps=len(steps), split="train", **entry
            ),
            self.features,
            {path.name: file_entry(path) for path in sorted(self._folder.iterdir())},
            fingerprint,
        )
        _write_part(self._folder, part)
        shutil.rmtree(self._target, ignore_errors=True)
        self._folder.rename(self._target)
        sync_folder(self._target.parent)
        return part


def _write_part(folder: Path, part: EpisodePart) -> None:
    values = asdict(part)
    del values["folder"]
    write_atomically(folder / PART_INDEX, json.dumps(values))


def read_part(folder: Path, fingerprint: str) -> EpisodePart | None:
    """The part in a folder, if it is whole and was made from the same with the same settings."""
    try:
        values = json.loads((folder / PART_INDEX).read_text(encoding="utf-8"))
        if values["fingerprint"] != fingerprint:
            return None
        files = {name: from_json(FileEntry, entry) for name, entry in values["files"].items()}
        if any(inside(folder, name).stat().st_size != file.bytes for name, file in files.items()):
            return None
        features = {k: from_json(Feature, entry) for k, entry in values["features"].items()}
        entry = from_json(EpisodeEntry, values["entry"])
        return EpisodePart(folder, entry, features, files, fingerprint)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def join_parts(
    root: Path,
    parts: Iterable[EpisodePart],
    split_of: Mapping[str, str],
    *,
    robot: str,
    rate_hz: float,
    build: Mapping[str, Any],
    left_out: Mapping[str, str],
) -> Index:
    """Make a data set of parts, in the order of their names.

    Args:
        root: the data set's working folder; the parts lie on the same disk.
        parts: at least one; all have the same features.
        split_of: episode -> train or validation.
        robot: which one.
        rate_hz: steps a second.
        build: how it was made.
        left_out: episodes that are not in it, and why.

    Raises:
        DatasetError: the features differ.
        OSError: it cannot be written.
    """
    parts = sorted(parts, key=lambda part: part.entry.name)
    features, entries, first = parts[0].features, [], 0
    for part in parts:
        if part.features != features:
            raise DatasetError(
                f"its features differ from those of {parts[0].entry.name}",
                where=part.entry.name,
                remedy="build data sets of equal cameras and robots",
            )
        entries.append(replace(part.entry, first=first, split=split_of[part.entry.name]))
        first += part.entry.steps
    files: dict[str, FileEntry] = {}
    for key, feature in features.items():
        if feature.encoding == "column":
            _concatenate(root / column_path(key), parts, f"{key}.npy")
            files[column_path(key)] = file_entry(root / column_path(key))
            continue
        _concatenate(root / span_path(key), parts, f"{key}.span.npy")
        files[span_path(key)] = file_entry(root / span_path(key))
        for part in parts:
            path = blob_path(part.entry.name, key)
            _link(part.folder / f"{key}.bin", root / path)
            files[path] = part.files[f"{key}.bin"]
    index = Index(
        robot=robot,
        rate_hz=rate_hz,
        features=features,
        episodes=tuple(entries),
        files=files,
        statistics=statistics_of(root, features, entries),
        build=dict(build),
        left_out=dict(left_out),
    )
    write_index(root, index)
    return index


def _concatenate(target: Path, parts: Sequence[EpisodePart], name: str) -> None:
    """Columns of the parts, one after another, with one of them in memory at a time."""
    target.parent.mkdir(exist_ok=True)
    columns = (np.load(part.folder / name, mmap_mode="r", allow_pickle=False) for part in parts)
    first = np.load(parts[0].folder / name, mmap_mode="r", allow_pickle=False)
    steps = sum(part.entry.steps for part in parts)
    header = {"descr": first.dtype.str, "fortran_order": False, "shape": (steps, *first.shape[1:])}
    with target.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for column in columns:
            file.write(np.ascontiguousarray(column).data)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        # Some disks know no links.
        shutil.copyfile(source, target)


def file_entry(path: Path) -> FileEntry:
    """Size and checksum of a file."""
    return FileEntry(path.stat().st_size, sha256(path))


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn what the operating system says of a disk into an error with a remedy.

    Raises:
        DiskFullError: nothing more fits.
        DatasetError: it cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                "the disk is full; finished episodes are kept for the next attempt",
                where=str(where),
                remedy="free space and start the same build again",
            ) from None
        raise DatasetError(
            f"cannot be written ({error.strerror})", where=str(where), remedy="check permissions"
        ) from None
