"""Dynamixel Protocol 2.0 as a motor sees it: cut instructions from bytes, frame answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from fastcrc import crc16

HEADER = b"\xff\xff\xfd\x00"
BROADCAST = 0xFE
STATUS = 0x55
_STUFF = b"\xff\xff\xfd"
_LONGEST = 1024  # bytes


class Instruction(IntEnum):
    """What a host may ask."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    FACTORY_RESET = 0x06
    REBOOT = 0x08
    CLEAR = 0x10
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93


class StatusError(IntEnum):
    """Number in the low seven bits of a status packet's error byte."""

    NONE = 0
    RESULT_FAIL = 1
    INSTRUCTION = 2
    CRC = 3
    DATA_RANGE = 4
    DATA_LENGTH = 5
    DATA_LIMIT = 6
    ACCESS = 7


@dataclass(frozen=True)
class Packet:
    """One instruction that arrived."""

    motor: int
    instruction: int
    parameters: bytes
    crc_fits: bool = True


def crc(data: bytes) -> bytes:
    """CRC-16 (polynomial 0x8005, start 0, not reflected) as two bytes, low byte first."""
    return crc16.umts(data).to_bytes(2, "little")


def frame(motor: int, instruction: int, body: bytes) -> bytes:
    """A whole packet: header, length, stuffing and CRC added.

    Args:
        motor: id it comes from or goes to.
        instruction: STATUS in answers.
        body: error byte and data of an answer, or the parameters of an instruction.
    """
    content = bytes((instruction,)) + body
    if _STUFF in content:
        content = content.replace(_STUFF, _STUFF + b"\xfd")
    packet = HEADER + bytes((motor,)) + (len(content) + 2).to_bytes(2, "little") + content
    return packet + crc(packet)


def joint_frame(answers: list[tuple[int, int, bytes]]) -> bytes:
    """The one status packet with which a chain of motors answers a fast sync read.

    Each motor appends its part and the CRC of all bytes so far; these packets are not stuffed.

    Args:
        answers: (error, id, data) in the order asked for.
    """
    length = 1 + sum(len(data) + 4 for _, _, data in answers)
    packet = HEADER + bytes((BROADCAST,)) + length.to_bytes(2, "little") + bytes((STATUS,))
    for error, motor, data in answers:
        packet += bytes((error, motor)) + data
        packet += crc(packet)
    return packet


class Parser:
    """Cuts packets from a stream that may hold rubbish."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Packets completed by `data`; what cannot be one is skipped."""
        self._buffer += data
        while True:
            start = self._buffer.find(HEADER)
            if start < 0:
                self._buffer = self._buffer[-(len(HEADER) - 1) :]
                return
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 10:
                return
            length = int.from_bytes(self._buffer[5:7], "little")
            if not 3 <= length <= _LONGEST:
                self._buffer = self._buffer[len(HEADER) :]
                continue
            if len(self._buffer) < length + 7:
                return
            packet, self._buffer = self._buffer[: length + 7], self._buffer[length + 7 :]
            content = packet[7:-2].replace(_STUFF + b"\xfd", _STUFF)
            yield Packet(packet[4], content[0], content[1:], crc(packet[:-2]) == packet[-2:])

    def reset(self) -> None:
        """Forget a started packet, as motors do after a pause on the line."""
        self._buffer = b""
