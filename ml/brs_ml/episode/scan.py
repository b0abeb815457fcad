"""Walks an MCAP file record by record, so that a torn one is read as far as it goes.

The `mcap` library reads by the summary at the file's end, which a crash leaves unwritten. Here
the data section itself is walked: each record is an opcode, a length and a body; the first
record that is not wholly there ends the walk. Chunks that do not unpack are left out.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

import zstandard
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.stream_reader import CRCValidationError
from mcap.summary import Summary

from brs_ml.episode.chunks import LARGEST_CHUNK, unpack
from brs_ml.episode.errors import EpisodeError

MAGIC = b"\x89MCAP0\r\n"
RECORD_HEAD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")
# What the mcap and zstandard libraries raise on bytes that are no MCAP.
DAMAGE = (
    McapError,
    CRCValidationError,
    zstandard.ZstdError,
    struct.error,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
)


class Record(NamedTuple):
    """Where a record is in a file."""

    opcode: int
    offset: int  # of its head
    length: int  # of its body [bytes]


@dataclass
class Scan:
    """What the data section of a file holds."""

    summary: Summary
    end: int  # offset after the last whole record of the data section
    complete: bool  # the data section is closed by its end record
    damaged_chunks: int = 0
    # Message indexes of the last chunk that the file lacks, to be written behind `end`.
    missing_indexes: list[MessageIndex] = field(default_factory=list)


@dataclass
class _ChunkContents:
    schemas: list[Schema]
    channels: list[Channel]
    indexes: dict[int, MessageIndex]  # by channel


def scan(path: Path) -> Scan:
    """Index the whole records of an MCAP file without changing it.

    Raises:
        EpisodeError: the file is missing or is no MCAP file from its first bytes on.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _scan(file, size, path)
    except OSError as error:
        raise EpisodeError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="check the path"
        ) from None


def _scan(file: IO[bytes], size: int, path: Path) -> Scan:
    if file.read(len(MAGIC)) != MAGIC:
        raise EpisodeError(
            "is not an MCAP file", where=str(path), remedy="give the folder of a recorded episode"
        )
    summary = Summary()
    found = Scan(summary=summary, end=len(MAGIC), complete=False)
    counts: dict[int, int] = defaultdict(int)
    unindexed: dict[int, MessageIndex] = {}
    for opcode, offset, length in records(file, size):
        if opcode == Opcode.DATA_END:
            found.complete = True
            break
        if opcode in (Opcode.CHUNK, Opcode.MESSAGE_INDEX, Opcode.SCHEMA, Opcode.CHANNEL):
            try:
                if length > LARGEST_CHUNK:
                    raise ValueError(f"a record of {length} bytes")
                body = file.read(length)
                if opcode == Opcode.CHUNK:
                    if unindexed:
                        # With a part of its indexes a chunk would hide messages: leave it none.
                        summary.chunk_indexes[-1].message_index_offsets.clear()
                        summary.chunk_indexes[-1].message_index_length = 0
                    unindexed = _add_chunk(summary, body, offset, counts)
                elif opcode == Opcode.MESSAGE_INDEX and summary.chunk_indexes:
                    index = MessageIndex.read(ReadDataStream(BytesIO(body)))
                    if unindexed.pop(index.channel_id, None) is not None:
                        chunk_index = summary.chunk_indexes[-1]
                        chunk_index.message_index_offsets[index.channel_id] = offset
                        chunk_index.message_index_length += RECORD_HEAD.size + length
                elif opcode == Opcode.SCHEMA:
                    schema = Schema.read(ReadDataStream(BytesIO(body)))
                    summary.schemas.setdefault(schema.id, schema)
                elif opcode == Opcode.CHANNEL:
                    channel = Channel.read(ReadDataStream(BytesIO(body)))
                    summary.channels.setdefault(channel.id, channel)
            except DAMAGE:
                found.damaged_chunks += 1
                unindexed = {}
        found.end = offset + RECORD_HEAD.size + length
    found.missing_indexes = list(unindexed.values())
    summary.statistics = statistics_of(summary, counts)
    return found


def records(file: IO[bytes], size: int) -> Iterator[Record]:
    """The whole records of a file's data section, and its end record; only heads are read.

    At each the file stands at the record's body; it may be moved.

    Args:
        file: an MCAP file.
        size: of the file [bytes].
    """
    offset = len(MAGIC)
    while offset + RECORD_HEAD.size <= size:
        file.seek(offset)
        opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
        after = offset + RECORD_HEAD.size + length
        if after > size or not 1 <= opcode <= Opcode.DATA_END:
            return
        yield Record(opcode, offset, length)
        if opcode == Opcode.DATA_END:
            return
        offset = after


