"""Reads LeRobotDataset v3.0: LeRobot's own, or what we exported.

LeRobot knows neither stamps nor validity: stamps count from 0 at the set's rate, and all steps
are valid. Sets of ours have all that in `meta/brs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.convert.kept import Kept, codec_of
from brs_ml.convert.lerobot_files import arrow_type
from brs_ml.convert.lerobot_format import (
    DATA_PATH,
    KEPT,
    VIDEO_PATH,
    Info,
    LeRobotFeature,
    arrow,
    damaged,
    name_of,
    our_feature,
    our_name,
    read_info,
)
from brs_ml.convert.recovered import (
    STEP_FEATURES,
    Recovered,
    Source,
    check_picture,
    in_splits,
    packed_picture,
    step_columns,
)
from brs_ml.convert.video import read_frames
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import EpisodeEntry, Feature, inside
from brs_ml.dataset.images import pack_image

_MOST_GROUP_BYTES = 1 << 31
_BATCH_ROWS = 256


@dataclass(frozen=True)
class _Place:
    """Where an episode is."""

    number: int
    steps: int
    first: int
    tasks: tuple[str, ...]
    data: tuple[int, int]  # chunk and file
    videos: Mapping[str, tuple[int, int, float]]  # feature -> chunk, file, first frame's time [s]


def read_lerobot(root: Path, *, jpeg_quality: int, validation_share: float) -> Source:
    """A LeRobot set as episodes, which are read when they are asked for.

    Args:
        root: its folder.
        jpeg_quality: of pictures that are no JPEG yet.
        validation_share: of the episodes, where the set tells of no split.

    Raises:
        DatasetError: it is damaged, hostile, of another version, or has no state or action.
    """
    info = read_info(root)
    places = _places(root, info)
    kept = _kept(root, info, places)
    names, features, notes = _features(root, info)
    robot, build, left_out = info.robot, {"format": "LeRobot v3.0"}, {}
    if kept is not None:
        known = {key: f for key, f in kept.features.items() if key in names.values()}
        if any(
            known.get(key, feature).shape != feature.shape for key, feature in features.items()
        ):
            raise damaged(root / KEPT, "it does not fit info.json")
        features = {**known, **{k: f for k, f in features.items() if k not in known}}
        entries, robot = list(kept.episodes), kept.robot
        build, left_out = dict(kept.build), dict(kept.left_out)
        gone = sorted(kept.features.keys() - known.keys())
        notes = [f"not in it any more: {', '.join(gone)}"] if gone else []
    else:
        entries = _entries(root, places, info, validation_share)
    reader = _Reader(root, info, names, features, jpeg_quality, ours=kept is not None)
    return Source(
        robot,
        info.fps if kept is None else kept.rate_hz,
        features,
        reader.episodes(places, entries),
        build=build,
        left_out=left_out,
        notes=tuple(notes),
    )


def _kept(root: Path, info: Info, places: list[_Place]) -> Kept | None:
    file = inside(root, KEPT)
    if not file.exists():
        return None
    kept = Kept.from_json(file.read_bytes(), str(file))
    lengths = [entry.steps for entry in kept.episodes]
    if lengths != [place.steps for place in places] or kept.rate_hz != info.fps:
        raise DatasetError(
            "tells of other episodes than the data set has",
            where=str(file),
            remedy="remove meta/brs, if the set was changed with LeRobot",
        )
    return kept


def _entries(
    root: Path, places: list[_Place], info: Info, validation_share: float
) -> list[EpisodeEntry]:
    entries = [
        EpisodeEntry(
            f"episode_{place.number:06d}",
            0,
            place.steps,
            "train",
            task=place.tasks[0] if place.tasks else "",
            instruction="; ".join(place.tasks),
            robot=info.robot,
        )
        for place in places
    ]
    training = info.splits.get("train", "")
    if not info.splits.keys() - {"train"}:
        return in_splits(entries, validation_share)
    first, _, last = training.partition(":")
    if not (first.isdecimal() and last.isdecimal()):
        raise DatasetError(
            f"the split for training is '{training}'",
            where=str(info.splits),
            remedy="mend info.json",
        )
    return [
        replace(entry, split="train" if int(first) <= number < int(last) else "validation")
        for number, entry in enumerate(entries)
    ]


def _features(root: Path, info: Info) -> tuple[dict[str, str], dict[str, Feature], list[str]]:
    """LeRobot's names and ours, our features, and what is left out."""
    names: dict[str, str] = {}
    features, notes = {}, []
    for name, feature in info.features.items():
        key = our_name(name, feature)
        try:
            ours = our_feature(feature)
        except (TypeError, ValueError):
            told = f"{feature.dtype} {feature.shape}"
            notes.append(f"{name} is left out: {told} is neither numbers nor colour pictures")
            continue
        if key in features:
            raise damaged(root, f"two features are called {key}")
        names[name], features[key] = key, ours
    for key in ("proprioception", "action"):
        if key not in features or len(features[key].shape) != 1:
            raise DatasetError(
                f"has no {name_of(key)} of numbers",
                where=str(root),
                remedy="convert sets that have states and actions",
            )
    if added := STEP_FEATURES.keys() - features.keys():
        notes.append(f"LeRobot does not tell {', '.join(sorted(added))}: stamps count from 0")
    return names, {**features, **{key: STEP_FEATURES[key] for key in sorted(added)}}, notes


