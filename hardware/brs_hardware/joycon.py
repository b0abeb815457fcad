"""One Joy-Con: sticks, buttons, battery and rumble, over Bluetooth HID.

The byte protocol (flash reads, set-up, decoding of reports) is pyjoycon's: its `JoyCon` class is
subclassed. Replaced is what fails in use: its constructor opens the first controller of a side
whatever the serial number, waits for ever on a controller that does not answer, and starts by
Thread.setDaemon (deprecated) a thread that dies in silence when the controller goes.
"""

from __future__ import annotations

import importlib
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from pyjoycon import JoyCon as PyJoyCon
from pyjoycon.constants import JOYCON_L_PRODUCT_ID, JOYCON_R_PRODUCT_ID, JOYCON_VENDOR_ID

from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.joycon_calibration import stored_stick
from brs_hardware.leader_config import JoyConConfig, StickConfig
from brs_hardware.types import JOYCON_BUTTONS, JoyConSample

PRODUCT_IDS = {"left": JOYCON_L_PRODUCT_ID, "right": JOYCON_R_PRODUCT_ID}
# (byte of the report, bit) of each button, by side.
BUTTON_BITS = {
    "left": {
        "down": (5, 0),
        "up": (5, 1),
        "right": (5, 2),
        "left": (5, 3),
        "sr": (5, 4),
        "sl": (5, 5),
        "l": (5, 6),
        "zl": (5, 7),
        "minus": (4, 0),
        "stick": (4, 3),
        "capture": (4, 5),
    },
    "right": {
        "y": (3, 0),
        "x": (3, 1),
        "b": (3, 2),
        "a": (3, 3),
        "sr": (3, 4),
        "sl": (3, 5),
        "r": (3, 6),
        "zr": (3, 7),
        "plus": (4, 1),
        "stick": (4, 2),
        "home": (4, 4),
    },
}
# Flash address of the stick calibration a user has made (its magic first), and of the factory's.
STICK_FLASH = {"left": (0x8010, 0x603D), "right": (0x801B, 0x6046)}
USER_MAGIC = b"\xb2\xa1"
REPORT_SIZE = 49
STANDARD_REPORT = 0x30
_NEUTRAL_RUMBLE = b"\x00\x01\x40\x40" * 2
_READ_TIMEOUT_MS = 50
_REPLY_TIMEOUT_S = 1.0

_log = logging.getLogger(__name__)


class HidDevice(Protocol):
    """The part of hidapi's `hid.device` that is used."""

    def open(self, vendor_id: int, product_id: int, serial_number: str | None) -> None:
        """Open; raises OSError when there is no such device."""

    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]:
        """One report, or nothing after the timeout; raises OSError when the device is gone."""

    def write(self, data: bytes) -> int:
        """Send one report; raises OSError when the device is gone."""

    def close(self) -> None:
        """Close; a second time does nothing."""

    def get_serial_number_string(self) -> str:
        """Bluetooth address of the open device."""


def hidapi_device() -> HidDevice:
    """A device of hidapi's hidraw backend: its libusb backend sees no Bluetooth devices."""
    device: HidDevice = _hidapi().device()
    return device


def connected_controllers() -> list[tuple[str, str]]:
    """(side, serial) of all Joy-Cons that the system knows."""
    sides = {product: side for side, product in PRODUCT_IDS.items()}
    return sorted(
        (sides[found["product_id"]], found["serial_number"])
        for found in _hidapi().enumerate(JOYCON_VENDOR_ID, 0)
        if found["product_id"] in sides
    )