def _add_chunk(
    summary: Summary, body: bytes, offset: int, counts: dict[int, int]
) -> dict[int, MessageIndex]:
    chunk = Chunk.read(ReadDataStream(BytesIO(body)))
    contents = _unpack(chunk)
    for schema in contents.schemas:
        summary.schemas.setdefault(schema.id, schema)
    for channel in contents.channels:
        summary.channels.setdefault(channel.id, channel)
    unknown = contents.indexes.keys() - summary.channels.keys()
    if unknown:
        raise ValueError(f"messages of unknown channels {sorted(unknown)}")
    for channel_id, index in contents.indexes.items():
        counts[channel_id] += len(index.records)
    summary.chunk_indexes.append(
        ChunkIndex(
            chunk_length=RECORD_HEAD.size + len(body),
            chunk_start_offset=offset,
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            message_start_time=chunk.message_start_time,
            message_end_time=chunk.message_end_time,
            message_index_length=0,
            message_index_offsets={},
            uncompressed_size=chunk.uncompressed_size,
        )
    )
    return contents.indexes


def _unpack(chunk: Chunk) -> _ChunkContents:
    """Records of a chunk; raises one of DAMAGE where it is not sound."""
    data = unpack(chunk.compression, chunk.data, chunk.uncompressed_size, chunk.uncompressed_crc)
    size = len(data)
    contents = _ChunkContents([], [], {})
    offset = 0
    while offset < size:
        opcode, length = RECORD_HEAD.unpack_from(data, offset)
        start = offset + RECORD_HEAD.size
        if start + length > size:
            raise ValueError("a record runs over the end of its chunk")
        if opcode == Opcode.MESSAGE:
            channel_id, _, log_time, _ = MESSAGE_HEAD.unpack_from(data, start)
            index = contents.indexes.setdefault(channel_id, MessageIndex(channel_id, []))
            index.records.append((log_time, offset))
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            body = ReadDataStream(BytesIO(data[start : start + length]))
            if opcode == Opcode.SCHEMA:
                contents.schemas.append(Schema.read(body))
            else:
                contents.channels.append(Channel.read(body))
        offset = start + length
    return contents


def statistics_of(summary: Summary, counts: dict[int, int]) -> Statistics:
    """Statistics of the chunks that a summary lists, and the messages of each channel."""
    full = [index for index in summary.chunk_indexes if index.uncompressed_size]
    return Statistics(
        attachment_count=0,
        channel_count=len(summary.channels),
        channel_message_counts=dict(counts),
        chunk_count=len(summary.chunk_indexes),
        message_count=sum(counts.values()),
        message_start_time=min((index.message_start_time for index in full), default=0),
        message_end_time=max((index.message_end_time for index in full), default=0),
        metadata_count=0,
        schema_count=len(summary.schemas),
    )


def repair(path: Path) -> Scan:
    """Cut a torn MCAP file behind its last whole record and give it indexes and a summary.

    What was whole is untouched and nothing is copied, so a nearly full disk is enough.

    Raises:
        EpisodeError: the file is no MCAP file.
        OSError: the summary cannot be written; the file then holds its data without one.
    """
    found = scan(path)
    with path.open("r+b") as file:
        file.truncate(found.end)
        file.seek(found.end)
        tail = RecordBuilder()
        if found.end == len(MAGIC):
            Header(profile="ros2", library="brs").write(tail)
        if found.missing_indexes:
            chunk_index = found.summary.chunk_indexes[-1]
            for index in found.missing_indexes:
                chunk_index.message_index_offsets[index.channel_id] = found.end + tail.count
                before = tail.count
                index.write(tail)
                chunk_index.message_index_length += tail.count - before
        DataEnd(data_section_crc=0).write(tail)
        data = tail.end()
        file.write(data + summary_bytes(found.summary, found.end + len(data)))
        file.flush()
        os.fsync(file.fileno())
    return found


def summary_bytes(summary: Summary, start: int) -> bytes:
    """Summary section, footer and closing magic for a file whose data section ends at `start`."""
    builder = RecordBuilder()
    offsets: list[SummaryOffset] = []
    statistics = [summary.statistics] if summary.statistics else []
    groups: list[tuple[Opcode, list[McapRecord]]] = [
        (Opcode.SCHEMA, list(summary.schemas.values())),
        (Opcode.CHANNEL, list(summary.channels.values())),
        (Opcode.STATISTICS, list(statistics)),
        (Opcode.CHUNK_INDEX, list(summary.chunk_indexes)),
    ]
    for opcode, records in groups:
        group_start = builder.count
        for record in records:
            record.write(builder)
        if records:
            offsets.append(SummaryOffset(opcode, start + group_start, builder.count - group_start))
    offset_start = start + builder.count
    for offset in offsets:
        offset.write(builder)
    data = builder.end()
    # The checksum covers the summary and the footer up to the checksum itself.
    footer_head = struct.pack("<BQQQ", Opcode.FOOTER, 8 + 8 + 4, start, offset_start)
    Footer(start, offset_start, zlib.crc32(footer_head, zlib.crc32(data))).write(builder)
    return data + builder.end() + MAGIC
