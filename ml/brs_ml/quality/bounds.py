"""How much an MCAP file would unpack to, told from its records' heads: nothing is unpacked.

A few kilobytes of zstd can become many gigabytes of memory, so this is looked at before a chunk of
a foreign file is touched.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zstandard
from mcap.opcode import Opcode

from brs_ml.episode.scan import MAGIC, RECORD_HEAD
from brs_ml.quality.config import FileLimits

_CHUNK_HEAD = struct.Struct("<QQQII")  # start, end, unpacked size, checksum, length of compression
_RECORDS = struct.Struct("<Q")
_FRAME_HEAD = 18  # bytes that tell a zstd frame's size, at most
_HEAD = 128  # bytes that hold all of that; the names of compressions are short
_MEGABYTE, _GIGABYTE = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Sizes:
    """Chunks of one MCAP file."""

    largest: int  # bytes of the largest one, unpacked
    total: int  # bytes of all, unpacked

    def problem(self, limits: FileLimits) -> str:
        """Why the file must not be unpacked; empty if it may be."""
        if self.largest > limits.largest_chunk_mb * _MEGABYTE:
            return (
                f"a chunk would unpack to {self.largest / _MEGABYTE:.0f} MB, "
                f"allowed are {limits.largest_chunk_mb:g}"
            )
        if self.total > limits.largest_bag_gb * _GIGABYTE:
            return (
                f"would unpack to {self.total / _GIGABYTE:.0f} GB, "
                f"allowed are {limits.largest_bag_gb:g}"
            )
        return ""


def sizes(path: Path, limits: FileLimits) -> Sizes:
    """Walk a file's records up to the first that is not whole.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        most = int(limits.largest_chunk_mb * _MEGABYTE) + 1
        chunks = list(_chunks(file, path.stat().st_size, most))
    return Sizes(max(chunks, default=0), sum(chunks))


def _chunks(file: IO[bytes], size: int, most: int) -> Iterator[int]:
    """Unpacked size [bytes] of each chunk."""
    offset = len(MAGIC)
    while offset + RECORD_HEAD.size <= size:
        file.seek(offset)
        opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
        after = offset + RECORD_HEAD.size + length
        if after > size or not 1 <= opcode <= Opcode.DATA_END:
            return
        if opcode == Opcode.CHUNK:
            yield _unpacked(file, length, most)
        offset = after


def _unpacked(file: IO[bytes], length: int, most: int) -> int:
    """Bytes that the chunk at the file's position needs; those of a damaged one are not known."""
    head = file.read(min(length, _HEAD))
    if len(head) < _CHUNK_HEAD.size:
        return 0
    *_, told, _, name_length = _CHUNK_HEAD.unpack_from(head)
    start = _CHUNK_HEAD.size + name_length + _RECORDS.size
    if start > len(head):
        return 0
    compression = head[_CHUNK_HEAD.size : _CHUNK_HEAD.size + name_length]
    if compression == b"zstd":
        return max(told, _zstd_size(head[start : start + _FRAME_HEAD]))
    if compression == b"lz4":
        file.seek(start - len(head), 1)
        return max(told, _lz4_size(file, length - start, most))
    return length


def _zstd_size(frame: bytes) -> int:
    try:
        # -1 where the frame does not tell; it is then unpacked to what the chunk tells, at most.
        return int(zstandard.frame_content_size(frame))
    except zstandard.ZstdError:
        return 0


def _lz4_size(file: IO[bytes], length: int, most: int) -> int:
    """What lz4 unpacks to, but not farther than `most`: its frames need not tell."""
    from lz4.frame import LZ4FrameDecompressor

    decompressor, unpacked, block = LZ4FrameDecompressor(), 0, _MEGABYTE
    try:
        while unpacked < most and not decompressor.eof:
            data = b""
            if decompressor.needs_input:
                data = file.read(min(block, length))
                length -= len(data)
                if not data:
                    break
            unpacked += len(decompressor.decompress(data, max_length=block))
    except RuntimeError:
        pass  # damaged: reading it will say so, and unpacks no more than this
    return unpacked
