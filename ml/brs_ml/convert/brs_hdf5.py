"""Reads BRS's HDF5: what its recorder wrote, its merge script joined, or we exported.

BRS's files have no stamps of the steps, no task and no success: stamps count from 0 at the file's
rate. Files of ours have all that in their group `brs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.convert.hdf5_files import SUFFIXES, h5py, opened, rows
from brs_ml.convert.hdf5_layout import CLOUD, DEPTHS, OURS, PICTURES, VECTORS, BrsRobot, RobotOf
from brs_ml.convert.kept import Kept, codec_of
from brs_ml.convert.recovered import (
    STEP_FEATURES,
    Recovered,
    Source,
    check_picture,
    in_splits,
    step_columns,
)
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.features import robot_vector
from brs_ml.dataset.format import EpisodeEntry, Feature
from brs_ml.dataset.images import pack_image, unpack_image

_BOX_STEP_M = 0.01


def hdf5_files(path: Path) -> list[Path]:
    """The HDF5 files at a path: itself, or those in the folder."""
    if path.is_file():
        return [path] if path.suffix in SUFFIXES else []
    return sorted(file for file in path.glob("*") if file.suffix in SUFFIXES and file.is_file())


def read_hdf5(
    files: Sequence[Path], robot_of: RobotOf, *, jpeg_quality: int, validation_share: float
) -> Source:
    """BRS's files as a set of episodes, which are read when they are asked for.

    Args:
        files: at least one.
        robot_of: gives the one that they are of.
        jpeg_quality: of pictures that are not ours.
        validation_share: of the episodes, where the files tell of no split.

    Raises:
        DatasetError: a file is damaged, hostile, or not laid out like that, or they differ.
    """
    demos = [demo for path in files for demo in _demos(path)]
    kept = [demo.kept for demo in demos]
    robot = robot_of(kept[0].robot if kept[0] else "")
    if not any(kept):
        features, notes = _features(demos, robot), _notes(demos)
        entries = [
            EpisodeEntry(demo.name, 0, demo.steps, "train", robot=robot.layout.robot)
            for demo in demos
        ]
        entries = in_splits(entries, validation_share)
        about: dict[str, Any] = {"build": {"format": "BRS HDF5"}}
        rate_hz = demos[0].rate_hz
    elif all(kept):
        first = kept[0]
        assert first is not None
        features, notes = dict(first.features), ()
        entries = [found.episodes[0] for found in kept if found is not None]
        about = {"build": first.build, "left_out": first.left_out}
        rate_hz = first.rate_hz
        if first.features["proprioception"].names != robot.layout.names:
            raise _unfit(demos[0], f"is not of robot {robot.layout.robot}")
    else:
        raise _unfit(demos[0], "only some of the episodes were exported from data sets")
    for demo, found in zip(demos, kept, strict=True):
        if demo.rate_hz != rate_hz or (found is not None and found.features != features):
            raise _unfit(demo, "has another rate or other features than the first episode")
    episodes = (
        _recovered(demo, replace(entry, steps=demo.steps), features, robot, jpeg_quality)
        for demo, entry in zip(demos, entries, strict=True)
    )
    return Source(robot.layout.robot, rate_hz, features, episodes, notes=notes, **about)


@dataclass(frozen=True)
class _Demo:
    """Where one episode is, and what is told of it."""

    path: Path
    group: str
    name: str
    steps: int
    rate_hz: float
    shapes: dict[str, tuple[int, ...]]  # path in the group -> shape
    kept: Kept | None

    def array(self, group: Any, path: str, part: slice | int = slice(None)) -> np.ndarray:
        if path not in self.shapes:
            raise _unfit(self, f"has no {path}")
        return rows(group[path], self.path, part)


def _unfit(demo: _Demo, what: str) -> DatasetError:
    return DatasetError(what, where=f"{demo.path}{demo.group}", remedy="convert it apart")


def _demos(path: Path) -> Iterator[_Demo]:
    with opened(path) as file:
        groups = [file] if "obs" in file and "action" in file else list(file.values())
        if not groups:
            raise _foreign(path, "/", "is empty")
        for group in groups:
            if not isinstance(group, h5py().Group) or "obs" not in group or "action" not in group:
                raise _foreign(path, group.name, "has no 'obs' and 'action'")
            stem = path.stem if group.name == "/" else f"{path.stem}.{group.name[1:]}"
            yield _demo(path, group, re.sub(r"[^A-Za-z0-9_.+-]+", "_", stem).lstrip("_.+-"))


def _demo(path: Path, group: Any, name: str) -> _Demo:
    shapes: dict[str, tuple[int, ...]] = {}

    def note(place: str, item: Any) -> None:
        if isinstance(item, h5py().Dataset):
            shapes[place] = item.shape

    group.visititems(note)
    needed = [place for paths in VECTORS.values() for place in paths.values()]
    if missing := [place for place in needed if place not in shapes]:
        raise _foreign(path, group.name, f"has no {missing[0]} (BRS's post_process.py adds some)")
    counts = {
        shape[0] if shape else 0
        for place, shape in shapes.items()
        if place in needed or place.startswith((CLOUD, PICTURES, f"{OURS}/columns"))
    }
    if len(counts) != 1 or not min(counts):
        raise _foreign(path, group.name, f"has arrays of {sorted(counts)} steps")
    kept = None
    if f"{OURS}/about" in shapes:
        about = bytes(rows(group[f"{OURS}/about"], path).astype(np.uint8))
        kept = Kept.from_json(about, str(path))
        if len(kept.episodes) != 1:
            raise _foreign(path, group.name, f"tells of {len(kept.episodes)} episodes")
        name = kept.episodes[0].name
    try:
        rate_hz = float(group.attrs["recording_freq"])
    except (KeyError, TypeError, ValueError):
        raise _foreign(path, group.name, "does not tell its recording_freq") from None
    if not 0.0 < rate_hz < 1e6:
        raise _foreign(path, group.name, f"has a recording_freq of {rate_hz}")
    return _Demo(path, group.name, name or "episode", counts.pop(), rate_hz, shapes, kept)


def _foreign(path: Path, group: str, what: str) -> DatasetError:
    return DatasetError(
        f"{group} {what}", where=str(path), remedy="give files that BRS's recorder or brs wrote"
    )


def _notes(demos: Iterable[_Demo]) -> tuple[str, ...]:
    notes = ["BRS's files have no stamps, tasks or outcomes: stamps count from 0 at their rate"]
    if any(place.startswith(DEPTHS) for demo in demos for place in demo.shapes):
        notes.append("depth is left out: clouds are made of it already")
    return tuple(notes)


def _features(demos: Sequence[_Demo], robot: BrsRobot) -> dict[str, Feature]:
    """Of files that are not ours: cameras and points of the first, a box around all points."""
    layout, shapes = robot.layout, demos[0].shapes
    vector = robot_vector(layout)
    features = {"proprioception": vector, "action": vector, **STEP_FEATURES}
    for place, shape in sorted(shapes.items()):
        if place.startswith(f"{PICTURES}/") and place.endswith("/img"):
            camera = place.removeprefix(f"{PICTURES}/").removesuffix("/img")
            features[f"image.{camera}"] = Feature("|u1", shape[1:], "jpeg")
    if f"{CLOUD}/xyz" in shapes:
        lower, upper = _box(demos)
        features["cloud"] = Feature(
            "<f4",
            (max(demo.shapes.get(f"{CLOUD}/xyz", (0, 0))[1] for demo in demos), 6),
            "cloud",
            names=("x", "y", "z", "red", "green", "blue"),
            units=("m", "m", "m", "1", "1", "1"),
            lower=(*lower, 0.0, 0.0, 0.0),
            upper=(*upper, 1.0, 1.0, 1.0),
        )
    return features


def _box(demos: Sequence[_Demo]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Corners of a box around all points of all steps, to the next 10 mm outwards."""
    lower, upper = np.full(3, np.inf), np.full(3, -np.inf)
    for demo in demos:
        with opened(demo.path) as file:
            group = file[demo.group]
            for step in range(demo.steps):
                points, _ = _points(demo, group, step)
                lower = np.minimum(lower, points.min(axis=0, initial=np.inf))
                upper = np.maximum(upper, points.max(axis=0, initial=-np.inf))
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise _unfit(demos[0], "has no points, or points that are no numbers")
    low = np.floor(lower / _BOX_STEP_M) * _BOX_STEP_M
    high = (np.floor(upper / _BOX_STEP_M) + 1) * _BOX_STEP_M
    return tuple(float(value) for value in low), tuple(float(value) for value in high)


