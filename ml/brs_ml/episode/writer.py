"""Writes one episode: a rosbag2 bag in MCAP that is readable whenever the writer dies."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from brs_ml.episode.errors import DiskFullError, EpisodeError
from brs_ml.episode.folder import (
    FreeBytes,
    contents_of,
    episode_name,
    free_bytes,
    lock,
    mcap_path,
)
from brs_ml.episode.mcap_writer import ChunkedWriter
from brs_ml.episode.metadata import Contents, EpisodeInfo, Topic, write_info, write_metadata
from brs_ml.episode.scan import repair

MEGABYTE = 1 << 20
# An index of every chunk stays in memory until the episode is closed: with three cameras and
# chunks of 2 MB more than half a megabyte a minute, with these a quarter of it.
CHUNK_BYTES = 8 * MEGABYTE
# Given back when the disk is full, so that summary and metadata still fit.
RESERVE_BYTES = 2 * MEGABYTE
Opener = Callable[[Path], io.RawIOBase]


def open_unbuffered(path: Path) -> io.RawIOBase:
    """A new file without Python's buffer: what was written cannot surface as an error later."""
    return path.open("xb", buffering=0)


class _WholeWrites:
    """A stream that writes all of what it is given or raises.

    The operating system may take a part of a write only, and a buffer of Python's would bring a
    full disk to light much later, at its flush or close.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.position = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        done = 0
        while done < len(view):
            written = self._raw.write(view[done:])
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done += written
            self.position += written
        return done

    def tell(self) -> int:
        return self.position

    def sync(self) -> None:
        os.fsync(self._raw.fileno())

    def close(self) -> None:
        self._raw.close()


class EpisodeWriter:
    """Streams messages to `<folder>/<name>_0.mcap` with metadata.yaml and episode.json.

    Chunks of bounded size and age are compressed and handed to the operating system, so that a
    killed process costs at most `flush_s` of messages; `sync` brings them through a power cut,
    too. Not thread-safe, except for `sync`: one thread writes.

    Args:
        folder: an existing, empty working folder.
        info: what is recorded; name and status are filled in.
        topics: known so far; `add_topic` adds more at any time.
        custom_data: strings for metadata.yaml.
        distro: ROS distribution for metadata.yaml.
        chunk_bytes: size of a chunk before compression.
        flush_s: age at which a chunk is written though it is not full [s].
        min_free_bytes: stop when less is free on the disk.
        opener: opens the MCAP file (tests put failing ones).
        free: tells the free bytes of a folder's disk.

    Raises:
        EpisodeError: the files cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        info: EpisodeInfo,
        topics: Iterable[Topic] = (),
        *,
        custom_data: Mapping[str, str] | None = None,
        distro: str = "",
        chunk_bytes: int = CHUNK_BYTES,
        flush_s: float = 1.0,
        min_free_bytes: int = 0,
        opener: Opener = open_unbuffered,
        free: FreeBytes = free_bytes,
    ) -> None:
        self.folder = folder
        self.path = mcap_path(folder)
        self.info = info.changed(name=episode_name(folder), status="recording")
        self._custom = dict(custom_data or {})
        self._distro = distro
        self._flush_s = flush_s
        self._min_free = min_free_bytes
        self._free = free
        self._channels: dict[str, int] = {}
        self._schemas: dict[tuple[str, str], int] = {}
        self._counts: dict[Topic, int] = {}
        self._topics: dict[str, Topic] = {}
        self._start_ns = self._end_ns = 0
        self._flushed_s: float | None = None
        self._closed = False
        self._broken = False
        self.messages = 0
        try:
            self._reserve()
            self._file = _WholeWrites(opener(self.path))
            self._lock = lock(self.path)
            self._writer = ChunkedWriter(self._file, "ros2", chunk_bytes)
            for topic in topics:
                self.add_topic(topic)
            self._file.sync()
            self._write_side_files()
        except OSError as error:
            raise self._error(error) from None

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far."""
        return self._file.position

    @property
    def topics(self) -> Mapping[str, Topic]:
        """Topics by name."""
        return self._topics

    def add_topic(self, topic: Topic) -> None:
        """Make a topic known; adding it again is harmless.

        Raises:
            EpisodeError: its name is taken by another type.
        """
        known = self._topics.get(topic.name)
        if known is not None:
            if known.type != topic.type:
                raise EpisodeError(
                    f"has two types, {known.type} and {topic.type}",
                    where=topic.name,
                    remedy="rename one of its publishers",
                )
            return
        key = (topic.type, topic.schema_text)
        if key not in self._schemas:
            self._schemas[key] = self._writer.register_schema(
                topic.type, "ros2msg" if topic.schema_text else "", topic.schema_text.encode()
            )
        self._channels[topic.name] = self._writer.register_channel(
            topic.name,
            "cdr",
            self._schemas[key],
            {"offered_qos_profiles": topic.qos_yaml(), "topic_type_hash": topic.type_hash},
        )
        self._topics[topic.name] = topic
        self._counts[topic] = 0

    def write(
        self, topic: str, log_time_ns: int, publish_time_ns: int, data: bytes, sequence: int = 0
    ) -> None:
        """Append a serialized message.

        Args:
            topic: name given to `add_topic`.
            log_time_ns: when it was received [ns].
            publish_time_ns: when it was sent [ns].
            data: CDR bytes.
            sequence: the publisher's count, 0 if unknown.

        Raises:
            DiskFullError: nothing more fits; call `close`.
            EpisodeError: the disk fails otherwise; call `close`.
        """
        try:
            self._writer.add_message(
                self._channels[topic], log_time_ns, publish_time_ns, data, sequence & 0xFFFFFFFF
            )
        except OSError as error:
            raise self._error(error) from None
        self._start_ns = min(self._start_ns, log_time_ns) if self.messages else log_time_ns
        self._end_ns = max(self._end_ns, log_time_ns)
        self._counts[self._topics[topic]] += 1
        self.messages += 1

    def tick(self, now_s: float) -> None:
        """Write out what is older than `flush_s`, and look whether there is room.

        Args:
            now_s: a monotonic clock [s].

        Raises:
            DiskFullError: less than `min_free_bytes` are free, or nothing more fits.
        """
        if self._flushed_s is not None and now_s - self._flushed_s < self._flush_s:
            return
        self._flushed_s = now_s
        try:
            self._writer.flush()
            free = self._free(self.folder)
        except OSError as error:
            raise self._error(error) from None
        if free < self._min_free:
            raise DiskFullError(
                f"only {free // MEGABYTE} MB are free, {self._min_free // MEGABYTE} MB are kept "
                "free; the episode is closed",
                where=str(self.folder.parent),
                remedy="delete old episodes (trash/) or record elsewhere",
            )

    def sync(self) -> None:
        """Wait until the disk has what was written. May be called from another thread.

        Raises:
            EpisodeError: the disk lost something.
        """
        try:
            self._file.sync()
        except OSError as error:
            raise self._error(error) from None

    def close(self, **changes: object) -> EpisodeInfo:
        """Finish the files; after a failed write, with what fitted.

        Args:
            changes: fields of episode.json (status, success, lost, stop_ns, ...).

        Raises:
            EpisodeError: the disk takes not even the summary; `recover` mends the folder later.
        """
        if self._closed:
            return self.info
        self._closed = True
        contents = Contents(self._start_ns, self._end_ns, self._counts)
        self._reserve_path.unlink(missing_ok=True)
        try:
            try:
                if not self._broken:
                    self._writer.finish()
                    self._file.sync()
            except OSError:
                self._broken = True
            if self._broken:
                contents = contents_of(repair(self.path))
            self.info = self.info.changed(messages=contents.messages, **changes)
            write_metadata(self.folder, self.path.name, contents, self._custom, self._distro)
            write_info(self.folder, self.info)
        except OSError as error:
            raise self._error(error) from None
        finally:
            self._file.close()
            os.close(self._lock)
        return self.info

    def update(self, **changes: object) -> EpisodeInfo:
        """Change episode.json, but not while `close` does."""
        self.info = self.info.changed(**changes)
        try:
            write_info(self.folder, self.info)
        except OSError as error:
            raise self._error(error) from None
        return self.info

    @property
    def _reserve_path(self) -> Path:
        return self.folder / ".reserve"

    def _reserve(self) -> None:
        with self._reserve_path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)

    def _write_side_files(self) -> None:
        start = self.info.start_ns
        contents = Contents(start, start, self._counts)
        write_metadata(self.folder, self.path.name, contents, self._custom, self._distro)
        write_info(self.folder, self.info)

    def _error(self, error: OSError) -> EpisodeError:
        self._broken = True
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return DiskFullError(
                "the disk is full; the episode is closed with what fitted",
                where=str(self.folder),
                remedy="delete old episodes (trash/) or record elsewhere",
            )
        return EpisodeError(
            f"cannot be written ({error.strerror})",
            where=str(self.folder),
            remedy="check the disk and its permissions",
        )
