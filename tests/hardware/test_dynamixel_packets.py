"""Packets of the SDK as mended here, against references written from the protocol's text."""

from __future__ import annotations

from dynamixel_sdk import COMM_RX_CORRUPT, COMM_SUCCESS, Protocol2PacketHandler
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brs_hardware.dynamixel.fast_sdk import FastPacketHandler
from brs_sim.emulators.packets import Parser, crc, frame

# Bytes in which the header's pattern is frequent.
tricky = st.lists(st.sampled_from([0xFF, 0xFF, 0xFD, 0xFD, 0x00, 0x55, 0x7F])).map(bytes)


class WirePort:
    """What the packet handler needs of a port: bytes written, bytes to be read, no waiting."""

    def __init__(self, to_read: bytes = b"") -> None:
        self.is_using = False
        self.written = b""
        self.to_read = to_read

    def clearPort(self) -> None:
        pass

    def writePort(self, packet: list[int]) -> int:
        self.written = bytes(packet)
        return len(packet)

    def readPort(self, length: int) -> bytes:
        data, self.to_read = self.to_read[:length], self.to_read[length:]
        return data

    def isPacketTimeout(self) -> bool:
        return not self.to_read


def naive_crc(data: bytes) -> int:
    """Bit by bit: polynomial x^16 + x^15 + x^2 + 1, start 0, highest bit first."""
    register = 0
    for byte in data:
        for bit in range(7, -1, -1):
            carry = (register >> 15) ^ (byte >> bit & 1)
            register = register << 1 & 0xFFFF
            if carry:
                register ^= 0x8005
    return register


def naive_stuffing(body: bytes) -> bytes:
    """FD after each FF FF FD."""
    out: list[int] = []
    for index, byte in enumerate(body):
        out.append(byte)
        if byte == 0xFD and index >= 2 and body[index - 1] == body[index - 2] == 0xFF:
            out.append(0xFD)
    return bytes(out)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_crc_is_that_of_the_protocol_and_of_the_sdk(data: bytes) -> None:
    expected = naive_crc(data)
    assert FastPacketHandler().updateCRC(0, list(data), len(data)) == expected
    assert Protocol2PacketHandler().updateCRC(0, list(data), len(data)) == expected
    assert crc(data) == bytes((expected & 0xFF, expected >> 8))


@settings(deadline=None)
@given(tricky)
@example(b"\xff\xff\xfd" * 3)
def test_a_write_is_stuffed_and_understood_by_the_motor(data: bytes) -> None:
    """SDK 4.1.0 alone sends FF FF FD unstuffed: txPacket drops what addStuffing returns."""
    port = WirePort()
    result = FastPacketHandler().writeTxOnly(port, 5, 116, len(data), list(data))
    assert result == COMM_SUCCESS
    body = naive_stuffing(bytes((0x03, 116, 0)) + data)
    head = b"\xff\xff\xfd\x00\x05" + (len(body) + 2).to_bytes(2, "little") + body
    assert port.written == head + naive_crc(head).to_bytes(2, "little")
    (packet,) = Parser().feed(port.written)
    assert (packet.motor, packet.instruction) == (5, 0x03)
    assert packet.parameters == bytes((116, 0)) + data
    assert packet.crc_fits


@settings(deadline=None)
@given(tricky, st.sampled_from([b"", b"\xff", b"\xff\xff", b"\x00\x01\x02", b"\xff\xff\xfd"]))
@example(b"\xff\xff\xfd\x00\xff\xfd\xff\xff\xfd", b"")
def test_an_answer_is_found_behind_rubbish_and_unstuffed(data: bytes, rubbish: bytes) -> None:
    """SDK 4.1.0 alone spoils answers with two stuffed sequences: it reads what it overwrote."""
    answer = frame(3, 0x55, b"\x00" + data)
    port = WirePort(rubbish + frame(2, 0x55, b"\x00late") + answer)
    found, result, error = FastPacketHandler().readRx(port, 3, len(data))
    assert (bytes(found), result, error) == (data, COMM_SUCCESS, 0)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=20), st.data())
def test_a_wrong_byte_is_never_taken_for_data(data: bytes, draw: st.DataObject) -> None:
    answer = bytearray(frame(3, 0x55, b"\x00" + data))
    place = draw.draw(st.integers(0, len(answer) - 1))
    answer[place] ^= draw.draw(st.integers(1, 255))
    found, result, _ = FastPacketHandler().readRx(WirePort(bytes(answer)), 3, len(data))
    assert result != COMM_SUCCESS or bytes(found) == data


def test_an_error_status_is_no_data() -> None:
    port = WirePort(frame(3, 0x55, b"\x07"))
    assert FastPacketHandler().readRx(port, 3, 4)[1] == COMM_RX_CORRUPT


@settings(deadline=None)
@given(tricky, st.integers(1, 5))
def test_the_motor_side_finds_packets_in_a_stream_cut_anywhere(data: bytes, cut: int) -> None:
    stream = b"\x00\xff" + frame(1, 0x02, data) + b"\xfd" + frame(2, 0x03, data)
    parser = Parser()
    found = [
        packet
        for start in range(0, len(stream), cut)
        for packet in parser.feed(stream[start : start + cut])
    ]
    assert [(packet.motor, packet.parameters) for packet in found] == [(1, data), (2, data)]
