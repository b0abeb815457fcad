"""Message definitions with all they depend on, as rosbag2 stores them beside the messages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from brs_ml.episode.errors import EpisodeError

SEPARATOR = "=" * 80
PRIMITIVES = {"bool", "byte", "char", "float32", "float64", "string", "wstring"}
PRIMITIVES |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def share_folders(ament_prefix_path: str) -> tuple[Path, ...]:
    """The `share` folders of an AMENT_PREFIX_PATH, in its order."""
    return tuple(
        Path(prefix) / "share" for prefix in ament_prefix_path.split(os.pathsep) if prefix
    )


def field_types(text: str) -> Iterator[str]:
    """Non-primitive field types of a .msg file's text, without array bounds."""
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if len(words) < 2:
            continue
        name = words[0].split("[", 1)[0].split("<=", 1)[0]
        if name not in PRIMITIVES:
            yield name


class MessageDefinitions:
    """Finds `package/msg/Name` below share folders and joins each with its dependencies.

    Args:
        folders: `share` folders, searched in order.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._sources: dict[str, str] = {}

    def text(self, message_type: str) -> str:
        """The definition of `message_type` and, after separators, of all it is made of.

        Raises:
            EpisodeError: a .msg file is missing in every share folder.
        """
        package, _, name = _split(message_type)
        parts = [self._source(f"{package}/{name}")]
        seen, waiting = {f"{package}/{name}"}, list(self._needs(f"{package}/{name}"))
        while waiting:
            needed = waiting.pop(0)
            if needed in seen:
                continue
            seen.add(needed)
            parts.append(f"{SEPARATOR}\nMSG: {needed}\n{self._source(needed)}")
            waiting += self._needs(needed)
        return "\n".join(parts)

    def _needs(self, name: str) -> Iterator[str]:
        package = name.split("/")[0]
        for needed in field_types(self._source(name)):
            parts = needed.split("/")
            # Inside a package its own messages are named without it.
            yield f"{parts[0]}/{parts[-1]}" if len(parts) > 1 else f"{package}/{needed}"

    def _source(self, name: str) -> str:
        if name not in self._sources:
            package, message = name.split("/")
            for folder in self._folders:
                path = folder / package / "msg" / f"{message}.msg"
                if path.is_file():
                    self._sources[name] = path.read_text(encoding="utf-8").strip() + "\n"
                    break
            else:
                raise EpisodeError(
                    f"no definition of message {name}",
                    where=f"{package}/msg/{message}.msg",
                    remedy="source the workspace that holds this package",
                )
        return self._sources[name]


def _split(message_type: str) -> tuple[str, str, str]:
    parts = message_type.split("/")
    if len(parts) != 3 or not all(parts):
        raise EpisodeError(
            f"'{message_type}' is no message type", remedy="write it as package/msg/Name"
        )
    return parts[0], parts[1], parts[2]