class JoyCon:
    """One controller, read by its own thread.

    Args:
        side: `left` or `right`.
        config: serial number, stick calibration, dead zone.
        clock: gives the stamp of a report when it arrives [s]; called by the reading thread.
        device_factory: makes the HID device; emulated controllers come in here.
    """

    def __init__(
        self,
        side: str,
        config: JoyConConfig,
        clock: Callable[[], float],
        device_factory: Callable[[], HidDevice] = hidapi_device,
    ) -> None:
        self.side, self.config = side, config
        self._clock, self._factory = clock, device_factory
        self._controller: _Controller | None = None
        self._stick = config.stick
        self.serial = config.serial or ""  # Bluetooth address, known once connected
        self._where = f"{side} Joy-Con" + (f" {config.serial}" if config.serial else "")

    def connect(self) -> None:
        """Open the controller, set it up and start to read it.

        Raises:
            DeviceError: not found, no permission, or it does not answer.
        """
        self.close()
        try:
            controller = _Controller(self.side, self.config.serial, self._clock, self._factory)
            try:
                self.serial = controller.serial
                self._stick = self.config.stick or self._stored_stick() or controller.flash_stick()
                controller.start(_REPLY_TIMEOUT_S)
            except BaseException:
                controller.stop()
                raise
        except PermissionError:
            raise DeviceError(
                "no permission to open it",
                where=self._where,
                remedy="install the udev rule for hidraw devices and connect again",
            ) from None
        except OSError as error:
            raise DeviceError(
                f"cannot be reached: {error}",
                where=self._where,
                remedy="press its sync button, pair it by Bluetooth and try again",
            ) from None
        self._controller = controller

    def close(self) -> None:
        """Stop reading and close; a second time does nothing."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    @property
    def age_s(self) -> float:
        """Time since the last report [s]; infinite before the first."""
        controller = self._controller
        return math.inf if controller is None else time.monotonic() - controller.arrived_s

    @property
    def connected(self) -> bool:
        """Whether reports arrive."""
        controller = self._controller
        return (
            controller is not None
            and controller.failure is None
            and self.age_s <= self.config.silent_after_s
        )

    def sample(self) -> JoyConSample:
        """The latest report, stamped with its arrival.

        Raises:
            DeviceError: not connected, disconnected, or silent for `silent_after_s`.
        """
        controller = self._live()
        report, stamp_s = controller.latest
        bits = BUTTON_BITS[self.side]
        held = frozenset(
            name
            for name in JOYCON_BUTTONS[self.side]
            if report[bits[name][0]] >> bits[name][1] & 1
        )
        return JoyConSample(stamp_s, self._deflection(raw_stick(report, self.side)), held)

    def raw_stick(self) -> np.ndarray:
        """(2,) raw 12-bit values, horizontal and vertical, for calibration.

        Raises:
            DeviceError: as `sample`.
        """
        return raw_stick(self._live().latest[0], self.side)

    @property
    def battery(self) -> float:
        """Charge, 0 to 1 in quarters. Raises DeviceError as `sample`."""
        return int(self._live().get_battery_level()) / 4.0

    @property
    def charging(self) -> bool:
        """Whether it is being charged. Raises DeviceError as `sample`."""
        return bool(self._live().get_battery_charging())

    def rumble(self, strength: float, duration_s: float) -> None:
        """Shake it for a while.

        Args:
            strength: 0 to 1.
            duration_s: how long [s]; the reading thread ends it.

        Raises:
            DeviceError: as `sample`.
        """
        controller = self._live()
        try:
            controller.rumble(strength, time.monotonic() + duration_s)
        except (OSError, ValueError) as error:
            controller.failure = str(error)
            raise self._lost(controller.failure) from None

    def _live(self) -> _Controller:
        controller = self._controller
        if controller is None:
            raise DeviceError("is not connected", where=self._where, remedy="connect it first")
        if controller.failure is not None:
            raise self._lost(controller.failure)
        if self.age_s > self.config.silent_after_s:
            raise self._lost(f"silent for {self.age_s:.1f} s")
        return controller

    def _lost(self, why: str) -> DeviceError:
        return DeviceError(
            f"lost the controller ({why})",
            where=self._where,
            remedy="bring it nearer, check its battery, and press a button to reconnect",
        )

    def _stored_stick(self) -> StickConfig | None:
        try:
            return stored_stick(self.serial)
        except ConfigError as error:
            _log.warning("%s; using the calibration in its flash", error)
            return None

    def _deflection(self, raw: np.ndarray) -> np.ndarray:
        assert self._stick is not None  # connect() has set it
        return stick_deflection(raw, self._stick, self.config.dead_zone)


def raw_stick(report: bytes, side: str) -> np.ndarray:
    """(2,) raw 12-bit stick values of a standard report, horizontal and vertical."""
    low, middle, high = report[6:9] if side == "left" else report[9:12]
    return np.array([low | (middle & 0x0F) << 8, middle >> 4 | high << 4])


def stick_deflection(raw: np.ndarray, stick: StickConfig, dead_zone: float) -> np.ndarray:
    """Deflection -1..1 of raw stick values: 0 within the dead zone, rising from 0 at its edge.

    Args:
        raw: (2,) 12-bit values.
        stick: calibration; what its stick shows at rest widens the dead zone.
        dead_zone: part of the full deflection.
    """
    dead_zone += (1.0 - dead_zone) * stick.rest
    offset = raw - stick.centre
    span = np.where(offset < 0.0, stick.centre - stick.lower, stick.upper - stick.centre)
    deflection = np.clip(offset / span, -1.0, 1.0)
    beyond = np.maximum(np.abs(deflection) - dead_zone, 0.0) / (1.0 - dead_zone)
    return np.sign(deflection) * beyond


def rumble_bytes(strength: float) -> bytes:
    """Four bytes for each half of the controller: 160 Hz low and 320 Hz high at an amplitude.

    Args:
        strength: 0 to 1; 1 is the greatest amplitude that does not harm the motor.
    """
    level = round(100 * min(max(strength, 0.0), 1.0))  # the code goes to 100 in each band
    if level == 0:
        return _NEUTRAL_RUMBLE
    low = 0x40 + (level >> 1)
    return bytes((0x00, 0x01 + (level << 1 & 0xFE), 0x40 | (level & 1) << 7, low)) * 2


class _Controller(PyJoyCon):
    """pyjoycon's protocol with timeouts, a serial number and a thread that tells of its end."""

    def __init__(
        self,
        side: str,
        serial: str | None,
        clock: Callable[[], float],
        device_factory: Callable[[], HidDevice],
    ) -> None:
        # Not the parent's constructor, which opens by the wrong serial and starts its thread.
        self.side = side
        self.vendor_id, self.product_id = JOYCON_VENDOR_ID, PRODUCT_IDS[side]
        self._input_hooks: list[Callable[[PyJoyCon], None]] = []
        self._input_report = bytes(REPORT_SIZE)
        self._packet_number = 0
        self._RUMBLE_DATA = _NEUTRAL_RUMBLE
        self._rumble_ends_s = math.inf
        self._writing = threading.Lock()
        self._clock = clock
        self._stopping = threading.Event()
        self._started = threading.Event()
        self.failure: str | None = None  # why the thread ended
        self.latest: tuple[bytes, float] = (self._input_report, 0.0)  # report and its stamp
        self.arrived_s = -math.inf  # of the latest report, monotonic clock
        self._thread = threading.Thread(target=self._run, name=f"joycon-{side}", daemon=True)
        self._joycon_device: Any = device_factory()
        self._joycon_device.open(self.vendor_id, self.product_id, serial)
        self.serial: str = self._joycon_device.get_serial_number_string() or serial or ""

    def start(self, timeout_s: float) -> None:
        """Set up and read; raises OSError when no report arrives in time."""
        self._read_joycon_data()
        self._setup_sensors()
        self._write_output_report(b"\x01", b"\x48", b"\x01")  # vibration on
        self.set_player_lamp_on(1 if self.side == "left" else 2)
        self._thread.start()
        if not self._started.wait(timeout_s) or self.failure:
            raise OSError(self.failure or "it sends no reports")

    def stop(self) -> None:
        """End the thread and close the device."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._close()

    def flash_stick(self) -> StickConfig:
        """Calibration of the stick in flash: the user's when there is one, else the factory's."""
        user, factory = STICK_FLASH[self.side]
        has_user = self._spi_flash_read(user, 2) == USER_MAGIC
        data = self._spi_flash_read(user + 2 if has_user else factory, 9)
        return decode_stick(data, self.side)

    def rumble(self, strength: float, ends_s: float) -> None:
        """Shake until then [s, monotonic]."""
        self._RUMBLE_DATA = rumble_bytes(strength)
        self._rumble_ends_s = ends_s
        self._write_output_report(b"\x10", b"", b"")

    def _write_output_report(self, command: bytes, subcommand: bytes, argument: bytes) -> None:
        with self._writing:  # rumble comes from other threads
            super()._write_output_report(command, subcommand, argument)

    def _read_input_report(self) -> bytes:
        """The next report; raises OSError when none comes for a second."""
        deadline_s = time.monotonic() + _REPLY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            data = bytes(self._joycon_device.read(REPORT_SIZE, _READ_TIMEOUT_MS))
            if data:
                return data
        raise OSError("it does not answer")

    def _send_subcmd_get_response(self, subcommand: bytes, argument: bytes) -> tuple[bool, bytes]:
        """Send a flash read and wait for its own answer, past reports of other kinds."""
        self._write_output_report(b"\x01", subcommand, argument)
        deadline_s = time.monotonic() + _REPLY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            report = self._read_input_report()
            # It repeats address and size, which tells it from the answer to an earlier read.
            mine = report[14:15] == subcommand and report[15 : 15 + len(argument)] == argument
            if report[0] == 0x21 and mine:
                return bool(report[13] & 0x80), report[13:]
        raise OSError("it does not answer a flash read")

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                report = bytes(self._joycon_device.read(REPORT_SIZE, _READ_TIMEOUT_MS))
                if len(report) >= 12 and report[0] == STANDARD_REPORT:
                    self._input_report = report
                    self.latest = (report, self._clock())
                    self.arrived_s = time.monotonic()
                    self._started.set()
                if time.monotonic() > self._rumble_ends_s:
                    self.rumble(0.0, math.inf)
        except (OSError, ValueError) as error:  # hidapi raises ValueError on a closed device
            self.failure = str(error) or type(error).__name__
        self._started.set()


def decode_stick(data: bytes, side: str) -> StickConfig:
    """Stick calibration of nine bytes of flash: six 12-bit numbers, in an order of the side's."""
    numbers = []
    for low, middle, high in (data[0:3], data[3:6], data[6:9]):
        numbers.append(
            np.array([low | (middle & 0x0F) << 8, middle >> 4 | high << 4], dtype=float)
        )
    above, centre, below = numbers if side == "left" else (numbers[2], numbers[0], numbers[1])
    try:
        return StickConfig(centre, centre - below, centre + above)
    except ValueError as error:
        raise OSError(f"its flash holds no stick calibration ({error})") from None


def _hidapi() -> Any:
    try:
        return importlib.import_module("hidraw")
    except ImportError:
        return importlib.import_module("hid")
