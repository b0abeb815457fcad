"""Writes data sets as BRS's HDF5, one step's pictures in memory at a time."""

from __future__ import annotations

import datetime
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.convert.hdf5_files import SUFFIXES, h5py
from brs_ml.convert.hdf5_layout import CLOUD, LINKS, OURS, PICTURES, VECTORS, BrsRobot
from brs_ml.convert.kept import Kept, Progress, codec_of, packed_of, points_in, present, steps_of
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import EpisodeEntry
from brs_ml.dataset.images import unpack_image
from brs_ml.dataset.reader import Dataset
from brs_ml.episode.errors import DiskFullError
from brs_ml.episode.folder import free_bytes

_POINT_BYTES = 16  # position, colour and mask of a point


def export_hdf5(
    dataset: Dataset,
    made: Path,
    robot: BrsRobot,
    *,
    merged: bool,
    progress: Progress | None = None,
) -> list[str]:
    """Write a data set as BRS's recorder or, merged, as BRS's training reads it.

    Args:
        dataset: what to write.
        made: the folder of one file an episode, or the one file; made here.
        robot: the one that was recorded.
        merged: one file with a group an episode.
        progress: told of each episode.

    Returns:
        What the files do not hold, or hold differently.

    Raises:
        DatasetError: the data set is of another robot, or is damaged.
        DiskFullError: there is less room than the files take.
        ValueError: nothing tells the poses of links.
    """
    features = dataset.index.features
    if features["proprioception"].names != robot.layout.names:
        raise DatasetError(
            f"its numbers are not those of {robot.layout.robot}",
            where=str(dataset.root),
            remedy=f"--robot {dataset.index.robot}",
        )
    _check_room(dataset, made.parent)
    with ExitStack() as stack:
        if merged:
            file = stack.enter_context(h5py().File(made, "w"))
            file.attrs["num_demos"] = len(dataset.episodes)
            file.attrs["merged_data_files"] = [entry.name for entry in dataset.episodes]
        else:
            made.mkdir()
        for number, entry in enumerate(dataset.episodes):
            if merged:
                _Demo(file.create_group(f"demo_{number}"), dataset, entry, robot).write()
            else:
                with h5py().File(made / f"{entry.name}{SUFFIXES[0]}", "w") as group:
                    _Demo(group, dataset, entry, robot).write()
            if progress is not None:
                progress(entry.name)
    notes = ["no depth, joint velocities or efforts: the data set has none"]
    if invalid := sum(entry.invalid_steps for entry in dataset.episodes):
        notes.append(f"{invalid} steps that are not valid repeat what was known before them")
    return notes


def _check_room(dataset: Dataset, folder: Path) -> None:
    """HDF5 does not survive a disk that is full at the end of a file, so look before."""
    needed = sum(file.bytes for file in dataset.index.files.values())
    for feature in dataset.index.features.values():
        if feature.encoding == "jpeg":
            needed += len(dataset) * math.prod(feature.shape)
        elif feature.encoding == "cloud":
            needed += len(dataset) * feature.shape[0] * _POINT_BYTES
    if needed > (free := free_bytes(folder)):
        raise DiskFullError(
            f"the files take {needed / 1e9:.1f} GB, {free / 1e9:.1f} are free",
            where=str(folder.parent),
            remedy="free space, or choose another disk",
        )


class _Demo:
    """One episode, in a file or group."""

    def __init__(self, group: Any, dataset: Dataset, entry: EpisodeEntry, robot: BrsRobot) -> None:
        self._group, self._dataset, self._entry, self._robot = group, dataset, entry, robot
        self._features = dataset.index.features

    def write(self) -> None:
        """Write it."""
        self._write_attributes()
        for vector, paths in VECTORS.items():
            for path, numbers in self._robot.to_layout(self._column(vector), paths).items():
                self._group[path] = numbers
        self._write_link_poses()
        for key, feature in self._features.items():
            if feature.encoding == "cloud":
                self._write_clouds(key)
            elif feature.encoding == "jpeg":
                self._write_pictures(key)
        self._write_ours()

    def _column(self, feature: str) -> np.ndarray:
        return np.asarray(self._dataset.column(feature)[steps_of(self._entry)])

    def _write_attributes(self) -> None:
        attributes = self._group.attrs
        attributes["horizon"] = self._entry.steps
        attributes["recording_freq"] = self._dataset.index.rate_hz
        if "stamp_ns" in self._features:
            begun_s = int(self._column("stamp_ns")[0]) * 1e-9
            begun = datetime.datetime.fromtimestamp(begun_s, datetime.timezone.utc)
            attributes["collected_time"] = begun.strftime("%Y-%m-%d-%H-%M-%S")

    def _write_link_poses(self) -> None:
        if self._robot.link_poses is None:
            raise ValueError("nothing tells the poses of links")
        vectors = self._robot.to_layout(self._column("proprioception"), VECTORS["proprioception"])
        parts = {
            part: vectors[VECTORS["proprioception"][part]]
            for part in ("torso", "left_arm", "right_arm")
        }
        poses = np.zeros((len(LINKS), self._entry.steps, 7), np.float32)
        for step in range(self._entry.steps):
            found = self._robot.link_poses({part: values[step] for part, values in parts.items()})
            for number, link in enumerate(LINKS):
                poses[number, step] = found[link]
        for link, values in zip(LINKS, poses, strict=True):
            self._group[f"obs/link_poses/{link}"] = values

    def _write_clouds(self, key: str) -> None:
        codec, packed = codec_of(self._features[key]), packed_of(self._dataset, key, self._entry)
        steps, most = len(packed), max(points_in(data) for data in packed)
        group = self._group.create_group(CLOUD)
        xyz = group.create_dataset("xyz", (steps, most, 3), "<f4")
        rgb = group.create_dataset("rgb", (steps, most, 3), "|u1")
        mask = group.create_dataset("padding_mask", (steps, most), bool)
        for step, data in enumerate(packed):
            points, colors = np.zeros((2, most, 3), np.float32)
            count = 0
            if data:
                found, shades = codec.unpack(data)
                count = found.shape[1]
                points[:count], colors[:count] = found.T, shades.T
            xyz[step], rgb[step], mask[step] = points, colors, np.arange(most) < count

    def _write_pictures(self, key: str) -> None:
        shape = self._features[key].shape
        camera, packed = key.removeprefix("image."), packed_of(self._dataset, key, self._entry)
        pictures = self._group.create_dataset(
            f"{PICTURES}/{camera}/img", (len(packed), *shape), "|u1"
        )
        for step, data in enumerate(packed):
            pictures[step] = unpack_image(data, shape) if data else 0
        ours = self._group.require_group(f"{OURS}/packed")
        ours[key] = np.frombuffer(b"".join(packed), np.uint8)
        ours[f"{key}.length"] = np.array([len(data) for data in packed], "<u8")

    def _write_ours(self) -> None:
        about = Kept.of(self._dataset.index, (self._entry,)).to_json()
        ours = self._group.require_group(OURS)
        ours["about"] = np.frombuffer(about, np.uint8)
        for key, feature in self._features.items():
            if feature.encoding == "column":
                ours[f"columns/{key}"] = self._column(key)
            else:
                ours[f"present/{key}"] = present(self._dataset, key, self._entry)
