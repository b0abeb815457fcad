"""Strict YAML to dataclasses: each unknown key or wrong type is an error naming its place."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from brs_hardware.errors import ConfigError

T = TypeVar("T")


def load_yaml(path: str | Path) -> Any:
    """Parsed YAML of a file.

    Raises:
        ConfigError: the file is missing or is not YAML; names line and column.
    """
    path = Path(path)
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(
            "no such file", where=str(path), remedy=f"look in {path.parent}"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise ConfigError(
            f"malformed YAML: {problem}", where=place, remedy="mend that line"
        ) from None


def load(cls: type[T], path: str | Path) -> T:
    """A dataclass from a YAML file. Raises ConfigError like `load_yaml` and `build`."""
    return build(cls, load_yaml(path), str(path))


def build(cls: type[T], value: Any, where: str) -> T:
    """A dataclass from nested mappings.

    Args:
        cls: the dataclass; nested dataclasses, tuples, dicts and numpy arrays are built too.
        value: what YAML gave.
        where: file name (and key path) for messages.

    Raises:
        ConfigError: unknown or missing key, or wrong type.
    """
    if not isinstance(value, dict):
        raise ConfigError(
            f"expected keys and values, got {type(value).__name__}",
            where=where,
            remedy=f"give the fields of {cls.__name__}",
        )
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in value:
        if key not in fields:
            raise ConfigError(
                f"unknown key '{key}'", where=where, remedy=did_you_mean(str(key), fields)
            )
    for name, field in fields.items():
        optional = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        if name not in value and not optional:
            raise ConfigError(f"key '{name}' is missing", where=where, remedy=f"add '{name}:'")
    kwargs = {
        name: _convert(hints[name], item, f"{where}: {name}") for name, item in value.items()
    }
    try:
        return cls(**kwargs)
    except ValueError as error:
        raise ConfigError(str(error), where=where, remedy="correct the values") from None


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """A hint that names the nearest known words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"one of {', '.join(known)}"


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if hint is np.ndarray or origin is np.ndarray:
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise _wrong("numbers", value, where) from None
        array.setflags(write=False)
        return array
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong("a list", value, where)
        kinds = (
            (arguments[0],) * len(value)
            if len(arguments) == 2 and arguments[1] is Ellipsis
            else arguments
        )
        if len(kinds) != len(value):
            raise _wrong(f"{len(kinds)} values", value, where)
        return tuple(
            _convert(kind, item, f"{where}[{i}]")
            for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong("keys and values", value, where)
        return {
            key: _convert(arguments[1], item, f"{where}: {key}") for key, item in value.items()
        }
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (
        not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)
    ):
        raise _wrong(hint.__name__, value, where)
    return value


def _wrong(expected: str, value: Any, where: str) -> ConfigError:
    return ConfigError(f"expected {expected}, got {value!r}", where=where, remedy="correct it")
