"""A folder of episodes: what lies in it, told without reading a single bag."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.folder import TRASH, WORKING, confined, unowned
from brs_ml.episode.metadata import EpisodeInfo
from brs_ml.episode.scan import MAGIC

# Far above any episode's, far below what would fill the memory.
LARGEST_JSON_BYTES = 4 << 20


@dataclass(frozen=True)
class Entry:
    """One folder, as far as its small files tell."""

    name: str  # of the folder
    path: Path
    info: EpisodeInfo  # defaults for what is missing or wrong
    problem: str  # what is wrong with it; empty if nothing is
    playable: bool  # whether there is a bag to look at
    size_bytes: int  # of its bags
    topics: int  # that metadata.yaml lists

    @property
    def duration_s(self) -> float:
        """Length [s]; 0 if episode.json does not tell."""
        return max(0, self.info.stop_ns - self.info.start_ns) * 1e-9

    @property
    def driver_shares(self) -> dict[str, float]:
        """Share of the length, 0 to 1, that each source drove."""
        shares: dict[str, float] = defaultdict(float)
        for span in self.info.drivers if self.duration_s else ():
            shares[span["source"]] += (span["stop_ns"] - span["start_ns"]) * 1e-9 / self.duration_s
        return dict(shares)


class EpisodeStore:
    """Episodes in one folder, and those in its trash.

    Args:
        root: the folder.

    Raises:
        EpisodeError: there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise EpisodeError(
                "no such folder", where=str(root), remedy="give the folder that holds episodes"
            )
        self.root = root

    def entries(self) -> list[Entry]:
        """All folders but the trash, by name; those that are no episodes say why."""
        return [self._entry(path) for path in _folders(self.root) if path.name != TRASH]

    def trash(self) -> list[Entry]:
        """What was moved to the trash, by name."""
        return [self._entry(path) for path in _folders(self.root / TRASH)]

    def entry(self, name: str) -> Entry:
        """One episode by its folder's name.

        Raises:
            EpisodeError: there is none, or the name leads out of the store.
        """
        if name in ("", ".", "..", TRASH) or "/" in name or "\\" in name or "\0" in name:
            raise EpisodeError("is no name of an episode", where=name, remedy="choose one listed")
        path = confined(self.root, self.root / name)
        if not path.is_dir():
            raise EpisodeError("no such episode", where=name, remedy="list the episodes again")
        return self._entry(path)

    def _entry(self, path: Path) -> Entry:
        try:
            confined(self.root, path)
            bags = [confined(self.root, bag) for bag in sorted(path.glob("*.mcap"))]
            sizes = [bag.stat().st_size for bag in bags]
            info, problem = _info(path)
            problem = _bag_problem(path, bags) or problem
            topics = _topics(path)
        except EpisodeError as error:
            return Entry(path.name, path, EpisodeInfo(), error.what, False, 0, 0)
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            return Entry(path.name, path, EpisodeInfo(), reason, False, 0, 0)
        playable = any(size > len(MAGIC) for size in sizes) and path.suffix != WORKING
        return Entry(path.name, path, info, problem, playable, sum(sizes), topics)


def _folders(root: Path) -> Iterator[Path]:
    if root.is_dir():
        # Hidden ones hold copies in the making.
        yield from sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] != ".")


def _bag_problem(folder: Path, bags: list[Path]) -> str:
    if not bags:
        return "holds no .mcap file"
    if folder.suffix == WORKING:
        with unowned(folder) as free:
            return "torn: its recorder was killed" if free else "is being recorded"
    for bag in bags:
        with bag.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return f"{bag.name} is not an MCAP file"
            file.seek(max(0, bag.stat().st_size - len(MAGIC)))
            if file.read() != MAGIC or bag.stat().st_size < 2 * len(MAGIC):
                return "torn: its end is missing; shown as far as it goes"
    return ""


def _topics(folder: Path) -> int:
    """Topics in metadata.yaml, counted by lines: parsing it takes twenty milliseconds."""
    try:
        with (folder / "metadata.yaml").open("rb") as file:
            lines = file.read(LARGEST_JSON_BYTES).splitlines()
    except FileNotFoundError:
        return 0
    return sum(line.strip(b" -") == b"topic_metadata:" for line in lines)


def _info(folder: Path) -> tuple[EpisodeInfo, str]:
    """episode.json with its fields of the kinds they should be, and what is wrong with it."""
    default = EpisodeInfo(name=folder.name)
    path = folder / "episode.json"
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_JSON_BYTES + 1)
        if len(text) > LARGEST_JSON_BYTES:
            return default, "episode.json is too large"
        values = json.loads(text)
    except FileNotFoundError:
        return default, "no episode.json: not recorded by brs"
    except (ValueError, RecursionError):
        return default, "episode.json is damaged"
    if not isinstance(values, dict):
        return default, "episode.json is damaged"
    known = {field.name for field in fields(EpisodeInfo)} & values.keys()
    sound = {name: values[name] for name in known if _is_sound(name, values[name])}
    wrong = sorted(known - sound.keys())
    return default.changed(**sound), f"episode.json: wrong {', '.join(wrong)}" if wrong else ""


# Tables in lists of episode.json: field -> its keys and their types.
_TABLES: Mapping[str, Mapping[str, type]] = {
    "drivers": {"source": str, "start_ns": int, "stop_ns": int},
    "pauses": {"start_ns": int, "stop_ns": int},
    "marks": {"name": str, "at_ns": int},
}


def _is_sound(name: str, value: Any) -> bool:
    if name == "success":
        return value is None or isinstance(value, bool)
    if name in _TABLES:
        return isinstance(value, list) and all(_holds(_TABLES[name], each) for each in value)
    default = getattr(EpisodeInfo(), name)
    return isinstance(value, dict) if isinstance(default, dict) else _is(value, type(default))


def _holds(wanted: Mapping[str, type], value: Any) -> bool:
    return isinstance(value, dict) and all(_is(value.get(k), t) for k, t in wanted.items())


def _is(value: Any, kind: type) -> bool:
    # Not isinstance: True is an int to Python. Numbers beyond 64 bits are no times.
    return type(value) is kind and not (isinstance(value, int) and abs(value) >= 1 << 63)
