"""The thread that compresses and writes, so that receiving messages never waits for a disk."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import NamedTuple

from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.metadata import EpisodeInfo, Topic
from brs_ml.episode.writer import EpisodeWriter


class _Item(NamedTuple):
    topic: Topic
    log_time_ns: int
    publish_time_ns: int
    data: bytes
    sequence: int


SYNC_S = 1.0


class RecordingThread:
    """Feeds a writer from a queue of bounded size.

    A second thread waits for the disk to take what was written: a busy disk needs seconds for
    that, in which the first goes on writing to the operating system's cache.

    Args:
        writer: owned by the thread from here on.
        max_bytes: what the queue holds at most; more is refused.
    """

    def __init__(self, writer: EpisodeWriter, max_bytes: int) -> None:
        self._writer = writer
        self._max_bytes = max_bytes
        self._queue: deque[_Item] = deque()
        self._queued_bytes = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._closing: dict[str, object] = {}
        self._noted: dict[str, object] = {}
        self.error: EpisodeError | None = None
        # A daemon, so that a disk that hangs cannot keep the process; `stop` joins it.
        self._thread = threading.Thread(target=self._run, name="episode-writer", daemon=True)
        self._written = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="episode-sync", daemon=True)
        self._thread.start()
        self._syncer.start()

    @property
    def messages(self) -> int:
        """Messages written to chunks."""
        return self._writer.messages

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return self._writer.size_bytes

    def put(
        self, topic: Topic, log_time_ns: int, publish_time_ns: int, data: bytes, sequence: int
    ) -> bool:
        """Queue a message; False if the queue is full, and the message is lost."""
        with self._wake:
            if self._queued_bytes + len(data) > self._max_bytes:
                return False
            self._queue.append(_Item(topic, log_time_ns, publish_time_ns, data, sequence))
            self._queued_bytes += len(data)
        return True

    def note(self, **changes: object) -> None:
        """Change episode.json before long; `stop` has the last word."""
        with self._wake:
            self._noted |= changes

    def stop(self, **changes: object) -> EpisodeInfo:
        """Write what is queued, close the episode, end the thread.

        Args:
            changes: fields of episode.json.

        Returns:
            episode.json as written. A failure is in `error`.
        """
        with self._wake:
            self._stopping = True
            self._closing = changes
            self._wake.notify()
        self._thread.join()
        return self._writer.info

    def update(self, **changes: object) -> EpisodeInfo:
        """Change episode.json after `stop`."""
        return self._writer.update(**changes)

    def _run(self) -> None:
        try:
            while self.error is None and not self._stopping:
                with self._wake:
                    # Messages are taken in batches: waking for each costs more than writing it.
                    self._wake.wait(0.02)
                self._drain()
            if self.error is None:
                self._drain()
        except EpisodeError as error:
            self.error = error
        self._written.set()
        self._syncer.join()
        failed = self.error is not None
        told = {"status": "disk_full", "note": str(self.error)} if failed else self._closing
        changes = {**self._noted, **told}
        try:
            self._writer.close(**changes)
        except EpisodeError as error:
            self.error = error
        with self._wake:
            self._queue.clear()
            self._queued_bytes = 0

    def _sync(self) -> None:
        while not self._written.wait(SYNC_S):
            with self._wake:
                noted, self._noted = self._noted, {}
            try:
                self._writer.sync()
                if noted:
                    self._writer.update(**noted)
            except EpisodeError as error:
                self.error = error
                break

    def _drain(self) -> None:
        while True:
            with self._wake:
                if not self._queue:
                    break
                item = self._queue.popleft()
                self._queued_bytes -= len(item.data)
            self._writer.add_topic(item.topic)
            self._writer.write(
                item.topic.name, item.log_time_ns, item.publish_time_ns, item.data, item.sequence
            )
            self._writer.tick(time.monotonic())
        self._writer.tick(time.monotonic())
