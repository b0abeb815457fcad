"""HDF5 files of anybody, opened only if they hold nothing but plain arrays of their own.

An HDF5 file can name other files (external and soft links, external storage, virtual arrays),
declare arrays far larger than itself, and carry objects of other programs. None of that belongs
to a recorded episode.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.dataset.errors import DatasetError

SUFFIXES = (".hdf5", ".h5")
_PLAIN = "biuf"
_MOST_OBJECTS = 100_000
_MOST_STEPS = 10_000_000
_MOST_STEP_BYTES = 1 << 27
_MOST_ATTRIBUTE_BYTES = 1 << 20
# Deflate, the densest filter that HDF5 reads by itself, packs 1032 bytes into one at most.
_DENSEST = 1032


def h5py() -> Any:
    """The module. Raises DatasetError if it is not installed."""
    try:
        import h5py
    except ImportError:
        raise DatasetError(
            "HDF5 needs h5py, which is not installed", remedy="pip install brs[ml]"
        ) from None
    return h5py


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file whose whole content was checked.

    Raises:
        DatasetError: it is none, is damaged, or holds what does not belong there.
    """
    try:
        file = h5py().File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from None
    with file:
        try:
            _check(file, path)
        except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
            raise _damaged(path, error) from None
        yield file


def rows(array: Any, where: Path, part: slice | int = slice(None)) -> np.ndarray:
    """Part of an array. Raises DatasetError if the file is damaged there."""
    try:
        return np.asarray(array[part])
    except (OSError, RuntimeError) as error:
        raise _damaged(where, error) from None


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"cannot be read as HDF5 ({error})", where=str(path), remedy="copy or record it again"
    )


def _check(file: Any, path: Path) -> None:
    """Walk all links; each object is looked at once, so that rings end."""
    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        _check_attributes(group, path)
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py().HardLink):
                raise _refused(path, f"{group.name}/{name}", "is a link to elsewhere")
            item = group[name]
            place = h5py().h5o.get_info(item.id)
            if (key := (place.fileno, place.addr)) in seen:
                continue
            seen.add(key)
            if len(seen) > _MOST_OBJECTS:
                raise _refused(path, group.name, f"holds more than {_MOST_OBJECTS} objects")
            if isinstance(item, h5py().Group):
                waiting.append(item)
            elif isinstance(item, h5py().Dataset):
                _check_attributes(item, path)
                _check_array(item, path)
            else:
                raise _refused(path, item.name, "is neither a group nor an array")


def _check_attributes(item: Any, path: Path) -> None:
    for name in item.attrs:
        attribute = item.attrs.get_id(name)
        text = h5py().check_string_dtype(attribute.dtype) is not None
        if not text and attribute.dtype.kind not in _PLAIN:
            raise _refused(path, f"{item.name}, attribute {name}", "is neither numbers nor text")
        if attribute.get_storage_size() > _MOST_ATTRIBUTE_BYTES:
            raise _refused(path, f"{item.name}, attribute {name}", "is too large")


def _check_array(array: Any, path: Path) -> None:
    if array.dtype.kind not in _PLAIN:
        raise _refused(path, array.name, f"holds {array.dtype}, not plain numbers")
    if array.is_virtual or array.external:
        raise _refused(path, array.name, "has its content in another file")
    if array.shape is None:
        raise _refused(path, array.name, "has no content")
    steps = array.shape[0] if array.shape else 1
    # Python's integers, since a declared size may not fit into 64 bits.
    declared = array.dtype.itemsize
    for size in array.shape:
        declared *= int(size)
    held = array.id.get_storage_size()
    if steps > _MOST_STEPS or declared > max(steps, 1) * _MOST_STEP_BYTES:
        raise _refused(path, array.name, f"declares {' x '.join(map(str, array.shape))} numbers")
    if declared > held * (_DENSEST if array.chunks else 1):
        raise _refused(path, array.name, f"declares {declared} bytes and holds {held}")


def _refused(path: Path, name: str, what: str) -> DatasetError:
    return DatasetError(f"{name} {what}", where=str(path), remedy="do not trust this file")
