"""Alarms and their clips in a folder of bounded size: one folder each, the oldest goes first."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from brs_cli.monitor_page.model import Alarm, Clip
from brs_hardware.errors import BrsError

ALARM_FILE = "alarm.json"
PART = ".part"  # at the end of a folder's name until it is whole
NAME = re.compile(r"\d{8}-\d{6}-\d{3}_[A-Za-z0-9_]{1,40}")


@dataclass(frozen=True)
class StoredClip:
    """An alarm on disk, without its pictures."""

    name: str  # of its folder
    camera: str
    began_s: float  # time of day [s since 1970]
    alarms: tuple[Alarm, ...]
    stamps_s: tuple[float, ...]  # ROS time of each picture [s]


class AlarmStore:
    """Keeps clips; the newest are known without looking at the disk.

    Args:
        folder: made when the first clip is kept.
        most_bytes: of all clips together; 0 keeps none.
        most_clips: however small they are.
    """

    def __init__(self, folder: Path, most_bytes: int, most_clips: int = 1000) -> None:
        self.folder, self._most_bytes, self._most_clips = folder, most_bytes, most_clips
        self._clips: dict[str, tuple[StoredClip, int]] = {}  # name -> clip, bytes; oldest first
        for path in self._folders():
            clip = _read(path)
            if clip is not None:
                self._clips[path.name] = clip, _size(path)
        self._forget()

    @property
    def clips(self) -> tuple[StoredClip, ...]:
        """All that are kept, the newest first."""
        return tuple(clip for clip, _ in reversed(self._clips.values()))

    @property
    def size_bytes(self) -> int:
        """Of all clips."""
        return sum(size for _, size in self._clips.values())

    def keep(self, clip: Clip) -> None:
        """Write a clip; older ones make room. A crash leaves all of it or nothing.

        Raises:
            BrsError: it cannot be written.
        """
        name = self._new_name(clip)
        path, part = self.folder / name, self.folder / (name + PART)
        stored = StoredClip(
            name,
            clip.camera,
            clip.began_s,
            clip.alarms,
            tuple(picture.stamp_s for picture in clip.pictures),
        )
        try:
            # Pictures of a home are its people's alone.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.mkdir(mode=0o700)
            for number, picture in enumerate(clip.pictures):
                (part / _picture(number)).write_bytes(picture.jpeg)
            (part / ALARM_FILE).write_text(json.dumps(asdict(stored)), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise BrsError(
                f"the clip of an alarm cannot be kept ({error.strerror})",
                where=str(self.folder),
                remedy="make room, or choose another --folder",
            ) from None
        self._clips[name] = stored, _size(path)
        self._forget()

    def picture(self, name: str, number: int) -> bytes | None:
        """A picture of a clip, a JPEG; None if there is none."""
        if name not in self._clips or not 0 <= number < len(self._clips[name][0].stamps_s):
            return None
        try:
            return (self.folder / name / _picture(number)).read_bytes()
        except OSError:
            return None  # somebody else has taken it away

    def delete(self, name: str) -> None:
        """Erase a clip, for good; unknown names are none already."""
        if self._clips.pop(name, None) is not None:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _forget(self) -> None:
        while self._clips and (
            self.size_bytes > self._most_bytes or len(self._clips) > self._most_clips
        ):
            self.delete(next(iter(self._clips)))

    def _folders(self) -> Iterator[Path]:
        """Folders of clips, the oldest first; what a crash has left half written is erased."""
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.iterdir()):
            if path.is_symlink() or not path.is_dir():
                continue
            if path.name.endswith(PART) and NAME.fullmatch(path.name.removesuffix(PART)):
                shutil.rmtree(path, ignore_errors=True)
            elif NAME.fullmatch(path.name):
                yield path

    def _new_name(self, clip: Clip) -> str:
        """Named by its time and camera, and after all that are there."""
        moment_s = clip.began_s
        camera = re.sub(r"[^A-Za-z0-9_]", "_", clip.camera)[:40] or "camera"
        while True:
            moment = datetime.fromtimestamp(moment_s, timezone.utc)
            name = f"{moment:%Y%m%d-%H%M%S}-{moment.microsecond // 1000:03d}_{camera}"
            if not (self.folder / name).exists():
                return name
            moment_s += 1e-3


def _picture(number: int) -> str:
    return f"{number:03d}.jpg"


def _size(path: Path) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(path))


def _read(path: Path) -> StoredClip | None:
    """What is in a folder; None if it is not one of ours."""
    try:
        values: dict[str, Any] = json.loads((path / ALARM_FILE).read_text(encoding="utf-8"))
        return StoredClip(
            path.name,
            str(values["camera"]),
            float(values["began_s"]),
            tuple(_alarm(row) for row in values["alarms"]),
            tuple(float(stamp_s) for stamp_s in values["stamps_s"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _alarm(row: dict[str, Any]) -> Alarm:
    score = None if row["score"] is None else float(row["score"])
    return Alarm(str(row["text"]), score, str(row["reason"]), float(row["stamp_s"]))
