"""Writes data sets as LeRobotDataset v3.0, with one step's pictures in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.convert.kept import (
    Kept,
    Progress,
    codec_of,
    held,
    packed_of,
    points_in,
    present,
    steps_of,
)
from brs_ml.convert.lerobot_files import TableFiles, VideoFiles, write_tasks
from brs_ml.convert.lerobot_format import (
    DATA_FILE_MB,
    DATA_PATH,
    EPISODES_PATH,
    FILES_A_CHUNK,
    FRAME_FEATURES,
    INFO,
    KEPT,
    STATS,
    VERSION,
    VIDEO_FILE_MB,
    VIDEO_PATH,
    LeRobotFeature,
    arrow,
    feature_of,
    name_of,
)
from brs_ml.convert.lerobot_statistics import PictureCounts, Statistics, number_statistics
from brs_ml.convert.video import CODECS
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import EpisodeEntry
from brs_ml.dataset.images import pack_image, unpack_image
from brs_ml.dataset.reader import Dataset

PICTURES = (*CODECS, "jpeg")
_BATCH_BYTES = 16e6


@dataclass(frozen=True)
class LeRobotOptions:
    """How a data set is written."""

    # h264, av1, lossless: videos. jpeg: the pictures' own files, unchanged, within the tables.
    pictures: str = "h264"
    crf: int | None = None  # quality of videos, 0 the best; None: the codec's own
    clouds: bool = False  # as arrays of numbers, which LeRobot's policies know nothing of

    def __post_init__(self) -> None:
        if self.pictures not in PICTURES:
            raise ValueError(f"'pictures' must be one of {', '.join(PICTURES)}")
        worst = CODECS[self.pictures].worst if self.pictures in CODECS else 0
        if self.crf is not None and not 0 <= self.crf <= worst:
            raise ValueError(f"'crf' of {self.pictures} must lie within 0 and {worst}")


def export_lerobot(
    dataset: Dataset, root: Path, options: LeRobotOptions, progress: Progress | None = None
) -> list[str]:
    """Write a data set to a folder that is made here.

    Args:
        dataset: what to write.
        root: the folder.
        options: how.
        progress: told of each episode.

    Returns:
        What it does not hold, or holds differently.

    Raises:
        DatasetError: a name is taken by LeRobot, or a package is missing.
    """
    export = _Export(dataset, root, options)
    export.write(progress)
    return export.notes()


class _Export:
    """One data set on its way."""

    def __init__(self, dataset: Dataset, root: Path, options: LeRobotOptions) -> None:
        self._dataset, self._root, self._options = dataset, root, options
        index = dataset.index
        self._rate_hz = index.rate_hz
        # LeRobot's splits are ranges of episodes.
        self._entries = sorted(index.episodes, key=lambda entry: entry.split != "train")
        self._columns = [k for k, f in index.features.items() if f.encoding == "column"]
        self._images = [k for k, f in index.features.items() if f.encoding == "jpeg"]
        clouds = [k for k, f in index.features.items() if f.encoding == "cloud"]
        self._clouds = clouds if options.clouds else []
        self._left_out = [key for key in clouds if key not in self._clouds]
        self._in_tables = options.pictures == "jpeg"
        self._features = self._lerobot_features()
        self._tasks = list(dict.fromkeys(_task(entry) for entry in self._entries))
        self._whole: dict[str, PictureCounts] = {key: PictureCounts() for key in self._images}

    def _lerobot_features(self) -> dict[str, LeRobotFeature]:
        features = {}
        for key in (*self._columns, *self._images, *self._clouds):
            ours = self._dataset.index.features[key]
            dtype = ("image" if self._in_tables else "video") if key in self._images else ""
            features[name_of(key)] = feature_of(ours, dtype)
        if taken := features.keys() & FRAME_FEATURES.keys():
            raise DatasetError(
                f"LeRobot has another feature called {min(taken)}",
                where=str(self._dataset.root),
                remedy="rename it",
            )
        frame = {name: LeRobotFeature(dtype, (1,)) for name, dtype in FRAME_FEATURES.items()}
        return {**features, **frame}

    def notes(self) -> list[str]:
        """What is left out, or different."""
        notes = []
        if self._left_out:
            notes.append("clouds are left out: LeRobot has no type for them (--clouds: as arrays)")
        if invalid := sum(entry.invalid_steps for entry in self._entries):
            notes.append(
                f"{invalid} steps that are not valid repeat what was known before them; 'valid' "
                "tells which, and LeRobot does not look at it"
            )
        return notes

    def write(self, progress: Progress | None) -> None:
        """Write all of it."""
        rows: list[dict[str, Any]] = []
        with ExitStack() as stack:
            tabled = {k: f for k, f in self._features.items() if f.dtype != "video"}
            tables = stack.enter_context(TableFiles(self._root, tabled))
            videos = {
                key: stack.enter_context(self._videos(key))
                for key in (() if self._in_tables else self._images)
            }
            first = 0
            for number, entry in enumerate(self._entries):
                rows.append(self._write_episode(number, first, entry, tables, videos))
                first += entry.steps
                if progress is not None:
                    progress(entry.name)
        write_tasks(self._root, self._tasks)
        self._write_episodes(rows)
        self._write_json(STATS, self._statistics())
        self._write_json(INFO, self._info(first))
        self._write_kept()

    def _videos(self, key: str) -> VideoFiles:
        return VideoFiles(
            self._root,
            name_of(key),
            self._dataset.index.features[key].shape,
            self._rate_hz,
            CODECS[self._options.pictures],
            self._options.crf,
        )

    def _write_episode(
        self,
        number: int,
        first: int,
        entry: EpisodeEntry,
        tables: TableFiles,
        videos: Mapping[str, VideoFiles],
    ) -> dict[str, Any]:
        """Append an episode; gives its row of the episodes' table."""
        chunk, file = tables.begin_episode()
        columns = {name_of(key): held(self._column(key, entry)) for key in self._columns}
        frames = np.arange(entry.steps)
        columns["timestamp"] = (frames / self._rate_hz).astype(np.float32)
        columns["frame_index"], columns["index"] = frames, first + frames
        columns["episode_index"] = np.full(entry.steps, number)
        columns["task_index"] = np.full(entry.steps, self._tasks.index(_task(entry)))
        statistics = {name: number_statistics(values) for name, values in columns.items()}
        row: dict[str, Any] = {
            "episode_index": number,
            "tasks": [_task(entry)],
            "length": entry.steps,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": first,
            "dataset_to_index": first + entry.steps,
        }
        for key in self._images:
            counts = self._write_pictures(key, entry, videos.get(key), row)
            statistics[name_of(key)] = counts.statistics()
            self._whole[key].merge(counts)
        self._write_rows(entry, columns, tables)
        for name, each in statistics.items():
            row |= {f"stats/{name}/{kind}": values for kind, values in each.items()}
        return {**row, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}

    def _write_pictures(
        self, key: str, entry: EpisodeEntry, video: VideoFiles | None, row: dict[str, Any]
    ) -> PictureCounts:
        """Count an episode's pictures, and append them to the camera's video if there is one."""
        counts, shape = PictureCounts(), self._dataset.index.features[key].shape
        place = video.begin_episode() if video is not None else {}
        for data in packed_of(self._dataset, key, entry):
            rgb = unpack_image(data, shape) if data else np.zeros(shape, np.uint8)
            counts.add(rgb)
            if video is not None:
                video.add(rgb)
        row |= {f"videos/{name_of(key)}/{name}": value for name, value in place.items()}
        return counts

    def _write_rows(
        self, entry: EpisodeEntry, columns: Mapping[str, np.ndarray], tables: TableFiles
    ) -> None:
        """Rows of an episode, a few MB at a time."""
        features = self._dataset.index.features
        packed = {
            key: packed_of(self._dataset, key, entry)
            for key in (*self._clouds, *(self._images if self._in_tables else ()))
        }
        codecs = {key: codec_of(features[key]) for key in self._clouds}
        wide = sum(4 * int(np.prod(features[key].shape)) for key in packed)
        batch = max(1, int(_BATCH_BYTES / wide)) if wide else entry.steps
        for start in range(0, entry.steps, batch):
            rows = slice(start, min(start + batch, entry.steps))
            part: dict[str, Any] = {name: values[rows] for name, values in columns.items()}
            for key, data in packed.items():
                shape = features[key].shape
                part[name_of(key)] = (
                    _clouds(codecs[key], data[rows], shape)
                    if key in codecs
                    else [each or pack_image(np.zeros(shape, np.uint8), 90) for each in data[rows]]
                )
            tables.add(part)

    def _column(self, key: str, entry: EpisodeEntry) -> np.ndarray:
        return np.asarray(self._dataset.column(key)[steps_of(entry)])

    def _write_episodes(self, rows: list[dict[str, Any]]) -> None:
        path = self._root / EPISODES_PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrow().parquet.write_table(arrow().Table.from_pylist(rows), path)

    def _statistics(self) -> dict[str, Statistics]:
        """Of the training episodes' valid steps; of pictures, of all."""
        training = np.concatenate(
            [np.arange(e.first, e.first + e.steps) for e in self._entries if e.split == "train"]
        )
        if "valid" in self._columns:
            training = training[self._dataset.column("valid")[training]]
        found = {
            name_of(key): number_statistics(held(self._dataset.column(key)[training]))
            for key in self._columns
        }
        return {**found, **{name_of(k): each.statistics() for k, each in self._whole.items()}}

    def _info(self, frames: int) -> dict[str, Any]:
        training = sum(entry.split == "train" for entry in self._entries)
        splits = {"train": f"0:{training}"}
        if training < len(self._entries):
            splits["val"] = f"{training}:{len(self._entries)}"
        features = {name: feature.to_json() for name, feature in self._features.items()}
        for name, feature in self._features.items():
            if feature.dtype == "video":
                features[name]["info"] = self._video_info(feature)
        rate = self._rate_hz
        return {
            "codebase_version": VERSION,
            "robot_type": self._dataset.index.robot,
            "total_episodes": len(self._entries),
            "total_frames": frames,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_A_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": int(rate) if rate.is_integer() else rate,
            "splits": splits,
            "data_path": DATA_PATH,
            "video_path": None if self._in_tables or not self._images else VIDEO_PATH,
            "features": features,
        }

    def _video_info(self, feature: LeRobotFeature) -> dict[str, Any]:
        codec = CODECS[self._options.pictures]
        return {
            "video.height": feature.shape[0],
            "video.width": feature.shape[1],
            "video.codec": "av1" if self._options.pictures == "av1" else "h264",
            "video.pix_fmt": codec.pixels,
            "video.is_depth_map": False,
            "video.fps": self._rate_hz,
            "video.channels": 3,
            "has_audio": False,
        }

    def _write_kept(self) -> None:
        """What LeRobot's format has no place for."""
        folder = (self._root / KEPT).parent
        folder.mkdir(parents=True)
        (self._root / KEPT).write_bytes(Kept.of(self._dataset.index, self._entries).to_json())
        for key, feature in self._dataset.index.features.items():
            if feature.encoding == "column":
                values = [self._column(key, entry) for entry in self._entries]
                if feature.dtype[1] == "f":
                    _save(folder / f"unknown.{key}.npy", np.isnan(np.concatenate(values)))
                continue
            if key in self._left_out:
                continue
            there = [present(self._dataset, key, entry) for entry in self._entries]
            _save(folder / f"missing.{key}.npy", ~np.concatenate(there))
            if key in self._clouds:
                # Clouds are filled up by repeating their points, or thinned.
                packed = [packed_of(self._dataset, key, entry) for entry in self._entries]
                counts = [points_in(data) for episode in packed for data in episode]
                np.save(folder / f"points.{key}.npy", np.array(counts, np.int64))

    def _write_json(self, path: str, values: Any) -> None:
        text = json.dumps(values, indent=4, ensure_ascii=False, allow_nan=False)
        (self._root / path).write_text(text + "\n", encoding="utf-8")


def _clouds(codec: CloudCodec, packed: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """(n, points, 6) float32; zeros where there is none."""
    out = np.zeros((len(packed), *shape), np.float32)
    for data, place in zip(packed, out, strict=True):
        if data:
            codec.points(data, shape[0], place)
    return out


def _save(path: Path, mask: np.ndarray) -> None:
    """A mask, if there is anything in it."""
    if mask.any():
        np.save(path, mask)


def _task(entry: EpisodeEntry) -> str:
    """What LeRobot calls the task: the words that tell the robot what to do."""
    return entry.instruction or entry.task or "no task told"
