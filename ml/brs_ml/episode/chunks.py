"""Unpacks the chunks of MCAP files: checked, and never to more than a recorder would write."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import IO, Any

import zstandard
from mcap.opcode import Opcode

try:
    # Up to fourteen times faster than zlib's.
    from fastcrc.crc32 import iso_hdlc as crc32
except ImportError:
    from zlib import crc32  # type: ignore[assignment]

# Recorders write chunks of a few MB. A few bytes can claim to unpack to any size.
LARGEST_CHUNK = 256 << 20
_RECORD = struct.Struct("<BQ")  # opcode, length
_CHUNK = struct.Struct(
    "<QQQII"
)  # first and last log time, size and checksum unpacked, name's size
_LENGTH = struct.Struct("<Q")
_FRAME_HEAD = 18  # bytes that tell a zstd frame's size, at most
_HEAD = 128  # bytes that hold all of these; the names of compressions are short
_BLOCK = 1 << 20  # bytes of lz4 that are unpacked at once


def unpack_record(record: bytes) -> bytes:
    """The records in a chunk.

    Args:
        record: of a chunk, whole: opcode, length and body.

    Raises:
        ValueError, struct.error, zstandard.ZstdError: it is damaged, or unpacks to too much.
    """
    opcode, length = _RECORD.unpack_from(record)
    if opcode != Opcode.CHUNK or length != len(record) - _RECORD.size:
        raise ValueError("there is no chunk where one should be")
    _, _, size, checksum, name_size = _CHUNK.unpack_from(record, _RECORD.size)
    at = _RECORD.size + _CHUNK.size
    compression = record[at : at + name_size].decode()
    (packed_size,) = _LENGTH.unpack_from(record, at + name_size)
    packed = memoryview(record)[at + name_size + _LENGTH.size :]
    return unpack(compression, packed[:packed_size], size, checksum)


def unpack(compression: str, packed: bytes | memoryview, size: int, checksum: int) -> bytes:
    """What a chunk holds.

    Args:
        compression: zstd, lz4 or nothing.
        packed: its data.
        size: bytes that it says it holds.
        checksum: of these bytes; 0: there is none.

    Raises:
        ValueError, zstandard.ZstdError: it is damaged, or unpacks to too much.
    """
    if size > LARGEST_CHUNK:
        raise ValueError(f"a chunk claims {size} bytes, more than {LARGEST_CHUNK}")
    if compression not in _UNPACKERS:
        raise ValueError(f"compression '{compression[:20]}' is not known")
    data = _UNPACKERS[compression](packed, size)
    if len(data) != size or (checksum and crc32(data) != checksum):
        raise ValueError("a chunk does not match its size or checksum")
    return data


def _zstd(packed: bytes | memoryview, size: int) -> bytes:
    # The library trusts the size in the frame's head, so it is looked at before.
    told = zstandard.get_frame_parameters(packed).content_size
    if told not in (size, zstandard.CONTENTSIZE_UNKNOWN):
        raise ValueError("a chunk is not of the size that it claims")
    # No size at all would be no limit.
    unpacked: bytes = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size or 1)
    return unpacked


def _lz4(packed: bytes | memoryview, size: int) -> bytes:
    from lz4.frame import LZ4FrameDecompressor

    try:
        data: bytes = LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    return data


def _plain(packed: bytes | memoryview, size: int) -> bytes:
    return bytes(packed)


_UNPACKERS: dict[str, Callable[[Any, int], bytes]] = {"zstd": _zstd, "lz4": _lz4, "": _plain}


def told_size(file: IO[bytes], length: int, most: int) -> int:
    """Bytes to which a chunk would unpack, told without unpacking it; 0 if it is damaged.

    Args:
        file: at the body of the chunk's record.
        length: of that body [bytes].
        most: bytes up to which it is worth knowing; lz4 need not tell, and must be unpacked.
    """
    head = file.read(min(length, _HEAD))
    if len(head) < _CHUNK.size:
        return 0
    *_, told, _, name_length = _CHUNK.unpack_from(head)
    start = _CHUNK.size + name_length + _LENGTH.size
    if start > len(head):
        return 0
    compression = head[_CHUNK.size : _CHUNK.size + name_length]
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

    decompressor, unpacked = LZ4FrameDecompressor(), 0
    try:
        while unpacked < most and not decompressor.eof:
            data = b""
            if decompressor.needs_input:
                data = file.read(min(_BLOCK, length))
                length -= len(data)
                if not data:
                    break
            unpacked += len(decompressor.decompress(data, max_length=_BLOCK))
    except RuntimeError:
        pass  # damaged: reading it will say so, and unpacks no more than this
    return unpacked