def _points(demo: _Demo, group: Any, step: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) points [m] and (n, 3) uint8 colours of a step, without padding."""
    xyz, rgb, mask = (
        demo.array(group, f"{CLOUD}/{name}", step) for name in ("xyz", "rgb", "padding_mask")
    )
    mask = mask.astype(bool)
    if not xyz.shape == rgb.shape == (*mask.shape, 3):
        raise _unfit(demo, f"has a cloud of {xyz.shape}, {rgb.shape} and {mask.shape}")
    return xyz[mask], rgb[mask].astype(np.uint8)


def _recovered(
    demo: _Demo, entry: EpisodeEntry, features: Any, robot: BrsRobot, jpeg_quality: int
) -> Recovered:
    with opened(demo.path) as file:
        columns = _columns(demo, file[demo.group], features, robot)
    return Recovered(entry, columns, _blobs(demo, features, jpeg_quality))


def _columns(demo: _Demo, group: Any, features: Any, robot: BrsRobot) -> dict[str, np.ndarray]:
    columns = step_columns(demo.steps, demo.rate_hz)
    if demo.kept is not None:
        columns = {
            key: demo.array(group, f"{OURS}/columns/{key}")
            for key, feature in features.items()
            if feature.encoding == "column"
        }
    for feature, paths in VECTORS.items():
        arrays = {}
        for part, path in paths.items():
            array = demo.array(group, path)
            place = robot.layout.slice_of(part)
            width = place.stop - place.start
            # BRS's arms are sometimes wider than their joints; a gripper is one number a step.
            arrays[path] = array[:, :width] if array.ndim == 2 else array
            wanted = (demo.steps,) if part.endswith("gripper") else (demo.steps, width)
            if arrays[path].shape != wanted:
                raise _unfit(demo, f"has {path} of {array.shape}")
        if demo.kept is None:
            columns[feature] = robot.from_layout(arrays, paths)
        else:
            columns[feature] = robot.still_said(columns[feature], arrays, paths)
    return columns


def _blobs(demo: _Demo, features: Any, jpeg_quality: int) -> Iterator[tuple[str, int, bytes]]:
    with ExitStack() as stack:
        group = stack.enter_context(opened(demo.path))[demo.group]
        for key, feature in features.items():
            if feature.encoding == "column":
                continue
            present = np.ones(demo.steps, bool)
            if demo.kept is not None:
                present = demo.array(group, f"{OURS}/present/{key}").astype(bool)
            if feature.encoding == "cloud":
                codec = codec_of(feature)
                for step in np.flatnonzero(present):
                    yield key, int(step), codec.pack(*_points(demo, group, int(step)))
            else:
                yield from _pictures(demo, group, key, feature, present, jpeg_quality)


def _pictures(
    demo: _Demo, group: Any, key: str, feature: Feature, present: np.ndarray, jpeg_quality: int
) -> Iterator[tuple[str, int, bytes]]:
    """JPEG of each picture: the one kept beside it, if it still shows the same."""
    place = f"{PICTURES}/{key.removeprefix('image.')}/img"
    if demo.shapes.get(place, (0,))[1:] != feature.shape:
        raise _unfit(demo, f"has {place} of {demo.shapes.get(place)}")
    kept, ends = b"", np.zeros(demo.steps, np.int64)
    if demo.kept is not None:
        kept = demo.array(group, f"{OURS}/packed/{key}").astype(np.uint8).tobytes()
        ends = np.cumsum(demo.array(group, f"{OURS}/packed/{key}.length").astype(np.int64))
    begins = np.concatenate([[0], ends[:-1]])
    for step in np.flatnonzero(present):
        rgb = demo.array(group, place, int(step)).astype(np.uint8)
        check_picture(rgb, feature.shape, str(demo.path))
        data = kept[begins[step] : ends[step]]
        if not data or not np.array_equal(unpack_image(data, feature.shape), rgb):
            data = pack_image(rgb, jpeg_quality)
        yield key, int(step), data
