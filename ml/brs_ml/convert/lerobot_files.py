"""Files of LeRobot's format that hold many episodes, and begin anew where one is large."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.convert.lerobot_format import (
    DATA_FILE_MB,
    DATA_PATH,
    FILES_A_CHUNK,
    TASKS,
    VIDEO_FILE_MB,
    VIDEO_PATH,
    LeRobotFeature,
    arrow,
)
from brs_ml.convert.video import Codec, VideoWriter


class TableFiles:
    """Parquet files of frames; use as a context.

    Args:
        root: the data set's folder.
        features: name -> feature, in the order of the columns.
        limit_mb: a file that is larger gets no more episodes.
    """

    def __init__(
        self, root: Path, features: Mapping[str, LeRobotFeature], limit_mb: float = DATA_FILE_MB
    ) -> None:
        self._root, self._limit = root, limit_mb * 1e6
        pa = arrow()
        fields = [pa.field(name, arrow_type(feature)) for name, feature in features.items()]
        about = {"info": {"features": {name: _hub_type(f) for name, f in features.items()}}}
        self._schema = pa.schema(fields, metadata={"huggingface": json.dumps(about)})
        self._number, self._path = -1, root
        self._writer: Any = None

    def __enter__(self) -> TableFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_episode(self) -> tuple[int, int]:
        """Chunk and file that the next rows go to."""
        if self._writer is None or self._path.stat().st_size > self._limit:
            self.close()
            self._number += 1
            chunk, file = divmod(self._number, FILES_A_CHUNK)
            self._path = self._root / DATA_PATH.format(chunk_index=chunk, file_index=file)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = arrow().parquet.ParquetWriter(self._path, self._schema)
        return divmod(self._number, FILES_A_CHUNK)

    def add(self, columns: Mapping[str, Any]) -> None:
        """Append rows: arrays of the features' shapes, or lists of a picture's bytes."""
        pa = arrow()
        arrays = [arrow_array(columns[field.name], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()


def arrow_type(feature: LeRobotFeature) -> Any:
    """The type of a feature's column."""
    pa = arrow()
    if feature.dtype == "image":
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    plain = pa.from_numpy_dtype(np.dtype(feature.dtype))
    if feature.shape == (1,):
        return plain
    if len(feature.shape) == 1:
        return pa.list_(plain, feature.shape[0])
    for _ in feature.shape:
        plain = pa.list_(plain)
    return plain


def arrow_array(values: Any, kind: Any) -> Any:
    """Rows of a column, of numbers (n, ...) or of pictures' bytes."""
    pa = arrow()
    if pa.types.is_struct(kind):
        return pa.array([{"bytes": data, "path": None} for data in values], kind)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    for size in reversed(values.shape[1:]) if pa.types.is_list(kind) else ():
        flat = pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, size, dtype=np.int32), flat)
    return flat


def _hub_type(feature: LeRobotFeature) -> dict[str, Any]:
    """A feature as Hugging Face's `datasets` names it."""
    if feature.dtype == "image":
        return {"_type": "Image"}
    plain = {"dtype": feature.dtype, "_type": "Value"}
    if feature.shape == (1,):
        return plain
    if len(feature.shape) == 1:
        return {"feature": plain, "length": feature.shape[0], "_type": "Sequence"}
    rank = len(feature.shape)
    return {"shape": list(feature.shape), "dtype": feature.dtype, "_type": f"Array{rank}D"}


class VideoFiles:
    """Videos of one camera; use as a context.

    Args:
        root: the data set's folder.
        key: the feature's name.
        shape: height, width [px], 3.
        rate_hz: frames a second.
        codec: how they are encoded.
        crf: quality, if not the codec's own.
        limit_mb: a file that is larger gets no more episodes.
    """

    def __init__(
        self,
        root: Path,
        key: str,
        shape: tuple[int, ...],
        rate_hz: float,
        codec: Codec,
        crf: int | None,
        limit_mb: float = VIDEO_FILE_MB,
    ) -> None:
        self._root, self._key, self._shape = root, key, shape
        self._rate_hz, self._codec, self._crf = rate_hz, codec, crf
        self._limit = limit_mb * 1e6
        self._number = -1
        self._writer: VideoWriter | None = None

    def __enter__(self) -> VideoFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def begin_episode(self) -> dict[str, Any]:
        """Where the next frames go, as the episodes' table tells it."""
        if self._writer is None or self._writer.bytes > self._limit:
            self._close()
            self._number += 1
            chunk, file = divmod(self._number, FILES_A_CHUNK)
            path = VIDEO_PATH.format(video_key=self._key, chunk_index=chunk, file_index=file)
            self._writer = VideoWriter(
                self._root / path, self._shape, self._rate_hz, self._codec, self._crf
            )
        chunk, file = divmod(self._number, FILES_A_CHUNK)
        self._place = {
            "chunk_index": chunk,
            "file_index": file,
            "from_timestamp": self._writer.frames / self._rate_hz,
        }
        return self._place

    def add(self, rgb: np.ndarray) -> None:
        """Append a frame of the episode that was begun."""
        assert self._writer is not None
        self._writer.add(rgb)
        self._place["to_timestamp"] = self._writer.frames / self._rate_hz

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()


def write_tasks(root: Path, tasks: Sequence[str]) -> None:
    """tasks.parquet, with the texts as the index that pandas makes of them."""
    pa = arrow()
    index = "__index_level_0__"
    columns: list[dict[str, Any]] = [
        {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object"},
        {
            "name": "task_index",
            "field_name": "task_index",
            "pandas_type": "int64",
            "numpy_type": "int64",
        },
    ]
    about = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [{**column, "metadata": None} for column in columns],
        "pandas_version": "2.2.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), index: list(tasks)})
    (root / TASKS).parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(
        table.replace_schema_metadata({"pandas": json.dumps(about)}), root / TASKS
    )
