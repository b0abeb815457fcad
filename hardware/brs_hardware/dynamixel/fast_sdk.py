"""The Dynamixel SDK's port and packet handler, with their slow places replaced.

The transactions stay the SDK's (GroupSyncRead, readTxRx, ...). What is replaced, and why
(16 motors, measured against the emulated bus):

* `readPort` of the SDK polls: about 50 `select` and 32 `read` calls for one sync read of all,
  half of its time, and a busy core that starves whatever else runs there. Here one blocking read
  takes all that has arrived, and packets are cut from that buffer.
* `updateCRC` walks byte by byte through a table built anew at each call; `fastcrc` does it in C.
* `addStuffing` and `removeStuffing` walk byte by byte. They are also wrong in SDK 4.1.0:
  `txPacket` ignores the longer list that `addStuffing` returns, so data holding FF FF FD goes out
  without its stuffing byte; and `removeStuffing` reads bytes that it has overwritten already
  when a packet holds two stuffed sequences.
* `rxPacket` searches and checks the header byte by byte over lists; here over `bytes`.
* The SDK waits 34 ms for a lost byte, whatever the latency of the adapter.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import Any

import serial
from dynamixel_sdk import (
    BROADCAST_ID,
    COMM_RX_CORRUPT,
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    MAX_ID,
    PortHandler,
    Protocol2PacketHandler,
)
from fastcrc import crc16

HEADER = b"\xff\xff\xfd\x00"
STUFF = b"\xff\xff\xfd"
STATUS = 0x55
SHORTEST_STATUS = 11  # bytes
LONGEST_STATUS = 1024  # bytes after the length field
_DRAIN_S = 0.001  # silence that ends a broken answer


class FastPort(PortHandler):
    """A serial port that sleeps until bytes arrive.

    Args:
        port_name: device file.
        reply_timeout_s: how long a motor may stay silent beyond the time its bytes take.
    """

    def __init__(self, port_name: str, reply_timeout_s: float) -> None:
        super().__init__(port_name)
        self.is_open: bool = False
        self.reply_timeout_s = reply_timeout_s
        # Broadcast ping: the SDK waits for 253 motors; nobody has more than these.
        self.longest_wait_s = 1.0
        self.received = bytearray()
        self._deadline_s = 0.0
        self._file = -1

    def setupPort(self, cflag_baud: int) -> bool:
        """Open the device at the baud rate, for this process alone."""
        if self.is_open:
            self.closePort()
        self.ser = serial.Serial(
            port=self.port_name, baudrate=cflag_baud, timeout=0, exclusive=True
        )
        # FTDI adapters such as the U2D2 otherwise keep bytes back for 16 ms. Pseudo terminals and
        # other adapters know no such flag, and hold nothing back.
        with contextlib.suppress(ValueError, OSError):
            self.ser.set_low_latency_mode(True)
        self._file = self.ser.fileno()
        self.is_open = True
        self.is_using = False
        self.clearPort()
        self.tx_time_per_byte = 10_000.0 / cflag_baud  # ms; 8 bits, start and stop
        return True

    def clearPort(self) -> None:
        """Forget all that was received."""
        self.ser.reset_input_buffer()
        self.received.clear()

    def drain(self) -> None:
        """Throw away what still arrives, so that a late answer is not taken for the next one.

        Raises:
            OSError: the device is gone.
        """
        self.received.clear()
        while select.select((self._file,), (), (), _DRAIN_S)[0]:
            if not os.read(self._file, 4096):
                raise OSError(f"{self.port_name} is gone")

    def readPort(self, length: int) -> bytes:
        """Up to `length` bytes; waits for the first of them until the packet's deadline.

        Raises:
            OSError: the device is gone.
        """
        received = self.received
        if len(received) < length:
            left = self._deadline_s - time.monotonic()
            if select.select((self._file,), (), (), max(left, 0.0))[0]:
                chunk = os.read(self._file, 4096)
                if not chunk:
                    raise OSError(f"{self.port_name} is gone")
                received += chunk
        chunk = bytes(received[:length])
        del received[:length]
        return chunk

    def writePort(self, packet: Any) -> int:
        """Send a packet (list of ints or bytes). Raises OSError when the device is gone."""
        return os.write(self._file, bytes(packet))

    def setPacketTimeout(self, packet_length: int) -> None:
        """Start waiting for a reply of so many bytes."""
        wait_s = packet_length * self.tx_time_per_byte * 1e-3 + self.reply_timeout_s
        self._deadline_s = time.monotonic() + wait_s

    def setPacketTimeoutMillis(self, msec: float) -> None:
        """Start waiting for so long, but never beyond `longest_wait_s`."""
        self._deadline_s = time.monotonic() + min(msec * 1e-3, self.longest_wait_s)

    def isPacketTimeout(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self._deadline_s


class FastPacketHandler(Protocol2PacketHandler):
    """Protocol 2.0 packets without byte-wise loops; notes which motors raise their alert bit."""

    def __init__(self) -> None:
        self.alerts: set[int] = set()  # ids seen with the alert bit since last cleared
        self.joint_status = b""  # (error, id, data, CRC) of each motor in the last fast read

    def updateCRC(self, crc_accum: int, data_blk_ptr: Any, data_blk_size: int) -> int:
        """CRC-16 of polynomial 0x8005, as the SDK's."""
        return crc16.umts(bytes(data_blk_ptr[:data_blk_size]), crc_accum)

    def addStuffing(self, packet: list[int]) -> list[int]:
        """Add FD after each FF FF FD behind the header, in place (room for the CRC is kept)."""
        length = packet[5] | packet[6] << 8
        body = bytes(packet[7 : 7 + length - 2])
        if STUFF in body:
            body = body.replace(STUFF, STUFF + b"\xfd")
            packet[7:] = [*body, 0, 0]
            packet[5], packet[6] = (len(body) + 2) & 0xFF, (len(body) + 2) >> 8
        return packet

    def removeStuffing(self, packet: Any) -> Any:
        """A status packet without its stuffing bytes."""
        if packet.find(STUFF + b"\xfd", 7, -2) < 0:
            return packet
        body = packet[7:-2].replace(STUFF + b"\xfd", STUFF)
        length = (len(body) + 2).to_bytes(2, "little")
        return packet[:5] + length + body + packet[-2:]

    def rxPacket(self, port: FastPort, fast_option: bool) -> tuple[Any, int]:
        """The next status packet as bytes, and how that went; rubbish before it is dropped."""
        greatest_id = BROADCAST_ID if fast_option else MAX_ID
        packet, wanted = b"", SHORTEST_STATUS
        try:
            while True:
                if len(packet) < wanted:
                    packet += port.readPort(wanted - len(packet))
                if len(packet) < wanted:
                    if port.isPacketTimeout():
                        return packet, COMM_RX_CORRUPT if packet else COMM_RX_TIMEOUT
                    continue
                length = packet[5] | packet[6] << 8
                header_fits = (
                    packet.startswith(HEADER)
                    and packet[4] <= greatest_id
                    and packet[7] == STATUS
                    and SHORTEST_STATUS - 7 <= length <= LONGEST_STATUS
                )
                if not header_fits:
                    packet, wanted = _from_next_header(packet), SHORTEST_STATUS
                    continue
                wanted = length + 7
                if len(packet) < wanted:
                    continue
                crc = packet[wanted - 2] | packet[wanted - 1] << 8
                if crc16.umts(packet[: wanted - 2]) != crc:
                    return packet, COMM_RX_CORRUPT
                return (packet if fast_option else self.removeStuffing(packet)), COMM_SUCCESS
        finally:
            port.is_using = False

    def readRx(self, port: FastPort, dxl_id: int, length: int) -> tuple[bytes, int, int]:
        """Data of one motor's status packet; keeps the alert bit that group reads throw away."""
        while True:
            packet, result = self.rxPacket(port, False)
            if result != COMM_SUCCESS:
                return b"", result, 0
            if packet[4] == dxl_id:
                break
        error = packet[8]
        if error & 0x80:
            self.alerts.add(dxl_id)
        data = packet[9 : 9 + length]
        # An error status carries no data: to the group read it is as good as no answer.
        return data, COMM_SUCCESS if len(packet) == length + 11 else COMM_RX_CORRUPT, error

    def fastSyncReadRx(self, port: FastPort, dxl_id: int, length: int) -> tuple[bytes, int, int]:
        """The joint status packet of a fast sync read: (error, id, data, CRC) for each motor."""
        packet, result = self.rxPacket(port, True)
        if result == COMM_SUCCESS and (packet[4] != dxl_id or len(packet) != 8 + length):
            result = COMM_RX_CORRUPT
        self.joint_status = packet[8 : 8 + length]
        return self.joint_status, result, 0


def _from_next_header(packet: bytes) -> bytes:
    """What is left from the next place on where a header may begin."""
    start = packet.find(b"\xff", 1)
    return packet[start:] if start > 0 else b""
