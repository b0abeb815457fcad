"""Shared memory that killed processes left behind.

Fast DDS keeps what it sends to others on this computer in files of /dev/shm: a segment per
participant, 70 MB with our profile, and a port per listener. A process that is killed leaves
them there. The segments use up memory; ports whose last user died in the middle of a write can
keep later processes from hearing each other (Fast DDS issue 5469).
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/dev/shm")
# fastdds_0123456789abcdef[_el], fastdds_port7411[_el|_sl], sem.fastdds_port7411_mutex
_NAME = re.compile(r"(?:sem\.)?(?:fastdds|fastrtps)_(port\d+|[0-9a-f]{16})(?:_el|_sl|_mutex)?")
YOUNG_S = 2.0


@dataclass(frozen=True)
class LeftBehind:
    """Files that belong together and that no process uses."""

    name: str
    files: tuple[Path, ...]
    size: int  # bytes

    @property
    def is_port(self) -> bool:
        """Whether it is a port, which a new process may open again, and not a segment."""
        return self.name.startswith("port")


def left_behind(folder: Path = FOLDER, min_age_s: float = YOUNG_S) -> list[LeftBehind]:
    """Segments and ports of this user that no process maps or holds a lock on.

    Args:
        folder: of the shared memory.
        min_age_s: what is younger is left out: it may be about to be mapped.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            groups[match[1]].append(path)
    used = _mapped(folder) if groups else set()
    dead = []
    for name, files in sorted(groups.items()):
        if not any(path in used or _is_alive(path, min_age_s) for path in files):
            size = sum(path.stat().st_size for path in files if path.exists())
            dead.append(LeftBehind(name, tuple(files), size))
    return dead


def tidy(folder: Path = FOLDER, *, ports: bool = True, min_age_s: float = YOUNG_S) -> int:
    """Remove what killed processes left behind.

    Args:
        folder: of the shared memory.
        ports: remove ports, too. Not while nodes of ours start: one may be opening it.
        min_age_s: what is younger stays.

    Returns:
        Bytes that are free again.
    """
    freed = 0
    for group in left_behind(folder, min_age_s):
        if ports or not group.is_port:
            freed += group.size
            for path in group.files:
                path.unlink(missing_ok=True)
    return freed


def _mapped(folder: Path) -> set[Path]:
    """Files of the folder that any process of this user maps."""
    used = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            text = maps.read_text(errors="replace")
        except OSError:  # it has ended, or is another user's, who cannot write our files
            continue
        for line in text.splitlines():
            path = line.partition("/")[2]
            if path.startswith(str(folder)[1:]):
                used.add(Path("/" + path.removesuffix(" (deleted)")))
    return used


def _is_alive(path: Path, min_age_s: float) -> bool:
    """Whether a file is locked, new, gone meanwhile or another user's."""
    try:
        about = path.stat()
        if about.st_uid != os.getuid() or time.time() - about.st_ctime < min_age_s:
            return True
        if not path.name.endswith(("_el", "_sl")):
            return False
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
