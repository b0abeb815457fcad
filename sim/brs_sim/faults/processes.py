"""Faults of processes and of what they share: killed, frozen, starved of memory or of disk."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from brs_sim.faults.fault import Fault, Sign

Pid = Callable[[str], int]  # of the node's process

# A process of its own takes memory, touches every page of it and gives it back, over and over.
_HOG = """
import mmap, os
parent = os.getppid()
while os.getppid() == parent:
    with mmap.mmap(-1, {size}) as pages:
        for start in range(0, {size}, mmap.PAGESIZE):
            pages[start] = 1
"""
_HOG_BYTES = 1 << 30
_HOG_LIMIT_BYTES = 2 << 30
_KILLED = {
    "joylo": (Sign.TELEOP, "leader arms: silent", "teleop lets go, robot holds; started again"),
    "teleop": (Sign.SAFETY, "command_stale", "robot holds; started again, must be engaged anew"),
    "robot": (
        Sign.LOG,
        "died of SIGKILL",
        "vendor's controllers stop the base; comes back disarmed",
    ),
    "recorder": (Sign.LOG, "recovered", "robot goes on; the episode is mended at the next start"),
}


def process_faults(pid: Pid) -> list[Fault]:
    """Nodes killed outright, feedback frozen, memory taken away."""
    kills = [
        Fault(
            f"killed_{node}",
            f"`{node}` killed with -9",
            reaction,
            partial(_kill, pid, node),
            sign=sign,
            text=text,
            stops=node != "recorder",
            commanded=node != "robot",
            records=node != "recorder",
            restarts=True,
        )
        for node, (sign, text, reaction) in _KILLED.items()
    ]
    hog = MemoryHog()
    return [
        *kills,
        Fault(
            "feedback_frozen",
            "feedback frozen",
            "robot holds until measurements are of now",
            lambda: os.kill(pid("r1_sim"), signal.SIGSTOP),
            lambda: os.kill(pid("r1_sim"), signal.SIGCONT),
            Sign.SAFETY,
            "feedback_stale",
            measured=False,
        ),
        Fault(
            "memory_pressure",
            "memory pressure (1 GiB taken and given back without end)",
            "goes on",
            hog.start,
            hog.stop,
            stops=False,
        ),
    ]


def _kill(pid: Pid, node: str) -> None:
    os.kill(pid(node), signal.SIGKILL)


class MemoryHog:
    """Takes a gibibyte again and again; its address space is limited, so it cannot take more."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, in a process of its own."""
        code = _HOG.format(size=_HOG_BYTES)
        self._process = subprocess.Popen([sys.executable, "-c", code])
        limit = (_HOG_LIMIT_BYTES, _HOG_LIMIT_BYTES)
        resource.prlimit(self._process.pid, resource.RLIMIT_AS, limit)

    def stop(self) -> None:
        """End; a second time does nothing. Raises RuntimeError: it had ended by itself."""
        if self._process is None:
            return
        alive = self._process.poll() is None
        self._process.kill()
        self._process.wait()
        self._process = None
        if not alive:
            raise RuntimeError("the memory hog died of its limit; it put no pressure on anything")


class SmallDisk:
    """A file system of its own, in memory, that can be filled.

    Args:
        folder: where it is mounted; made if need be.
        size_mb: what it holds.

    Raises:
        PermissionError: only root may mount one; says what the system said.
    """

    def __init__(self, folder: Path, size_mb: int = 256) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise PermissionError(f"no small disk: {made.stderr.strip()}")

    def fill(self) -> None:
        """Take all that is left."""
        with (self.folder / "filler").open("wb") as file, contextlib.suppress(OSError):
            while True:  # until there is no space left on the device
                file.write(bytes(1 << 20))

    def empty(self) -> None:
        """Give it back."""
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, with all that is on it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def disk_fault(disk: SmallDisk) -> Fault:
    """No room for an episode that is being recorded."""
    return Fault(
        "disk_full",
        "disk full",
        "robot goes on; the recorder closes the episode with what fitted, and says so",
        disk.fill,
        disk.empty,
        Sign.RECORDER,
        "the disk is full",
        stops=False,
    )
