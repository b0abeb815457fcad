"""An emulated Joy-Con with the methods of hidapi's `hid.device`, true to the byte.

It answers subcommands (flash reads, set-up, lamps, vibration) by 0x21 reports and sends 49-byte
0x30 reports at 66 Hz once asked to.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from brs_hardware.joycon import (
    BUTTON_BITS,
    PRODUCT_IDS,
    REPORT_SIZE,
    STANDARD_REPORT,
    STICK_FLASH,
)
from brs_hardware.leader_config import StickConfig

VENDOR_ID = 0x057E
REPORT_PERIOD_S = 0.015
_FLASH_SIZE = 0x9000
_MOST_WAITING = 32  # reports; what nobody reads is lost, the oldest first
_FULL_BATTERY = 4

# Every real controller differs a little from its neighbour: centres are never 2048.
DEFAULT_STICK = {
    "left": StickConfig(np.array([1875.0, 2153.0]), np.array([505, 790]), np.array([3280, 3304])),
    "right": StickConfig(np.array([2071.0, 1902.0]), np.array([733, 604]), np.array([3391, 3170])),
}


@dataclass
class JoyConState:
    """What the operator does with it and how it is."""

    stick: tuple[int, int]  # raw 12-bit, horizontal and vertical
    buttons: frozenset[str] = frozenset()
    battery: int = _FULL_BATTERY  # 0 empty .. 4 full
    charging: bool = False


class EmulatedJoyCon:
    """One controller; usable from several threads.

    Args:
        side: `left` or `right`.
        serial: its Bluetooth address.
        stick: calibration in its flash; None takes a usual one.
    """

    def __init__(self, side: str, serial: str, stick: StickConfig | None = None) -> None:
        self.side, self.serial = side, serial
        self.stick = stick or DEFAULT_STICK[side]
        self.state = JoyConState(self._raw((0.0, 0.0)))
        self.lamps = 0  # as the last 0x30 subcommand set them
        self.rumble = b""  # data of the last output report
        self.vibration = False
        self._flash = _flash(side, self.stick)
        self._changed = threading.Condition()
        self._open = self._blocking = False
        self._gone = self._silent = False
        self._mode = 0x3F  # simple reports on button changes, until asked for others
        self._timer = 0
        self._next_s = 0.0
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)

    def set_stick(self, deflection: tuple[float, float] | np.ndarray) -> None:
        """Push the stick: (2,) -1..1 of its travel, right + and up +."""
        self.state.stick = self._raw((float(deflection[0]), float(deflection[1])))

    def set_buttons(self, held: frozenset[str]) -> None:
        """Hold exactly these buttons. Raises ValueError for one it does not have."""
        unknown = held - set(BUTTON_BITS[self.side])
        if unknown:
            raise ValueError(f"the {self.side} Joy-Con has no button {sorted(unknown)}")
        self.state.buttons = frozenset(held)

    def disconnect(self) -> None:
        """Out of reach: reads and writes fail, opening too, until `reconnect`."""
        with self._changed:
            self._gone, self._open = True, False
            self._changed.notify_all()

    def reconnect(self) -> None:
        """Within reach again, freshly powered."""
        self._gone = self._silent = False
        self._mode = 0x3F

    def fall_silent(self, silent: bool = True) -> None:
        """Connected, but no report comes any more."""
        self._silent = silent

    def open(self, vendor_id: int, product_id: int, serial_number: str | None = None) -> None:
        """As hidapi: OSError when it is another controller or out of reach."""
        mine = (VENDOR_ID, PRODUCT_IDS[self.side])
        if (
            self._gone
            or (vendor_id, product_id) != mine
            or serial_number not in (None, self.serial)
        ):
            raise OSError("open failed")
        self._open, self._blocking = True, True
        self._waiting.clear()
        self._next_s = time.monotonic()

    def close(self) -> None:
        """As hidapi: a second time does nothing."""
        self._open = False

    def set_nonblocking(self, nonblocking: int) -> int:
        """Whether `read` without a timeout returns at once."""
        self._blocking = not nonblocking
        return 0

    def get_serial_number_string(self) -> str:
        """Its Bluetooth address."""
        return self.serial

    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]:
        """The next report, or nothing after the timeout (0: for ever, unless non-blocking)."""
        endless = timeout_ms <= 0 and self._blocking
        ends_s = time.monotonic() + max(timeout_ms, 0) * 1e-3
        with self._changed:
            while True:
                self._alive("read error")
                now_s = time.monotonic()
                if self._mode == STANDARD_REPORT and now_s >= self._next_s and not self._silent:
                    # Reports nobody fetched in time are not made up for.
                    self._next_s = max(self._next_s + REPORT_PERIOD_S, now_s)
                    self._waiting.append(self.report())
                if self._waiting:
                    return list(self._waiting.popleft()[:max_length])
                if not endless and now_s >= ends_s:
                    return []
                wait_s = REPORT_PERIOD_S if endless else ends_s - now_s
                due_s = self._next_s - now_s
                self._changed.wait(min(wait_s, due_s) if due_s > 0.0 else min(wait_s, 0.005))

    def write(self, data: bytes) -> int:
        """An output report: 0x01 with rumble and subcommand, or 0x10 with rumble alone."""
        data = bytes(data)
        with self._changed:
            self._alive("write error")
            self.rumble = data[2:10]
            if data[0] == 0x01 and len(data) > 10 and not self._silent:
                self._waiting.append(self._obey(data[10], data[11:]))
                self._changed.notify_all()
        return len(data)

    def report(self) -> bytes:
        """A standard report (0x30) of the present state."""
        data = bytearray(REPORT_SIZE)
        data[0] = STANDARD_REPORT
        data[1:13] = self._inputs()
        for start in range(13, 49, 12):
            data[start + 4 : start + 6] = (4096).to_bytes(2, "little")  # 1 g: it lies flat
        return bytes(data)

    def _alive(self, error: str) -> None:
        if self._gone:
            raise OSError(error)
        if not self._open:
            raise ValueError("not open")

    def _inputs(self) -> bytes:
        """Timer, battery, buttons, sticks and vibration code of an input report."""
        self._timer = (self._timer + 3) & 0xFF
        data = bytearray(13)
        data[1] = self._timer
        data[2] = self.state.battery << 5 | int(self.state.charging) << 4 | 0x0E
        for name in self.state.buttons:
            byte, bit = BUTTON_BITS[self.side][name]
            data[byte] |= 1 << bit
        place = 6 if self.side == "left" else 9
        data[place : place + 3] = _twelve_bits(*self.state.stick)
        data[12] = 0x0B if self.vibration else 0x00
        return bytes(data[1:])

    def _obey(self, subcommand: int, argument: bytes) -> bytes:
        """The 0x21 report that answers a subcommand."""
        acknowledged, answer = 0x80, b""
        if subcommand == 0x10:
            address = int.from_bytes(argument[:4], "little")
            acknowledged, answer = (
                0x90,
                argument[:5] + self._flash[address : address + argument[4]],
            )
        elif subcommand == 0x02:  # firmware 4.6, kind of controller, serial
            kind = 1 if self.side == "left" else 2
            acknowledged = 0x82
            answer = bytes((4, 6, kind, 2)) + bytes.fromhex(self.serial.replace(":", "")) + b"\1\1"
        elif subcommand == 0x03:
            self._mode = argument[0]
        elif subcommand == 0x06:
            self._mode = 0x3F
        elif subcommand == 0x30:
            self.lamps = argument[0]
        elif subcommand == 0x48:
            self.vibration = bool(argument[0])
        elif subcommand not in (0x08, 0x38, 0x40, 0x41):  # low power, home light, motion sensor
            acknowledged = 0x00
        data = bytes((0x21,)) + self._inputs() + bytes((acknowledged, subcommand)) + answer
        return data.ljust(REPORT_SIZE, b"\0")

    def _raw(self, deflection: tuple[float, float]) -> tuple[int, int]:
        stick = self.stick
        value = np.clip(deflection, -1.0, 1.0)
        span = np.where(value < 0.0, stick.centre - stick.lower, stick.upper - stick.centre)
        horizontal, vertical = np.rint(stick.centre + value * span).astype(int)
        return int(horizontal), int(vertical)


def _twelve_bits(first: int, second: int) -> bytes:
    """Two 12-bit numbers in three bytes."""
    return bytes((first & 0xFF, first >> 8 & 0x0F | (second & 0x0F) << 4, second >> 4))


def _flash(side: str, stick: StickConfig) -> bytes:
    """What is read of the flash: colours, stick and motion sensor calibration of the factory."""
    flash = bytearray(b"\xff" * _FLASH_SIZE)
    flash[0x6050:0x6056] = bytes.fromhex("0ab9e6001e1e" if side == "left" else "ff3c281e0a0a")
    motion = (0, 0, 0, 0x4000, 0x4000, 0x4000, 0, 0, 0, 0x343B, 0x343B, 0x343B)
    flash[0x6020:0x6038] = b"".join(number.to_bytes(2, "little") for number in motion)
    centre = [int(number) for number in stick.centre]
    below = [int(number) for number in stick.centre - stick.lower]
    above = [int(number) for number in stick.upper - stick.centre]
    order = (above, centre, below) if side == "left" else (centre, below, above)
    address = STICK_FLASH[side][1]
    flash[address : address + 9] = b"".join(_twelve_bits(*numbers) for numbers in order)
    return bytes(flash)
