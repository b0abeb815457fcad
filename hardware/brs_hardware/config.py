"""Strict YAML to dataclasses: each unknown key or wrong type is an error naming its place."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import reprlib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from brs_hardware.errors import ConfigError

T = TypeVar("T")


def config_folder() -> Path:
    """The `config/` folder: $BRS_CONFIG, else that of the source tree or the installed package."""
    if override := os.environ.get("BRS_CONFIG"):
        return Path(override)
    here = Path(__file__).resolve().parents[2] / "config"
    if here.is_dir():
        return here
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        installed = Path(prefix) / "share" / "brs" / "config"
        if installed.is_dir():
            return installed
    raise ConfigError("the config folder is not found", remedy="set BRS_CONFIG to it")


def named_file(folder: str, name: str, what: str, pattern: str = "*.yaml") -> Path:
    """The YAML file that a name means.

    Args:
        folder: below `config/`, such as `cameras`.
        name: of a file there without its ending, or any path that ends in `.yaml`.
        what: it is a name of, for messages.
        pattern: of the files whose names count.

    Raises:
        ConfigError: unknown name; tells the nearest.
    """
    if name.endswith(".yaml"):
        return Path(name)
    place = config_folder() / folder
    known = [file.stem for file in place.glob(pattern)]
    if name not in known:
        raise ConfigError(
            f"unknown {what} '{name}'", where=str(place), remedy=did_you_mean(name, known)
        )
    return place / f"{name}.yaml"


def load_named(cls: type[T], folder: str, name: str, what: str) -> T:
    """A dataclass from the file that a name means.

    Args:
        cls: the dataclass.
        folder, name, what: see `named_file`.

    Raises:
        ConfigError: unknown name, and like `load`.
    """
    return load(cls, named_file(folder, name, what))


def load_yaml(path: str | Path) -> Any:
    """Parsed YAML of a file.

    Raises:
        ConfigError: the file is missing, cannot be read, is not YAML, or gives a key twice; names
            line and column.
    """
    path = Path(path)
    try:
        text = path.read_text()
        _check_doubled(yaml.compose(text, Loader=yaml.SafeLoader), str(path))
        return yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError(
            "no such file", where=str(path), remedy=f"look in {path.parent}"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="name a readable file"
        ) from None
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise ConfigError(
            f"malformed YAML: {problem}",
            where=_place(path, getattr(error, "problem_mark", None)),
            remedy="mend that line",
        ) from None
    except (ValueError, RecursionError) as error:  # no text, an impossible date, nested too deep
        raise ConfigError(
            f"malformed YAML: {error}", where=str(path), remedy="mend the file"
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


def float_fields(cls: Any) -> list[str]:
    """Names of a dataclass's fields that hold one number each, which need not be whole."""
    return [field.name for field in dataclasses.fields(cls) if field.type in (float, "float")]


def positive(values: object, *names: str) -> None:
    """Raises ValueError unless these fields, numbers or arrays of them, are above zero."""
    for name in names:
        if not np.all(np.asarray(getattr(values, name)) > 0.0):
            raise ValueError(f"'{name}' must be positive")


def _check_doubled(root: yaml.Node | None, path: str) -> None:
    """Of two equal keys YAML would keep the last one in silence."""
    left, known = [root], set()
    while left:
        node = left.pop()
        if id(node) in known or not isinstance(node, yaml.CollectionNode):
            continue
        known.add(id(node))  # an anchor may be met again, even within itself
        if isinstance(node, yaml.SequenceNode):
            left += node.value
            continue
        left += [value for _, value in node.value]
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in keys:
                raise ConfigError(
                    f"key '{key.value}' is given twice",
                    where=_place(path, key.start_mark),
                    remedy="keep one of them",
                )
            keys.add(key.value)


def _place(path: str | Path, mark: yaml.Mark | None) -> str:
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if hint is np.ndarray or origin is np.ndarray:
        return _numbers(value, where)
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
            _convert(arguments[0], key, where): _convert(arguments[1], item, f"{where}: {key}")
            for key, item in value.items()
        }
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not _is_finite(value):
            raise _wrong("a finite number", value, where)
        return float(value)
    if isinstance(hint, type) and (
        not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)
    ):
        raise _wrong(hint.__name__, value, where)
    return value


def _numbers(value: Any, where: str) -> np.ndarray:
    """Array of a list of finite numbers, or of lists of them that are equally long."""
    rows = value if isinstance(value, list) else [value]
    if not any(isinstance(row, list) for row in rows):
        rows = [value]
    good = all(isinstance(row, list) and all(map(_is_finite, row)) for row in rows)
    if not good or len({len(row) for row in rows}) > 1:
        raise _wrong("finite numbers", value, where)
    array = np.array(value, dtype=float)
    array.setflags(write=False)
    return array


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _wrong(expected: str, value: Any, where: str) -> ConfigError:
    short = reprlib.Repr()  # a list may hold itself
    short.maxlevel = 2
    got = short.repr(value)
    return ConfigError(f"expected {expected}, got {got}", where=where, remedy="correct it")
