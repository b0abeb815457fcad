"""Numbers of many messages at once: where they lie is found in one, and then read in all alike.

A robot's state comes hundreds of times a second, and every message of it has the same strings and
the same number of joints. So the places of its numbers are worked out from the definition and one
message, proven by decoding that one in full, and used for all messages of the same length and
the same counts. Others are decoded one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.messages import Decoder
from brs_ml.episode.reader import BagMessage

_HEAD = 4  # bytes of a CDR message that tell how it is written; alignment counts from behind them
_COUNT = np.dtype(np.uint32)
_NUMBER = np.dtype(np.float64)
_MOST_SIZES = 64
_SIZES = {"bool": 1, "byte": 1, "octet": 1, "char": 1, "int8": 1, "uint8": 1, "float32": 4}
_SIZES |= {"int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "float64": 8}


@dataclass(frozen=True)
class Places:
    """Where things lie in messages of one shape."""

    size: int  # bytes of a message
    fixed: np.ndarray  # (k,) places of the bytes that tell the shape: its head and all counts
    told: np.ndarray  # (k,) uint8, what they are
    numbers: np.ndarray  # (n * 8,) places of the bytes of the numbers that are wanted
    dtype: np.dtype[Any]  # of these numbers, with their byte order

    def fit(self, raw: np.ndarray) -> np.ndarray:
        """(m,) bool, which of (m, size) uint8 messages have this shape."""
        return np.asarray((raw[:, self.fixed] == self.told).all(axis=1))

    def read(self, raw: np.ndarray) -> np.ndarray:
        """(m, n) float64 of (m, size) uint8 messages."""
        numbers = np.ascontiguousarray(raw[:, self.numbers])
        return numbers.view(self.dtype).astype(np.float64)


class SampleReader:
    """Reads the wanted numbers of messages of one topic.

    Args:
        decode: of the bag.
        fields: float64 fields in the order wanted; for `a` stands `a.position`, if there is one.
        values: the same numbers of a decoded message; ValueError if it has others.
    """

    def __init__(
        self, decode: Decoder, fields: Sequence[str], values: Callable[[Any], np.ndarray]
    ) -> None:
        self._decode, self._fields, self._values = decode, tuple(fields), values
        self._places: dict[int, Places] = {}  # by size; names of drivers differ in length

    def __call__(self, messages: Sequence[BagMessage]) -> list[np.ndarray]:
        """(n,) float64 of each message.

        Raises:
            DatasetError: a message is damaged, has no definition, or other numbers.
        """
        found: dict[int, np.ndarray] = {}
        by_size: dict[int, list[int]] = {}
        for i, message in enumerate(messages):
            by_size.setdefault(len(message.data), []).append(i)
        for size, alike in by_size.items():
            if size not in self._places:
                # The first of a size tells where the numbers of the others are.
                found[alike[0]] = self._one(messages[alike[0]])
                del alike[0]
            if places := self._places.get(size):
                joined = b"".join(messages[i].data for i in alike)
                raw = np.frombuffer(joined, np.uint8).reshape(len(alike), size)
                fits = np.flatnonzero(places.fit(raw))
                rows = places.read(raw[fits])
                found |= {alike[at]: row for at, row in zip(fits, rows, strict=True)}
        return [found[i] if i in found else self._one(m) for i, m in enumerate(messages)]

    def _one(self, message: BagMessage) -> np.ndarray:
        """Decodes a message in full; its shape is the one expected of its size from now on."""
        decoded = self._decode(message)
        try:
            values = self._values(decoded)
        except ValueError as error:
            raise DatasetError(
                str(error), where=message.topic, remedy="name the robot that was recorded"
            ) from None
        places = places_of(self._decode.store_of(message), message, self._fields, values)
        if places is not None:
            if len(self._places) >= _MOST_SIZES:
                self._places.clear()
            self._places[places.size] = places
        return values


def places_of(
    store: Typestore, message: BagMessage, fields: Sequence[str], values: np.ndarray
) -> Places | None:
    """The places in messages like this one; None if they do not give the values known of it."""
    raw = np.frombuffer(message.data, np.uint8)
    walk = _Walk(store, message.data)
    try:
        walk.message(message.type, _HEAD, "")
        at = np.concatenate([walk.numbers_of(field) for field in fields])
        fixed = np.concatenate([np.arange(_HEAD), *walk.fixed])
        numbers = (at[:, None] + np.arange(_NUMBER.itemsize)).ravel()
        dtype = _NUMBER.newbyteorder(walk.order)
        places = Places(len(raw), fixed, raw[fixed], numbers, dtype)
        read = places.read(raw[None])[0]
    except (KeyError, ValueError, IndexError):
        # Fields of other kinds than numbers and strings: such messages are decoded one by one.
        return None
    return places if np.array_equal(read, values, equal_nan=True) else None


class _Walk:
    """Goes through one CDR message by the definition of its type."""

    def __init__(self, store: Typestore, data: bytes) -> None:
        self._store, self._data = store, data
        self.order: Literal["<", ">"] = "<" if data[1] & 1 else ">"
        self.fixed: list[np.ndarray] = []  # places of counts
        self._numbers: dict[str, np.ndarray] = {}  # float64 field -> places

    def numbers_of(self, field: str) -> np.ndarray:
        """Places of a field's numbers; raises KeyError if there is none."""
        whole = f"{field}.position"
        return self._numbers[whole if whole in self._numbers else field]

    def message(self, name: str, at: int, prefix: str) -> int:
        """Goes from a place to the one behind a message.

        Raises:
            KeyError, ValueError: it holds what is not walked through, or ends too early.
        """
        for field, (kind, details) in self._store.fielddefs[name][1]:
            at = self._field(kind, details, at, f"{prefix}{field}")
        return at

    def _field(self, kind: Nodetype, details: Any, at: int, path: str) -> int:
        if kind == Nodetype.NAME:
            return self.message(details, at, f"{path}.")
        if kind == Nodetype.BASE:
            return self._base(details[0], 1, at, path)
        (inner, element), count = details
        if inner != Nodetype.BASE:
            raise ValueError(f"{path} is a list of messages")
        if kind == Nodetype.SEQUENCE:
            count, at = self._count(at)
        return self._base(element[0], count, at, path)

    def _base(self, name: str, count: int, at: int, path: str) -> int:
        if name == "string":
            for _ in range(count):
                length, at = self._count(at)
                at += length
            return at
        size = _SIZES[name]
        if count:
            at = _aligned(at, size)
        if name == "float64":
            self._numbers[path] = at + size * np.arange(count)
        return at + count * size

    def _count(self, at: int) -> tuple[int, int]:
        """A count, and the place behind it."""
        at = _aligned(at, _COUNT.itemsize)
        count = np.frombuffer(self._data, _COUNT.newbyteorder(self.order), 1, at)
        if int(count[0]) > len(self._data):
            raise ValueError("more than there is")
        self.fixed.append(np.arange(at, at + _COUNT.itemsize))
        return int(count[0]), at + _COUNT.itemsize


def _aligned(at: int, size: int) -> int:
    return at + (_HEAD - at) % size
