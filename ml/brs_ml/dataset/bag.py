"""An episode read from end to end as fast as Python can: only what is wanted is unpacked."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Chunk, ChunkIndex
from mcap.stream_reader import get_chunk_data_stream

from brs_ml.dataset.errors import DatasetError
from brs_ml.episode.metadata import Topic
from brs_ml.episode.reader import BagMessage, EpisodeReader
from brs_ml.episode.scan import DAMAGE, MESSAGE_HEAD, RECORD_HEAD, Scan

# Chunks of a recorder that writes in the order of reception overlap by far less.
_OVERLAP_NS = 250_000_000


class Bag(EpisodeReader):
    """An `EpisodeReader` for reading all of an episode once.

    Its topics are looked up once, and without their quality of service, which takes long to parse.
    Messages come in the order of their log times within a chunk, and chunks as they were written;
    a bag in which one reaches back more than a quarter of a second behind those before is read,
    slower, in full order.

    Args:
        bag: an episode's folder, or an .mcap file.

    Raises:
        EpisodeError: nothing there, or no MCAP file.
    """

    def __init__(self, bag: str | Path) -> None:
        super().__init__(bag)
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
        """Messages, nearly in the order of their log times; see EpisodeReader.messages.

        Raises:
            EpisodeError: a part of the file is damaged.
        """
        for path, found in zip(self._files, self._scans, strict=True):
            chunks = sorted(found.summary.chunk_indexes, key=lambda c: c.chunk_start_offset)
            ends = itertools.accumulate((chunk.message_end_time for chunk in chunks), max)
            overlap = any(
                end > later.message_start_time + _OVERLAP_NS
                for end, later in zip(ends, chunks[1:], strict=False)
            )
            if len(self._files) > 1 or start_ns is not None or end_ns is not None or overlap:
                yield from super().messages(topics, start_ns, end_ns)
                return
            yield from self._in_chunks(path, found, chunks, topics)

    def _in_chunks(
        self,
        path: Path,
        found: Scan,
        chunks: list[ChunkIndex],
        topics: Collection[str] | None,
    ) -> Iterator[BagMessage]:
        summary = found.summary
        wanted = {
            key: (channel.topic, schema.name if schema else "")
            for key, channel in summary.channels.items()
            if topics is None or channel.topic in topics
            for schema in (summary.schemas.get(channel.schema_id),)
        }
        with path.open("rb") as file:
            for index in chunks:
                file.seek(index.chunk_start_offset + RECORD_HEAD.size)
                try:
                    chunk = Chunk.read(ReadDataStream(file))
                    stream, size = get_chunk_data_stream(chunk, validate_crc=True)
                    messages = _unpacked(stream.read(size), wanted)
                except DAMAGE as error:
                    raise DatasetError(
                        f"is damaged ({type(error).__name__}: {error})",
                        where=str(path),
                        remedy="leave the episode out, or cut it with brs_ml.episode.recover",
                    ) from None
                yield from messages


def _unpacked(data: bytes, wanted: dict[int, tuple[str, str]]) -> list[BagMessage]:
    """Messages of a chunk by log time; of equal ones, as they were written."""
    messages = []
    offset, size = 0, len(data)
    while offset < size:
        opcode, length = RECORD_HEAD.unpack_from(data, offset)
        start = offset + RECORD_HEAD.size
        offset = start + length
        if offset > size:
            raise ValueError("a record runs over the end of its chunk")
        if opcode != Opcode.MESSAGE:
            continue
        channel, sequence, log_time_ns, publish_time_ns = MESSAGE_HEAD.unpack_from(data, start)
        if channel in wanted:
            body = data[start + MESSAGE_HEAD.size : offset]
            topic, kind = wanted[channel]
            messages.append(BagMessage(topic, kind, log_time_ns, publish_time_ns, body, sequence))
    messages.sort(key=lambda message: message.log_time_ns)
    return messages
