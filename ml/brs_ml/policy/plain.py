"""Dataclasses to plain values for JSON, and strictly back."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def from_plain(kind: type[T], value: Any, where: str = "") -> T:
    """A dataclass from what `dataclasses.asdict` and JSON made of it.

    What has a default may be missing: an older version did not know it and did what that says.

    Args:
        kind: the dataclass; of numbers, texts, tuples and other dataclasses.
        value: what JSON gave.
        where: path of keys, for messages.

    Raises:
        ValueError: a key is unknown or missing, or a value is of another type or impossible.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where or kind.__name__} is no object")
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    known = {field.name for field in fields}
    missing = {
        field.name
        for field in fields
        if field.default is field.default_factory is dataclasses.MISSING
    } - set(value)
    if wrong := missing | (set(value) - known):
        names = ", ".join(sorted(wrong))
        raise ValueError(f"{where or kind.__name__} has unknown or missing keys: {names}")
    return kind(**{k: _value(hints[k], v, f"{where}.{k}".lstrip(".")) for k, v in value.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else _value(inner, value, where)
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} is no list")
        kinds = arguments
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            kinds = (arguments[0],) * len(value)
        if len(kinds) != len(value):
            raise ValueError(f"{where} has {len(value)} values, not {len(kinds)}")
        return tuple(_value(k, v, where) for k, v in zip(kinds, value, strict=True))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"{where} is {value!r:.40}, not {hint.__name__}")
    return value
