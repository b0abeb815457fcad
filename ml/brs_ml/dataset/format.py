"""The native format: plain .npy columns of all steps, blobs an episode, one JSON index.

    DATASET/
      dataset.json                       what this module reads and writes; it names every file
      columns/<feature>.npy              (steps, ...) little-endian, all episodes one after another
      columns/<feature>.span.npy         (steps, 2) uint64: offset and length in the episode's blob
      blobs/<episode>/<feature>.bin      one cloud (brs_ml.dataset.clouds) or JPEG after another

Columns are mapped into memory and blobs read where they are needed, so a data set may be larger
than memory. Nothing is executed on loading, and no name may lead out of the folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from brs_ml.dataset.errors import DatasetError
from brs_ml.episode.metadata import write_atomically

FORMAT = "brs-dataset"
VERSION = 1
INDEX = "dataset.json"
ENCODINGS = ("column", "cloud", "jpeg")
SPLITS = ("train", "validation")
LARGEST_STEP = 1 << 27  # numbers, so that no index can ask for more memory than there is
LARGEST_INDEX = 1 << 29  # [bytes]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
_PLAIN: dict[str, tuple[type, ...]] = {"int": (int,), "str": (str,), "float": (int, float)}
T = TypeVar("T")


@dataclass(frozen=True)
class Feature:
    """What one step holds under one name."""

    dtype: str  # of what the reader returns, numpy's name with byte order, e.g. <f4
    shape: tuple[int, ...]  # of one step
    encoding: str = "column"  # column, or in a blob: cloud, jpeg
    names: tuple[str, ...] = ()  # of the numbers along the last axis
    units: tuple[str, ...] = ()  # one a number
    lower: tuple[float, ...] = ()  # limits one a number: of the joints, or the box of a cloud
    upper: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding '{self.encoding}' is none of {', '.join(ENCODINGS)}")
        if self.dtype.startswith((">", "|O")) or "O" in self.dtype:
            raise ValueError(f"dtype '{self.dtype}' is neither little-endian nor plain numbers")
        if min(self.shape, default=0) < 0 or math.prod(self.shape) > LARGEST_STEP:
            raise ValueError(f"a step cannot hold {self.shape}")


@dataclass(frozen=True)
class EpisodeEntry:
    """One episode: where its steps are and what was done in it."""

    name: str
    first: int  # number of its first step
    steps: int
    split: str  # train or validation
    task: str = ""
    instruction: str = ""
    operator: str = ""
    success: bool | None = None
    robot: str = ""
    seed: int = 0
    invalid_steps: int = 0  # steps within it that no window touches
    torn: bool = False  # its bag broke off or is damaged; what is whole is here
    source: Mapping[str, Any] = field(default_factory=dict)  # what it was built from

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.split not in SPLITS:
            raise ValueError(f"split '{self.split}' is none of {', '.join(SPLITS)}")
        if self.first < 0 or self.steps < 1:
            raise ValueError(f"{self.name}: no such steps: {self.steps} from {self.first} on")


@dataclass(frozen=True)
class FileEntry:
    """One file of the data set."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """dataset.json."""

    robot: str
    rate_hz: float
    features: Mapping[str, Feature]
    episodes: tuple[EpisodeEntry, ...]
    files: Mapping[str, FileEntry]  # path within the data set -> size and checksum
    # feature -> statistic (mean, std, min, max, q01 ..) -> one a number, of the training split
    statistics: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    # how it was made: rules of alignment, of the split, versions, calibration
    build: Mapping[str, Any] = field(default_factory=dict)
    # episodes that are not in it: name -> why
    left_out: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION

    @property
    def steps(self) -> int:
        """Steps of all episodes."""
        return sum(episode.steps for episode in self.episodes)

    def __post_init__(self) -> None:
        first = 0
        for episode in self.episodes:
            if episode.first != first:
                raise ValueError(f"{episode.name} begins at {episode.first}, not at {first}")
            first += episode.steps
        if len({episode.name for episode in self.episodes}) != len(self.episodes):
            raise ValueError("an episode occurs twice")
        for name in self.features:
            check_name(name)
        for path in self.files:
            check_path(path)


def check_name(name: str) -> str:
    """The name, if it can be one of a file and nothing more.

    Raises:
        ValueError: it has separators, or is empty, hidden or too long.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"'{name}' is no name (letters, digits and _.+- only)")
    return name


def check_path(path: str) -> str:
    """A path of several names; raises ValueError if one of them is none."""
    for part in path.split("/"):
        check_name(part)
    return path


def column_path(feature: str) -> str:
    """File of a feature that is a column."""
    return f"columns/{feature}.npy"


def span_path(feature: str) -> str:
    """File of the places of a feature's steps in the blobs."""
    return f"columns/{feature}.span.npy"


def blob_path(episode: str, feature: str) -> str:
    """File of an episode's part of a feature."""
    return f"blobs/{episode}/{feature}.bin"


def inside(root: Path, path: str) -> Path:
    """The file at `path` in the data set.

    Raises:
        DatasetError: it leads out of the data set, by its name or by a link.
    """
    try:
        file = root / check_path(path)
    except ValueError as error:
        raise DatasetError(str(error), where=str(root), remedy="do not trust this data") from None
    if not file.resolve().is_relative_to(root.resolve()):
        raise DatasetError(
            f"leads out of the data set, to {file.resolve()}",
            where=str(file),
            remedy="do not trust this data",
        )
    return file


def sha256(path: Path) -> str:
    """Checksum of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_index(root: Path, index: Index) -> None:
    """Write dataset.json atomically."""
    text = json.dumps(asdict(index), indent=1, allow_nan=False)
    write_atomically(root / INDEX, text + "\n")


def read_index(root: Path) -> Index:
    """dataset.json, checked.

    Raises:
        DatasetError: there is none, or it is damaged, of another version, or hostile.
    """
    path = root / INDEX
    try:
        if path.stat().st_size > LARGEST_INDEX:
            raise ValueError(f"larger than {LARGEST_INDEX} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"is no data set ({error.strerror})",
            where=str(path),
            remedy="give the folder that `brs dataset build` made",
        ) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DatasetError(f"is no {FORMAT}", where=str(path), remedy="convert it first")
    if values.get("version") != VERSION:
        raise DatasetError(
            f"has version {values.get('version')}, this program reads {VERSION}",
            where=str(path),
            remedy="build it again from its episodes",
        )
    try:
        values["features"] = {k: from_json(Feature, v) for k, v in values["features"].items()}
        values["episodes"] = tuple(from_json(EpisodeEntry, v) for v in values["episodes"])
        values["files"] = {k: from_json(FileEntry, v) for k, v in values["files"].items()}
        values["statistics"] = {
            key: {name: tuple(numbers) for name, numbers in each.items()}
            for key, each in values["statistics"].items()
        }
        return from_json(Index, values)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from None


def from_json(cls: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass of this module from JSON: lists become tuples.

    Raises:
        TypeError: an unknown key, or a value of another type.
        ValueError: a value is impossible.
    """
    kwargs = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    for entry in dataclasses.fields(cls):  # type: ignore[arg-type]
        value = kwargs.get(entry.name)
        wanted = _PLAIN.get(str(entry.type))
        if wanted and entry.name in kwargs and not isinstance(value, wanted):
            raise TypeError(f"'{entry.name}' is {value!r}")
    return cls(**kwargs)


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"is damaged ({error})", where=str(path), remedy="copy or build the data set again"
    )
