"""The episodes that the page shows: their rows, and the few that are open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brs_cli.browser.contents import Contents, Samples, Track, read_contents
from brs_cli.browser.pictures import Pictures
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_ml.episode import EpisodeInfo
from brs_ml.episode.store import Entry, EpisodeStore

OPEN_EPISODES = 3
CLOUD = "cloud"
SUCCESS = {True: "success", False: "failure", None: "not judged"}


@dataclass(frozen=True)
class Opened:
    """One episode that was read."""

    path: Path
    robot: Embodiment
    contents: Contents
    pictures: Pictures  # of the cameras, and of CLOUD


class Library:
    """Opens episodes of a store; threads may share it.

    Args:
        store: the folder.
        robot: description for episodes that name none.
    """

    def __init__(self, store: EpisodeStore, robot: str) -> None:
        self.store, self._robot = store, robot
        self._opened: OrderedDict[tuple[Path, int], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, name: str, progress: Callable[[float], None] = lambda share: None) -> Opened:
        """An episode's contents; read once, and again when its bag has changed.

        Args:
            name: of its folder.
            progress: told the share that is done, 0 to 1.

        Raises:
            EpisodeError: no such episode, or it has no bag.
            ConfigError: no such robot.
        """
        entry = self.store.entry(name)
        key = (entry.path, entry.size_bytes)
        with self._lock:
            if key not in self._opened:
                robot = load_embodiment(entry.info.robot or self._robot)
                contents = read_contents(entry.path, robot, progress)
                tracks: dict[str, Track] = dict(contents.cameras)
                if contents.cloud is not None:
                    tracks[CLOUD] = contents.cloud
                pictures = Pictures(entry.path, tracks)
                self._opened[key] = Opened(entry.path, robot, contents, pictures)
            self._opened.move_to_end(key)
            while len(self._opened) > OPEN_EPISODES:
                self._opened.popitem(last=False)
            return self._opened[key]


def row_of(entry: Entry, findings: int | None) -> dict[str, Any]:
    """An episode as a row of the table; plain numbers and text.

    Args:
        entry: the episode.
        findings: of its quality report, None if there is none.
    """
    info = entry.info
    shares = sorted(entry.driver_shares.items(), key=lambda item: -item[1])
    return {
        "name": entry.name,
        "task": info.task,
        "instruction": info.instruction,
        "operator": info.operator,
        "drivers": ", ".join(f"{source} {share:.0%}" for source, share in shares),
        "success": SUCCESS[info.success],
        "length_s": round(entry.duration_s, 1) or None,
        "topics": entry.topics,
        "lost": info.lost,
        "size_mb": round(entry.size_bytes / 1e6, 1),
        "findings": findings,
        "problem": entry.problem,
    }


def labels_of(info: EpisodeInfo, start_ns: int) -> dict[str, Any]:
    """Marks, drivers and pauses with times in seconds since the bag's first message."""

    def seconds(time_ns: int) -> float:
        return round((time_ns - start_ns) * 1e-9, 4)

    def spans(given: Any) -> list[dict[str, Any]]:
        return [
            {
                "source": span.get("source", ""),
                "start": seconds(span["start_ns"]),
                "stop": seconds(span["stop_ns"]),
            }
            for span in given
        ]

    marks = [{"name": mark["name"], "time": seconds(mark["at_ns"])} for mark in info.marks]
    return {"marks": marks, "drivers": spans(info.drivers), "pauses": spans(info.pauses)}


def packed(contents: Contents) -> dict[str, Any]:
    """Contents as the page's player takes them, ready for JSON; columns, rounded."""
    return {
        "duration": contents.duration_s,
        "panels": [
            {
                "key": key,
                "title": panel.title,
                "names": panel.names,
                "labels": panel.labels,
                "measured": _columns(panel.measured),
                "commanded": _columns(panel.commanded),
            }
            for key, panel in contents.panels.items()
        ],
        "base": _columns(contents.base_poses),
        "events": [
            {"time": e.time_s, "kind": e.kind, "level": e.level, "text": e.text}
            for e in contents.events
        ],
        "cameras": {name: _times(track.times_s) for name, track in contents.cameras.items()},
        "cloud": _times(contents.cloud.times_s) if contents.cloud else [],
        "boxes": {name: _columns(box.poses) for name, box in contents.boxes.items()},
        "problems": contents.problems,
    }


def _columns(samples: Samples) -> Mapping[str, Any]:
    """Times, and a list for each number; None where it is not one."""
    rows = [[_number(value) for value in row] for row in samples.rows]
    return {
        "t": _times(samples.times_s),
        "columns": [list(column) for column in zip(*rows, strict=True)],
    }


def _times(times_s: list[float]) -> list[float]:
    return [round(time, 4) for time in times_s]


def _number(value: float) -> float | None:
    return round(float(value), 5) if abs(value) < float("inf") else None
