"""From any format that is known to any other; what is ours lies in the middle."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from brs_ml.convert.brs_hdf5 import hdf5_files, read_hdf5
from brs_ml.convert.brs_hdf5_export import export_hdf5
from brs_ml.convert.hdf5_files import SUFFIXES
from brs_ml.convert.hdf5_layout import RobotOf
from brs_ml.convert.hub import write_card
from brs_ml.convert.kept import Progress
from brs_ml.convert.lerobot import read_lerobot
from brs_ml.convert.lerobot_export import LeRobotOptions, export_lerobot
from brs_ml.convert.lerobot_format import INFO
from brs_ml.convert.recovered import Source, write_set
from brs_ml.convert.whole import whole
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import INDEX, inside
from brs_ml.dataset.reader import Dataset

BRS, HDF5, LEROBOT, HUB = "brs", "brs-hdf5", "lerobot", "hub"
TARGETS = (LEROBOT, HDF5, HUB, BRS)


@dataclass(frozen=True)
class ConvertOptions:
    """How data sets are converted."""

    lerobot: LeRobotOptions = field(default_factory=LeRobotOptions)
    jpeg_quality: int = 95  # of pictures that come from videos or arrays
    validation_share: float = 0.1  # of the episodes, where a set tells of no split
    licence: str = ""  # for the hub

    def __post_init__(self) -> None:
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError("'jpeg_quality' must lie within 1 and 100")
        if not 0.0 <= self.validation_share < 1.0:
            raise ValueError("'validation_share' must lie within 0 and 1")


def kind_of(source: Path) -> str:
    """brs, lerobot or brs-hdf5, by what lies there.

    Raises:
        DatasetError: nothing that is known, or more than one.
    """
    found = [
        kind
        for kind, there in (
            (BRS, (source / INDEX).is_file()),
            (LEROBOT, (source / INFO).is_file()),
            (HDF5, bool(hdf5_files(source))),
        )
        if there
    ]
    if len(found) != 1:
        raise DatasetError(
            f"holds {' and '.join(found)}" if found else "is no data set that is known",
            where=str(source),
            remedy=f"give a folder with {INDEX}, {INFO} or *{SUFFIXES[0]}, and only one of them",
        )
    return found[0]


def convert(
    source: Path,
    out: Path,
    target: str,
    robot_of: RobotOf,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Convert a data set.

    Args:
        source: folder or file; its kind is found by looking.
        out: folder or file; must not exist. Nothing is there until all of it is.
        target: one of TARGETS.
        robot_of: asked for the robot of BRS's files, by its name or "" where none is told.
        options: how; None for the defaults.
        progress: told of each episode, on the way through our format, too.

    Returns:
        What the result does not hold, or holds differently.

    Raises:
        DatasetError: the source is damaged, hostile or foreign, or the target exists.
        DiskFullError: nothing more fits.
        ValueError: no such target.
    """
    if target not in TARGETS:
        raise ValueError(f"'{target}' is none of {', '.join(TARGETS)}")
    options = options or ConvertOptions()
    kind = kind_of(source)
    if kind == target:
        raise DatasetError(f"is {kind} already", where=str(source), remedy="copy it")
    with whole(out) as made:
        if target == HUB and kind == LEROBOT:
            _check_links(source)
            shutil.copytree(source, made)
            write_card(made, options.licence, out.name)
            return []
        if target == BRS:
            return _imported(source, kind, made, robot_of, options, progress)
        with _ours(source, kind, made.parent, robot_of, options, progress) as (dataset, notes):
            return notes + _exported(dataset, out, made, target, robot_of, options, progress)


def _check_links(root: Path) -> None:
    """Raises DatasetError if a copy of a folder would take in what lies elsewhere."""
    for path in root.rglob("*"):
        inside(root, path.relative_to(root).as_posix())


def _imported(
    source: Path,
    kind: str,
    made: Path,
    robot_of: RobotOf,
    options: ConvertOptions,
    progress: Progress | None,
) -> list[str]:
    found: Source
    if kind == LEROBOT:
        found = read_lerobot(
            source,
            jpeg_quality=options.jpeg_quality,
            validation_share=options.validation_share,
        )
    else:
        found = read_hdf5(
            hdf5_files(source),
            robot_of,
            jpeg_quality=options.jpeg_quality,
            validation_share=options.validation_share,
        )
    write_set(found, made, progress)
    return list(found.notes)


@contextmanager
def _ours(
    source: Path,
    kind: str,
    beside: Path,
    robot_of: RobotOf,
    options: ConvertOptions,
    progress: Progress | None,
) -> Iterator[tuple[Dataset, list[str]]]:
    """The source as a data set of ours, which it is or which is made for a while."""
    if kind == BRS:
        yield Dataset(source), []
        return
    with TemporaryDirectory(dir=beside) as folder:
        notes = _imported(source, kind, Path(folder) / "set", robot_of, options, progress)
        yield Dataset(Path(folder) / "set"), notes


def _exported(
    dataset: Dataset,
    out: Path,
    made: Path,
    target: str,
    robot_of: RobotOf,
    options: ConvertOptions,
    progress: Progress | None,
) -> list[str]:
    if target == HDF5:
        robot = robot_of(dataset.index.robot)
        merged = out.suffix in SUFFIXES
        return export_hdf5(dataset, made, robot, merged=merged, progress=progress)
    notes = export_lerobot(dataset, made, options.lerobot, progress)
    if target == HUB:
        write_card(made, options.licence, out.name)
    return notes
