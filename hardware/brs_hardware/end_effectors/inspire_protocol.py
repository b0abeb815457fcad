"""Frames and registers of Inspire Robots' RH56 hands on their serial line.

A request is EB 90, an answer 90 EB; both go on with the hand's id, a length, a command, a register
address (low byte first), data and a checksum: the low byte of the sum of all bytes between header
and checksum. The length counts command, address and data.

    read  11: data is the number of bytes wanted; the answer's data are those bytes
    write 12: data is what to write; the answer's data is one byte, 1 for done

Registers of 16 bit hold six values of two bytes, low byte first, in the order little, ring,
middle, index finger, thumb bend, thumb rotation. Numbers as in the RH56 manual and public drivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

REQUEST, ANSWER = b"\xeb\x90", b"\x90\xeb"
JOINTS = ("little", "ring", "middle", "index", "thumb bend", "thumb rotation")
MAX_DATA = 255 - 3
_OVERHEAD = 5  # header, id, length and checksum


class Command(IntEnum):
    READ = 0x11
    WRITE = 0x12


class Register(IntEnum):
    """Start addresses."""

    CLEAR_ERROR = 1004
    ANGLE_SET = 1486  # 6 x 16 bit, 0 bent .. 1000 straight
    FORCE_SET = 1498  # 6 x 16 bit, 0 .. 1000 gram-force
    SPEED_SET = 1522  # 6 x 16 bit, 0 .. 1000, 1000 is 800 ms for the whole way
    ANGLE_ACT = 1546  # 6 x 16 bit
    FORCE_ACT = 1582  # 6 x 16 bit, signed gram-force
    ERROR = 1606  # 6 x 8 bit
    STATUS = 1612  # 6 x 8 bit
    TEMPERATURE = 1618  # 6 x 8 bit [degrees C]


class HandError(IntFlag):
    """Bits of the ERROR register of one joint."""

    LOCKED_ROTOR = 1
    TOO_HOT = 2
    OVERCURRENT = 4
    MOTOR_ABNORMAL = 8
    COMMUNICATION = 16


_TEXTS = {
    HandError.LOCKED_ROTOR: "blocked; free it, then clear the error",
    HandError.TOO_HOT: "too hot; let it cool down",
    HandError.OVERCURRENT: "draws too much current; take load off",
    HandError.MOTOR_ABNORMAL: "its motor runs wrongly; switch the hand off and on",
    HandError.COMMUNICATION: "does not answer inside the hand; check its cable",
}


@dataclass(frozen=True)
class Frame:
    """One request or answer."""

    hand_id: int
    command: int
    address: int
    data: bytes


def encode(header: bytes, frame: Frame) -> bytes:
    """The bytes of a frame. Raises ValueError: more data than a frame holds."""
    if len(frame.data) > MAX_DATA:
        raise ValueError(f"{len(frame.data)} bytes of data do not fit into one frame")
    address = frame.address.to_bytes(2, "little")
    body = bytes([frame.hand_id, len(frame.data) + 3, frame.command]) + address + frame.data
    return header + body + bytes([sum(body) & 0xFF])


def read_request(hand_id: int, address: int, count: int) -> bytes:
    """Ask for `count` bytes from a register on."""
    return encode(REQUEST, Frame(hand_id, Command.READ, address, bytes([count])))


def write_request(hand_id: int, address: int, data: bytes) -> bytes:
    """Write bytes from a register on."""
    return encode(REQUEST, Frame(hand_id, Command.WRITE, address, data))


class FrameParser:
    """Finds frames in a stream that may start anywhere and have bytes lost or added.

    Args:
        header: REQUEST or ANSWER.
    """

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._buffer = bytearray()
        self.bad_checksums = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take what was read and return the frames that it completes."""
        self._buffer += data
        frames: list[Frame] = []
        while (start := self._buffer.find(self._header)) >= 0:
            del self._buffer[:start]
            if len(self._buffer) < 4:
                return frames
            end = self._buffer[3] + _OVERHEAD
            if self._buffer[3] < 3:
                del self._buffer[:1]  # no frame: look on behind its first byte
                continue
            if len(self._buffer) < end:
                return frames
            body, checksum = self._buffer[2 : end - 1], self._buffer[end - 1]
            if sum(body) & 0xFF != checksum:
                self.bad_checksums += 1
                del self._buffer[:1]
                continue
            address = int.from_bytes(body[3:5], "little")
            frames.append(Frame(body[0], body[2], address, bytes(body[5:])))
            del self._buffer[:end]
        # Only what may be the first byte of a header is worth keeping.
        keep = 1 if self._buffer.endswith(self._header[:1]) else 0
        del self._buffer[: len(self._buffer) - keep]
        return frames

    def clear(self) -> None:
        """Forget a frame that is under way, as after a time-out."""
        self._buffer.clear()


def pack_words(values: list[int]) -> bytes:
    """Register values as bytes; -1 tells the hand to leave that one as it is."""
    return b"".join((value & 0xFFFF).to_bytes(2, "little") for value in values)


def unpack_words(data: bytes) -> list[int]:
    """Signed 16-bit values."""
    return [
        int.from_bytes(data[i : i + 2], "little", signed=True) for i in range(0, len(data) - 1, 2)
    ]


def decode_errors(codes: bytes) -> tuple[str, ...]:
    """One line for each fault of each joint; bits without a meaning are shown as a number."""
    lines = []
    for joint, code in zip(JOINTS, codes, strict=False):
        for bit, text in _TEXTS.items():
            if code & bit:
                lines.append(f"{joint}: {text}")
        if rest := code & ~sum(_TEXTS):
            lines.append(f"{joint}: unknown error 0x{rest:02X}; look it up in the RH56 manual")
    return tuple(lines)
