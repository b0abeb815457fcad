"""An episode read from end to end as fast as Python can: only what is wanted is unpacked."""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from mcap.opcode import Opcode
from mcap.records import ChunkIndex

from brs_ml.dataset.errors import DatasetError
from brs_ml.episode.chunks import LARGEST_CHUNK, unpack_record
from brs_ml.episode.latched import is_latched
from brs_ml.episode.metadata import Topic, parse_qos
from brs_ml.episode.reader import BagMessage, EpisodeReader
from brs_ml.episode.scan import DAMAGE, MESSAGE_HEAD, RECORD_HEAD

# Recorders write nearly in order, so that few messages wait for those of a later chunk.
_MOST_WAITING = 1 << 30  # [bytes]
_MESSAGE = struct.Struct(RECORD_HEAD.format + MESSAGE_HEAD.format.removeprefix("<"))
_IS_MESSAGE = int(Opcode.MESSAGE)


class Bag(EpisodeReader):
    """An `EpisodeReader` for reading all of an episode once.

    Its topics are looked up once, and without their quality of service, which takes long to parse.

    Args:
        bag: an episode's folder, or an .mcap file.
        walk: see EpisodeReader.
        past_damage: go on behind a chunk that is damaged, and count it, in place of an error.
        views: messages' data are views of their chunks in place of copies: half the time, but each
            that is kept keeps all of its chunk.

    Raises:
        EpisodeError: nothing there, or no MCAP file.
    """

    def __init__(
        self,
        bag: str | Path,
        *,
        walk: bool = False,
        past_damage: bool = False,
        views: bool = False,
    ) -> None:
        super().__init__(bag, walk=walk)
        self._part: Callable[[bytes], Any] = memoryview if views else bytes
        self._past_damage = past_damage
        self._passed: set[tuple[Path, int]] = set()  # chunks that were found damaged
        self._counts: dict[Topic, int] = {}
        for found in self._scans:
            schemas, statistics = found.summary.schemas, found.summary.statistics
            counts = statistics.channel_message_counts if statistics else {}
            for key, channel in found.summary.channels.items():
                schema = schemas.get(channel.schema_id)
                text = schema.data.decode(errors="replace") if schema else ""
                topic = Topic(channel.topic, schema.name if schema else "", text)
                self._counts[topic] = self._counts.get(topic, 0) + counts.get(key, 0)

    @property
    def counts(self) -> dict[Topic, int]:
        """Messages by topic."""
        return self._counts

    @property
    def latched(self) -> frozenset[str]:
        """Topics whose late listeners are told what was said last; see `is_latched`."""
        channels = (each for found in self._scans for each in found.summary.channels.values())
        offered = {c.topic: c.metadata.get("offered_qos_profiles", "") for c in channels}
        # Parsing takes long, and most topics offer the same.
        parsed = {text: parse_qos(text) for text in set(offered.values())}
        topics = (Topic(name, "", qos=parsed[text]) for name, text in offered.items())
        return frozenset(topic.name for topic in topics if is_latched(topic))

    @property
    def damaged_chunks(self) -> int:
        """Chunks that were left out so far."""
        return super().damaged_chunks + len(self._passed)

    @property
    def span_ns(self) -> tuple[int, int]:
        """Log times of the first and the last message [ns]; (0, 0) if there is none."""
        told = [found.summary.statistics for found in self._scans]
        spans = [
            (each.message_start_time, each.message_end_time)
            for each in told
            if each is not None and each.message_count
        ]
        return (min(s for s, _ in spans), max(e for _, e in spans)) if spans else (0, 0)

    def messages(
        self,
        topics: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[BagMessage]:
        """Messages in the order of their log times; see EpisodeReader.messages.

        Raises:
            EpisodeError: a part of the file is damaged, or it is out of order throughout.
        """
        first, last = start_ns or 0, math.inf if end_ns is None else end_ns
        waiting: list[BagMessage] = []
        for path, wanted, chunk in self._chunks(topics):
            if chunk.message_end_time < first or chunk.message_start_time >= last:
                continue
            # What later chunks hold is not older than they say.
            ready = bisect_left(waiting, chunk.message_start_time, key=_log_time)
            yield from waiting[:ready]
            waiting = waiting[ready:]
            try:
                found = self._read(path, chunk, wanted)
                waiting += [m for m in found if first <= m.log_time_ns < last]
            except DatasetError:
                if not self._past_damage:
                    raise
                self._passed.add((path, chunk.chunk_start_offset))
            waiting.sort(key=_log_time)
            if sum(len(message.data) for message in waiting) > _MOST_WAITING:
                raise _damaged(path, "it is out of order throughout")
        yield from waiting

    def _chunks(
        self, topics: Collection[str] | None
    ) -> Iterator[tuple[Path, dict[int, tuple[str, str]], ChunkIndex]]:
        """Chunks of all files by the time at which they begin, and the channels wanted of them.

        Raises:
            EpisodeError: a file has messages outside of chunks.
        """
        found = []
        for path, scan in zip(self._files, self._scans, strict=True):
            summary = scan.summary
            told = summary.statistics
            if told and told.message_count and not summary.chunk_indexes:
                raise DatasetError(
                    "has no chunks", where=str(path), remedy="`mcap recover` makes a chunked copy"
                )
            wanted = {
                key: (channel.topic, schema.name if schema else "")
                for key, channel in summary.channels.items()
                if topics is None or channel.topic in topics
                for schema in (summary.schemas.get(channel.schema_id),)
            }
            found += [(path, wanted, chunk) for chunk in summary.chunk_indexes]
        found.sort(key=lambda entry: (entry[2].message_start_time, entry[2].chunk_start_offset))
        yield from found

    def _read(
        self, path: Path, chunk: ChunkIndex, wanted: dict[int, tuple[str, str]]
    ) -> list[BagMessage]:
        """What is wanted of a chunk.

        Raises:
            DatasetError: it is damaged.
        """
        if chunk.chunk_length > LARGEST_CHUNK:
            raise _damaged(path, f"a chunk of {chunk.chunk_length} bytes")
        try:
            with path.open("rb") as file:
                file.seek(chunk.chunk_start_offset)
                data = unpack_record(file.read(chunk.chunk_length))
            return _unpacked(self._part(data), wanted)
        except DAMAGE as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from None


def _damaged(path: Path, why: str) -> DatasetError:
    return DatasetError(
        f"is damaged ({why})",
        where=str(path),
        remedy="leave the episode out, or cut it with brs_ml.episode.recover",
    )


def _log_time(message: BagMessage) -> int:
    return message.log_time_ns


def _unpacked(data: Any, wanted: dict[int, tuple[str, str]]) -> list[BagMessage]:
    """Messages of a chunk that are wanted, as they were written; their data are slices of it."""
    messages = []
    offset, size = 0, len(data)
    while offset + _MESSAGE.size <= size:
        opcode, length, channel, sequence, log_time_ns, publish_time_ns = _MESSAGE.unpack_from(
            data, offset
        )
        start = offset + _MESSAGE.size
        offset += RECORD_HEAD.size + length
        if opcode == _IS_MESSAGE and channel in wanted and start <= offset <= size:
            topic, kind = wanted[channel]
            body = data[start:offset]
            messages.append(BagMessage(topic, kind, log_time_ns, publish_time_ns, body, sequence))
    while offset + RECORD_HEAD.size <= size:  # too short for messages
        offset += RECORD_HEAD.size + RECORD_HEAD.unpack_from(data, offset)[1]
    if offset != size:
        raise ValueError("a record runs over the end of its chunk")
    return messages
