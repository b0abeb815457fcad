"""What a recorder is doing: idle, recording, paused, waiting for a verdict, or in trouble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from brs_ml.episode.drivers import Drivers
from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.folder import FreeBytes, discard, free_bytes, make_working_folder, save
from brs_ml.episode.losses import LossCounter
from brs_ml.episode.metadata import EpisodeInfo, Topic, check_mark
from brs_ml.episode.worker import RecordingThread
from brs_ml.episode.writer import CHUNK_BYTES, MEGABYTE, EpisodeWriter, Opener, open_unbuffered


class State(IntEnum):
    """Values of brs_interfaces/EpisodeState."""

    IDLE = 0
    RECORDING = 1
    REVIEW = 2  # stopped; save or discard
    ERROR = 3
    PAUSED = 4


_OPEN = (State.RECORDING, State.PAUSED)


@dataclass(frozen=True)
class SessionOptions:
    """How episodes are written."""

    max_queue_bytes: int = 64 * MEGABYTE
    min_free_bytes: int = 500 * MEGABYTE
    chunk_bytes: int = CHUNK_BYTES
    flush_s: float = 1.0
    distro: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    opener: Opener = open_unbuffered
    free: FreeBytes = free_bytes


@dataclass(frozen=True)
class Status:
    """What a recorder tells about itself."""

    state: State
    episode: str  # folder name, empty if none
    path: str
    duration_s: float  # without pauses [s]
    messages: int
    lost: int
    bytes: int
    message: str


class EpisodeSession:
    """One episode after the other below a folder. Calls come from one thread.

    Args:
        root: where episodes go.
        options: sizes and versions.
    """

    def __init__(self, root: Path, options: SessionOptions) -> None:
        self.root = root
        self.losses = LossCounter()
        self.drivers = Drivers()
        self.state = State.IDLE
        self._options = options
        self._thread: RecordingThread | None = None
        self._folder: Path | None = None
        self._start_ns = self._stop_ns = 0
        self._newest_ns = 0  # log time of the newest message taken
        self._pauses: list[dict[str, int]] = []
        self._marks: list[dict[str, Any]] = []
        self._ended: dict[str, object] = {}  # what episode.json is told at the end
        self._finished: tuple[int, int] = (0, 0)  # messages and bytes of the last episode
        self.message = ""

    @property
    def recording(self) -> bool:
        """True while messages are taken."""
        return self.state is State.RECORDING

    @property
    def open(self) -> bool:
        """True from start to stop, pauses included."""
        return self.state in _OPEN

    def start(
        self, info: EpisodeInfo, topics: Iterable[Topic], now_ns: int, wall_time_s: float
    ) -> Path:
        """Begin an episode.

        Args:
            info: task, instruction, operator, seed.
            topics: known so far.
            now_ns: ROS time [ns].
            wall_time_s: seconds since 1970, for the name.

        Returns:
            The working folder.

        Raises:
            EpisodeError: an episode is in progress or undecided, or the disk has no room.
        """
        self.poll()
        if self.open:
            raise EpisodeError("an episode is being recorded", remedy="stop it first")
        if self._folder is not None:
            raise EpisodeError(
                f"'{self._folder.name}' is undecided", remedy="save or discard it first"
            )
        options = self._options
        try:
            folder = make_working_folder(self.root, info.task, wall_time_s)
            self._folder = folder
            free = options.free(self.root)
            if free < options.min_free_bytes:
                folder.rmdir()
                raise EpisodeError(
                    f"only {free // MEGABYTE} MB are free, "
                    f"{options.min_free_bytes // MEGABYTE} MB are kept free",
                    where=str(self.root),
                    remedy="delete old episodes (trash/) or record elsewhere",
                )
            writer = EpisodeWriter(
                folder,
                info.changed(start_ns=now_ns, versions=dict(options.versions)),
                topics,
                custom_data={"task": info.task, "instruction": info.instruction},
                distro=options.distro,
                chunk_bytes=options.chunk_bytes,
                flush_s=options.flush_s,
                min_free_bytes=options.min_free_bytes,
                opener=options.opener,
                free=options.free,
            )
        except EpisodeError as error:
            self._folder = None
            self.state, self.message = State.ERROR, str(error)
            raise
        self._thread = RecordingThread(writer, options.max_queue_bytes)
        self.losses.reset()
        self.drivers.begin(now_ns)
        self._start_ns = self._stop_ns = self._newest_ns = now_ns
        self._pauses, self._marks = [], []
        self.state, self.message = State.RECORDING, ""
        return folder

    def put(
        self, topic: Topic, log_time_ns: int, publish_time_ns: int, data: bytes, sequence: int = 0
    ) -> None:
        """Record a message; without effect unless recording."""
        if self._thread is None or not self.recording or self._thread.error is not None:
            return
        if not self._thread.put(topic, log_time_ns, publish_time_ns, data, sequence):
            self.losses.refused(topic.name)
        self._newest_ns = log_time_ns

    def poll(self) -> bool:
        """Notice that the writer failed. True if the state changed."""
        if not self.open or self._thread is None or self._thread.error is None:
            return False
        self._end(self._newest_ns, {})
        return True

    def pause(self, now_ns: int) -> None:
        """Take no messages until `resume`; the episode says so.

        Raises:
            EpisodeError: nothing is being recorded.
        """
        self.poll()
        if not self.recording:
            raise _none_open()
        self._pauses.append({"start_ns": now_ns, "stop_ns": now_ns})
        self.state = State.PAUSED
        self._note()

    def resume(self, now_ns: int) -> None:
        """Go on with a paused episode.

        Raises:
            EpisodeError: none is paused.
        """
        self.poll()
        if self.state is not State.PAUSED:
            raise EpisodeError("no episode is paused", remedy="pause one that is recorded")
        self._end_pause(now_ns)
        self.state = State.RECORDING
        self._note()

    def mark(self, name: str, now_ns: int) -> str:
        """Name this moment, e.g. the beginning of a sub-task.

        Args:
            name: up to 80 letters; empty for `mark 1`, `mark 2`, ...
            now_ns: ROS time [ns].

        Returns:
            The name.

        Raises:
            EpisodeError: no episode is open, or the name is none.
        """
        self.poll()
        if not self.open:
            raise _none_open()
        name = check_mark(name or f"mark {len(self._marks) + 1}")
        self._marks.append({"name": name, "at_ns": now_ns})
        self._note()
        return name

    def stop(self, now_ns: int) -> Path:
        """Close the episode; it then waits for `save` or `discard`.

        Raises:
            EpisodeError: nothing is being recorded.
        """
        self.poll()
        if self._folder is None or not self.open:
            raise _none_open()
        self._end(now_ns, {"status": "review"})
        return self._folder

    def save(self, success: bool, now_ns: int) -> Path:
        """Keep the episode, stopping it first if need be. Returns its final folder.

        Raises:
            EpisodeError: there is none, or the disk refuses.
        """
        return self._decide(now_ns, "saved", success)

    def discard(self, now_ns: int) -> Path:
        """Move the episode to the trash, stopping it first if need be. Returns its folder.

        Raises:
            EpisodeError: there is none, or the disk refuses.
        """
        return self._decide(now_ns, "discarded", False)

    def shutdown(self, now_ns: int) -> Path | None:
        """Keep whatever is open as interrupted. Returns its final folder, if there was one.

        Raises:
            EpisodeError: the disk refuses; the working folder is mended at the next start.
        """
        self.poll()
        if self._folder is None:
            return None
        return self._decide(now_ns, "interrupted", False, interrupted=True)

    def status(self, now_ns: int) -> Status:
        """What to publish."""
        self.poll()
        messages, size = self._finished
        if self._thread is not None:
            messages, size = self._thread.messages, self._thread.size_bytes
        end_ns = now_ns if self.open else self._stop_ns
        paused_ns = sum(pause["stop_ns"] - pause["start_ns"] for pause in self._pauses)
        if self.state is State.PAUSED:
            paused_ns += max(0, now_ns - self._pauses[-1]["start_ns"])
        return Status(
            state=self.state,
            episode=self._folder.name if self._folder else "",
            path=str(self._folder) if self._folder else "",
            duration_s=max(0, end_ns - self._start_ns - paused_ns) * 1e-9,
            messages=messages,
            lost=self.losses.total,
            bytes=size,
            message=self.message,
        )

    def _end_pause(self, now_ns: int) -> None:
        pause = self._pauses[-1]
        pause["stop_ns"] = max(now_ns, pause["start_ns"])

    def _note(self) -> None:
        """Marks and pauses shall be there after a crash, too."""
        assert self._thread is not None
        self._thread.note(pauses=[dict(pause) for pause in self._pauses], marks=list(self._marks))

    def _end(self, now_ns: int, changes: dict[str, object]) -> None:
        assert self._thread is not None
        self._stop_ns = max(now_ns, self._start_ns)
        if self.state is State.PAUSED:
            self._end_pause(self._stop_ns)
        self._ended = {
            "stop_ns": self._stop_ns,
            "lost": self.losses.total,
            "drivers": self.drivers.spans(self._stop_ns),
            "pauses": self._pauses,
            "marks": self._marks,
        }
        self._thread.stop(**self._ended, **changes)
        error = self._thread.error
        self.state = State.ERROR if error else State.REVIEW
        self.message = str(error) if error else ""

    def _decide(
        self, now_ns: int, status: str, success: bool, *, interrupted: bool = False
    ) -> Path:
        if self.open:
            self._end(now_ns, {"status": status})
        if self._folder is None or self._thread is None:
            raise EpisodeError("there is no episode", remedy="start one")
        changes: dict[str, object] = {"success": success, "interrupted": interrupted}
        if self.state is State.ERROR:
            # The writer had closed the episode before it could be told these.
            changes |= self._ended
        else:
            changes["status"] = status
        try:
            self._thread.update(**changes)
        except EpisodeError as error:
            # A full disk may refuse even these few bytes; the messages are worth more.
            self.message = str(error)
        path = discard(self._folder) if status == "discarded" else save(self._folder)
        self._finished = (self._thread.messages, self._thread.size_bytes)
        self._thread = self._folder = None
        self.state = State.IDLE
        self.message = f"{status} {path.name}"
        return path


def _none_open() -> EpisodeError:
    return EpisodeError("no episode is being recorded", remedy="start one")