def _places(root: Path, info: Info) -> list[_Place]:
    """Rows of the episodes' tables, in the order of their numbers."""
    folder = inside(root, "meta/episodes")
    videos = [name for name, feature in info.features.items() if feature.dtype == "video"]
    columns = {"episode_index", "length", "tasks", "dataset_from_index"}
    columns |= {f"data/{kind}_index" for kind in ("chunk", "file")}
    parts = ("chunk_index", "file_index", "from_timestamp")
    columns |= {f"videos/{name}/{part}" for name in videos for part in parts}
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("chunk-*/file-*.parquet")):
        for table in _tables(root, path, sorted(columns)):
            rows += table.to_pylist()
    rows.sort(key=lambda row: row["episode_index"])
    try:
        places = [
            _Place(
                int(row["episode_index"]),
                int(row["length"]),
                int(row["dataset_from_index"]),
                tuple(str(task) for task in row["tasks"]),
                (int(row["data/chunk_index"]), int(row["data/file_index"])),
                {
                    name: (
                        int(row[f"videos/{name}/chunk_index"]),
                        int(row[f"videos/{name}/file_index"]),
                        float(row[f"videos/{name}/from_timestamp"]),
                    )
                    for name in videos
                },
            )
            for row in rows
        ]
    except (TypeError, ValueError) as error:
        raise damaged(folder, error) from None
    first = 0
    for number, place in enumerate(places):
        if (place.number, place.first) != (number, first) or place.steps < 1:
            raise damaged(
                folder, f"episode {place.number} has {place.steps} from {place.first} on"
            )
        first += place.steps
    if (len(places), first) != (info.episodes, info.frames):
        raise damaged(folder, f"{len(places)} episodes of {info.episodes}")
    return places


def _tables(root: Path, path: Path, columns: list[str]) -> Iterator[Any]:
    """Some columns of a Parquet file, a few rows at a time.

    Raises:
        DatasetError: it is none, leads elsewhere, lacks a column or unpacks to too much.
    """
    file, pa = inside(root, path.relative_to(root).as_posix()), arrow()
    try:
        with pa.parquet.ParquetFile(file) as parquet:
            groups = (parquet.metadata.row_group(i) for i in range(parquet.num_row_groups))
            if any(group.total_byte_size > _MOST_GROUP_BYTES for group in groups):
                raise damaged(file, "a group of rows is larger than memory should hold")
            if missing := sorted(set(columns) - set(parquet.schema_arrow.names)):
                raise damaged(file, f"it has no column {missing[0]}")
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=columns):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise damaged(file, error) from None


