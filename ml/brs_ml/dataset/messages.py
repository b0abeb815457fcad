"""Fields of recorded messages, as far as a data set needs them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore

from brs_ml.dataset.errors import DatasetError
from brs_ml.episode.metadata import Topic
from brs_ml.episode.reader import BagMessage

_LONGEST_ARRAY = 1 << 20  # of those whose length is part of the definition
_UNREADABLE = (
    SerdeError,
    ValueError,
    IndexError,
    AssertionError,
    OverflowError,
    RecursionError,
    MemoryError,
    struct.error,
)
_STAMP = {0: struct.Struct(">iI"), 1: struct.Struct("<iI")}
_CLOUD_FIELDS = {"x": "f4", "y": "f4", "z": "f4", "rgb": "u4"}
_FOUR_BYTES = (5, 6, 7)  # INT32, UINT32, FLOAT32 of sensor_msgs/PointField
_COLORS = {"rgb8": slice(None), "bgr8": slice(None, None, -1)}


def stamp_ns(message: BagMessage) -> int:
    """Capture stamp [ns] of a message whose first field is a header; nothing else is decoded.

    Raises:
        DatasetError: the message is too short to have one.
    """
    try:
        seconds, nanoseconds = _STAMP[message.data[1] & 1].unpack_from(message.data, 4)
    except (struct.error, IndexError):
        raise _damaged(message, "it is cut off") from None
    return int(seconds * 1_000_000_000 + nanoseconds)


class Decoder:
    """Decodes messages by the definitions that stand in the bag.

    Args:
        topics: topics of the bag by name.
    """

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self._topics = topics

    def __call__(self, message: BagMessage) -> Any:
        """The message with its fields as attributes; arrays are numpy's.

        Raises:
            DatasetError: the bag has no definition of its type, or it is damaged.
        """
        with _readable(message):
            return self._store(message).deserialize_cdr(message.data, message.type)

    def store_of(self, message: BagMessage) -> Typestore:
        """The types of which such a message is made; raises like a call."""
        with _readable(message):
            return self._store(message)

    def _store(self, message: BagMessage) -> Typestore:
        return _store_of(message.type, self._topics[message.topic].schema_text)


@contextmanager
def _readable(message: BagMessage) -> Iterator[None]:
    try:
        yield
    except (TypesysError, KeyError) as error:
        raise _damaged(message, f"its type {message.type} is not defined ({error})") from None
    except _UNREADABLE as error:
        raise _damaged(message, f"{type(error).__name__}: {error}") from None


@lru_cache(maxsize=64)  # episodes of one robot have the same few, which take long to read
def _store_of(kind: str, definition: str) -> Typestore:
    types = get_types_from_msg(definition, kind)
    for name, (_, fields) in types.items():
        for field, (node, details) in fields:
            if node == Nodetype.ARRAY and int(details[1]) > _LONGEST_ARRAY:
                raise ValueError(f"{name} has {details[1]} of '{field}'")
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


def color_of(image: Any, where: str) -> np.ndarray:
    """(h, w, 3) uint8 RGB of a sensor_msgs/Image.

    Raises:
        DatasetError: another encoding, or less data than its size needs.
    """
    if image.encoding not in _COLORS:
        raise _encoding(image, where, "rgb8 or bgr8")
    pixels = _rows(image, np.dtype(np.uint8), 3, where)
    return pixels.reshape(image.height, image.width, 3)[:, :, _COLORS[image.encoding]]


def depth_of(image: Any, where: str) -> np.ndarray:
    """(h, w) float32 [m] of a sensor_msgs/Image in metres or millimetres; 0 or NaN is unknown.

    Raises like `color_of`.
    """
    order = ">" if image.is_bigendian else "<"
    if image.encoding == "32FC1":
        return _rows(image, np.dtype(f"{order}f4"), 1, where).astype(np.float32)
    if image.encoding == "16UC1":
        return _rows(image, np.dtype(f"{order}u2"), 1, where) * np.float32(1e-3)
    raise _encoding(image, where, "32FC1 or 16UC1")


def cloud_of(message: Any, frame: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) float32 points [m] and (n, 3) uint8 RGB of a sensor_msgs/PointCloud2.

    Points that are no numbers are left out.

    Raises:
        DatasetError: another frame, no fields x, y, z and rgb of 32 bits, or too few bytes.
    """
    if message.header.frame_id != frame:
        raise DatasetError(
            f"a cloud is in '{message.header.frame_id}', not in {frame}",
            where=where,
            remedy="make clouds of the pictures, --clouds fused",
        )
    order, step = ">" if message.is_bigendian else "<", int(message.point_step)
    offsets = {f.name: int(f.offset) for f in message.fields if f.datatype in _FOUR_BYTES}
    used = message.width * step
    if (
        not offsets.keys() >= _CLOUD_FIELDS.keys()
        or max(offsets[name] for name in _CLOUD_FIELDS) + 4 > step
        or message.row_step < used
        or len(message.data) < message.height * message.row_step
    ):
        raise DatasetError(
            "a cloud has no x, y, z and rgb, or is cut off",
            where=where,
            remedy="make clouds of the pictures, --clouds fused",
        )
    rows = message.data[: message.height * message.row_step].reshape(-1, message.row_step)
    kind = np.dtype(
        {
            "names": list(_CLOUD_FIELDS),
            "formats": [order + code for code in _CLOUD_FIELDS.values()],
            "offsets": [offsets[name] for name in _CLOUD_FIELDS],
            "itemsize": step,
        }
    )
    values = np.ascontiguousarray(rows[:, :used]).reshape(-1).view(kind)
    points = np.stack([values[axis] for axis in "xyz"], axis=1).astype(np.float32)
    colors = np.stack([values["rgb"] >> shift & 0xFF for shift in (16, 8, 0)], axis=1)
    finite = np.isfinite(points).all(axis=1)
    return points[finite], colors[finite].astype(np.uint8)


def _rows(image: Any, dtype: np.dtype[Any], channels: int, where: str) -> np.ndarray:
    """(h, w * channels), without what pads the rows."""
    used = image.width * channels * dtype.itemsize
    if image.step < used or len(image.data) < image.height * image.step:
        raise DatasetError("a picture is cut off", where=where, remedy="record it again")
    rows = image.data[: image.height * image.step].reshape(image.height, image.step)
    return np.ascontiguousarray(rows[:, :used]).view(dtype)


def _encoding(image: Any, where: str, known: str) -> DatasetError:
    return DatasetError(
        f"pictures are {image.encoding}", where=where, remedy=f"record them as {known}"
    )


def _damaged(message: BagMessage, why: str) -> DatasetError:
    return DatasetError(
        f"a message cannot be read ({why})",
        where=message.topic,
        remedy="record the episode again, or leave it out",
    )
