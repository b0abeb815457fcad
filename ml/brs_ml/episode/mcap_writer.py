"""Writes chunked MCAP files fast enough for pictures on a fraction of a core.

The `mcap` library compresses chunks with zstd's level 3: of three RGB-D cameras, 145 MB/s, a core
makes 160 MB/s. Level 1 makes 400 MB/s and files a twentieth larger, and 500 MB/s with a hash table
that fits into the nearest cache (noisy pictures; as small, rendered ones a hundredth larger).
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Header,
    McapRecord,
    MessageIndex,
    Schema,
)
from mcap.summary import Summary

from brs_ml.episode.chunks import crc32
from brs_ml.episode.scan import MAGIC, MESSAGE_HEAD, RECORD_HEAD, statistics_of, summary_bytes

ZSTD, ZSTD_LEVEL, ZSTD_HASH_LOG = b"zstd", 1, 12
# First and last log time, size and checksum unpacked, compression by length and name, size packed.
CHUNK_HEAD = struct.Struct("<QQQII4sQ")


class Stream(Protocol):
    """Where the file goes."""

    def write(self, data: bytes) -> int:
        """Write all of it, or raise OSError."""

    def tell(self) -> int:
        """Bytes written so far."""


class ChunkedWriter:
    """One MCAP file: schemas and channels in the open, messages in compressed chunks.

    Args:
        stream: empty.
        profile: of the header, e.g. `ros2`.
        chunk_bytes: messages are written out when they are so many bytes, or by `flush`.
    """

    def __init__(self, stream: Stream, profile: str, chunk_bytes: int) -> None:
        self._stream, self._chunk_bytes = stream, chunk_bytes
        self._compressor = zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters.from_level(
                ZSTD_LEVEL, source_size=chunk_bytes, hash_log=ZSTD_HASH_LOG
            )
        )
        self._summary = Summary()
        self._counts: dict[int, int] = defaultdict(int)
        self._chunk: list[bytes] = []  # joined only once it is written
        self._size = 0
        self._index: dict[int, list[tuple[int, int]]] = {}  # channel -> log times and offsets
        self._stream.write(MAGIC)
        self._write(Header(profile=profile, library="brs"))

    def register_schema(self, name: str, encoding: str, data: bytes) -> int:
        """Make a message type known; returns its number."""
        number = len(self._summary.schemas) + 1
        schema = Schema(id=number, name=name, encoding=encoding, data=data)
        self._summary.schemas[number] = schema
        self._write(schema)
        return number

    def register_channel(
        self, topic: str, message_encoding: str, schema_id: int, metadata: Mapping[str, str]
    ) -> int:
        """Make a topic known; returns its number."""
        number = len(self._summary.channels) + 1
        channel = Channel(
            id=number,
            topic=topic,
            message_encoding=message_encoding,
            metadata=dict(metadata),
            schema_id=schema_id,
        )
        self._summary.channels[number] = channel
        self._write(channel)
        return number

    def add_message(
        self, channel: int, log_time_ns: int, publish_time_ns: int, data: bytes, sequence: int
    ) -> None:
        """Append a message to the chunk in the making, and write that if it is full."""
        self._index.setdefault(channel, []).append((log_time_ns, self._size))
        head = RECORD_HEAD.pack(Opcode.MESSAGE, MESSAGE_HEAD.size + len(data))
        head += MESSAGE_HEAD.pack(channel, sequence, log_time_ns, publish_time_ns)
        self._chunk += (head, data)
        self._size += len(head) + len(data)
        if self._size >= self._chunk_bytes:
            self.flush()

    def flush(self) -> None:
        """Write the chunk in the making, if there is anything in it."""
        if not self._chunk:
            return
        chunk, index = b"".join(self._chunk), self._index
        # Gone even if the stream fails, so that nothing is written twice.
        self._chunk, self._size, self._index = [], 0, {}
        times = [time_ns for entries in index.values() for time_ns, _ in entries]
        first_ns, last_ns = min(times), max(times)
        start = self._stream.tell()
        packed = self._compressor.compress(chunk)
        head = CHUNK_HEAD.pack(
            first_ns, last_ns, len(chunk), crc32(chunk), len(ZSTD), ZSTD, len(packed)
        )
        # By hand: the library would copy these megabytes twice.
        self._stream.write(RECORD_HEAD.pack(Opcode.CHUNK, len(head) + len(packed)) + head)
        self._stream.write(packed)
        offsets = {}
        indexed = self._stream.tell()
        for channel, entries in sorted(index.items()):
            offsets[channel] = self._stream.tell()
            self._write(MessageIndex(channel_id=channel, records=entries))
            self._counts[channel] += len(entries)
        self._summary.chunk_indexes.append(
            ChunkIndex(
                chunk_length=indexed - start,
                chunk_start_offset=start,
                compression=ZSTD.decode(),
                compressed_size=len(packed),
                message_start_time=first_ns,
                message_end_time=last_ns,
                message_index_length=self._stream.tell() - indexed,
                message_index_offsets=offsets,
                uncompressed_size=len(chunk),
            )
        )

    def finish(self) -> None:
        """Write what is left, and the summary."""
        self.flush()
        self._write(DataEnd(data_section_crc=0))
        self._summary.statistics = statistics_of(self._summary, self._counts)
        self._stream.write(summary_bytes(self._summary, self._stream.tell()))

    def _write(self, record: McapRecord) -> None:
        builder = RecordBuilder()
        record.write(builder)
        self._stream.write(builder.end())