class _Reader:
    """Reads episodes in the order of their numbers, each file once."""

    def __init__(
        self,
        root: Path,
        info: Info,
        names: Mapping[str, str],
        features: Mapping[str, Feature],
        jpeg_quality: int,
        *,
        ours: bool,
    ) -> None:
        self._root, self._info, self._names = root, info, names
        self._features, self._quality, self._ours = features, jpeg_quality, ours
        self._tabled = {
            n: f for n, f in info.features.items() if n in names and f.dtype != "video"
        }

    def episodes(self, places: list[_Place], entries: list[EpisodeEntry]) -> Iterator[Recovered]:
        """All of them."""
        rows = self._rows(places)
        for place, entry in zip(places, entries, strict=True):
            table = next(rows)
            yield Recovered(entry, self._columns(table, place), self._blobs(table, place))

    def _rows(self, places: list[_Place]) -> Iterator[Any]:
        """The rows of each episode."""
        pa, waiting, columns = arrow(), None, [*self._tabled, "episode_index"]
        source = self._batches(places, columns)
        for place in places:
            while waiting is None or len(waiting) < place.steps:
                more = next(source, None)
                if more is None:
                    raise damaged(self._root / "data", f"it ends within episode {place.number}")
                waiting = more if waiting is None else pa.concat_tables([waiting, more])
            table, waiting = waiting.slice(0, place.steps), waiting.slice(place.steps)
            numbers = _numbers(table, "episode_index", LeRobotFeature("int64", (1,)), self._root)
            if (numbers != place.number).any():
                raise damaged(self._root / "data", f"rows of others within {place.number}")
            yield table

    def _batches(self, places: list[_Place], columns: list[str]) -> Iterator[Any]:
        for chunk, file in dict.fromkeys(place.data for place in places):
            path = self._root / DATA_PATH.format(chunk_index=chunk, file_index=file)
            yield from _tables(self._root, path, columns)

    def _columns(self, table: Any, place: _Place) -> dict[str, np.ndarray]:
        columns = step_columns(place.steps, self._info.fps)
        for name, feature in self._tabled.items():
            if feature.picture or self._features[self._names[name]].encoding == "cloud":
                continue
            key = self._names[name]
            values = _numbers(table, name, feature, self._root)
            values = values.reshape(place.steps, *self._features[key].shape)
            unknown = self._kept(f"unknown.{key}", place, values.shape[1:])
            columns[key] = values if unknown is None else np.where(unknown, np.nan, values)
        return columns

    def _kept(self, name: str, place: _Place, shape: tuple[int, ...]) -> np.ndarray | None:
        """An episode's part of an array that was kept, if there is one."""
        file = inside(self._root, f"meta/brs/{name}.npy")
        if not self._ours or not file.exists():
            return None
        try:
            values = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise damaged(file, error) from None
        if values.shape != (self._info.frames, *shape) or values.dtype.kind not in "bi":
            raise damaged(file, f"it is {values.shape} {values.dtype}")
        return np.asarray(values[place.first : place.first + place.steps])

    def _blobs(self, table: Any, place: _Place) -> Iterator[tuple[str, int, bytes]]:
        for name, key in self._names.items():
            feature = self._features[key]
            if feature.encoding == "column":
                continue
            missing = self._kept(f"missing.{key}", place, ())
            absent = np.zeros(place.steps, bool) if missing is None else missing
            found = self._clouds if feature.encoding == "cloud" else self._pictures
            for step, data in enumerate(found(name, key, table, place)):
                if not absent[step]:
                    yield key, step, data

    def _clouds(self, name: str, key: str, table: Any, place: _Place) -> Iterator[bytes]:
        feature = self._features[key]
        codec, counts = codec_of(feature), self._kept(f"points.{key}", place, ())
        clouds = _numbers(table, name, self._tabled[name], self._root)
        for step, cloud in enumerate(clouds.reshape(place.steps, *feature.shape)):
            real = cloud if counts is None else cloud[: int(counts[step])]
            yield codec.pack(real[:, :3], np.rint(real[:, 3:] * 255).astype(np.uint8))

    def _pictures(self, name: str, key: str, table: Any, place: _Place) -> Iterator[bytes]:
        shape, where = self._features[key].shape, f"{self._root}, {name}"
        if name in self._tabled:
            for row in table[name].to_pylist():
                if not row or not row.get("bytes"):
                    raise damaged(self._root / "data", f"{name} has no picture in it")
                yield packed_picture(row["bytes"], shape, self._quality, where)
            return
        chunk, file, start_s = place.videos[name]
        path = VIDEO_PATH.format(video_key=name, chunk_index=chunk, file_index=file)
        frames = read_frames(inside(self._root, path), start_s, place.steps, self._info.fps)
        for rgb in frames:
            check_picture(rgb, shape, where)
            yield pack_image(rgb, self._quality)


def _numbers(table: Any, name: str, feature: LeRobotFeature, root: Path) -> np.ndarray:
    """(rows, ...) of a column; raises DatasetError if it is not what info.json says."""
    column, kind = table[name].combine_chunks(), arrow_type(feature)
    pa = arrow()
    while pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type):
        if column.null_count:
            break
        column = column.flatten()
    while hasattr(kind, "value_type"):
        kind = kind.value_type
    size = int(np.prod(feature.shape)) * len(table)
    if column.type != kind or column.null_count or len(column) != size:
        raise damaged(
            root / "data",
            f"{name} holds {len(column)} of {table[name].type}, info.json says {feature.dtype} "
            f"{feature.shape}",
        )
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(len(table), *feature.shape)
