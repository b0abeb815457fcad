"""Control table of the XL330-M288, after the manufacturer's manual.

Positions are in ticks (4096 a revolution), currents in mA, velocities in 0.229 rev/min,
temperatures in degrees Celsius, voltages in 0.1 V, return delay in 2 us.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, IntFlag

MODEL_NUMBER = 1200
MODEL_NAME = "XL330-M288"
TICKS_PER_TURN = 4096
RAD_PER_TICK = 2.0 * math.pi / TICKS_PER_TURN
RAD_PER_S_PER_UNIT = 0.229 * 2.0 * math.pi / 60.0  # of velocity registers
AMPERE_PER_UNIT = 0.001  # of current registers
BUS_WATCHDOG_S_PER_UNIT = 0.02
TABLE_SIZE = 228  # bytes
EEPROM_END = 64  # addresses below are EEPROM, locked while torque is on

# Value of the baud rate register -> baud.
BAUD_RATES = {0: 9600, 1: 57600, 2: 115200, 3: 1_000_000, 4: 2_000_000, 5: 3_000_000, 6: 4_000_000}


class OperatingMode(IntEnum):
    """Values of `operating_mode`."""

    CURRENT = 0
    VELOCITY = 1
    POSITION = 3
    EXTENDED_POSITION = 4
    CURRENT_BASED_POSITION = 5
    PWM = 16


class DriveMode(IntFlag):
    """Bits of `drive_mode`."""

    NORMAL = 0
    REVERSE = 1
    TIME_BASED_PROFILE = 4
    TORQUE_ON_BY_GOAL_UPDATE = 8


class HardwareError(IntFlag):
    """Bits of `hardware_error_status`."""

    NONE = 0
    INPUT_VOLTAGE = 1
    OVERHEATING = 4
    ELECTRICAL_SHOCK = 16
    OVERLOAD = 32


# What a person can do about each bit.
HARDWARE_ERROR_TEXT = {
    HardwareError.INPUT_VOLTAGE: ("supply voltage out of range", "check the 5 V supply"),
    HardwareError.OVERHEATING: (
        "overheated",
        "let it cool down, then switch the power off and on",
    ),
    HardwareError.ELECTRICAL_SHOCK: ("electrical shock", "check its cable and the supply"),
    HardwareError.OVERLOAD: ("overloaded", "free the joint, then switch the power off and on"),
}


@dataclass(frozen=True)
class Item:
    """One register.

    Attributes:
        minimum: least value a write accepts, None where the register is read-only.
        maximum: greatest value a write accepts, None where the register is read-only.
    """

    name: str
    address: int
    size: int  # bytes
    signed: bool
    initial: int
    minimum: int | None = None
    maximum: int | None = None

    @property
    def writable(self) -> bool:
        """Whether a write is accepted at all."""
        return self.minimum is not None

    @property
    def eeprom(self) -> bool:
        """Whether the register survives power-off and is locked while torque is on."""
        return self.address < EEPROM_END

    def encode(self, value: int) -> bytes:
        """Bytes on the wire. Raises OverflowError when the value does not fit the size."""
        return int(value).to_bytes(self.size, "little", signed=value < 0)

    def decode(self, data: bytes | bytearray) -> int:
        """Value of bytes from the wire."""
        return int.from_bytes(data, "little", signed=self.signed)


def _table(*items: Item) -> dict[str, Item]:
    return {item.name: item for item in items}


ITEMS: dict[str, Item] = _table(
    Item("model_number", 0, 2, False, MODEL_NUMBER),
    Item("model_information", 2, 4, False, 0),
    Item("firmware_version", 6, 1, False, 46),
    Item("id", 7, 1, False, 1, 0, 252),
    Item("baud_rate", 8, 1, False, 1, 0, 6),
    Item("return_delay_time", 9, 1, False, 250, 0, 254),
    Item("drive_mode", 10, 1, False, 0, 0, 13),
    Item("operating_mode", 11, 1, False, 3, 0, 16),
    Item("secondary_id", 12, 1, False, 255, 0, 255),
    Item("protocol_type", 13, 1, False, 2, 2, 22),
    Item("homing_offset", 20, 4, True, 0, -1_044_479, 1_044_479),
    Item("moving_threshold", 24, 4, False, 10, 0, 1023),
    Item("temperature_limit", 31, 1, False, 70, 0, 100),
    Item("max_voltage_limit", 32, 2, False, 70, 31, 70),
    Item("min_voltage_limit", 34, 2, False, 35, 31, 70),
    Item("pwm_limit", 36, 2, False, 885, 0, 885),
    Item("current_limit", 38, 2, False, 1750, 0, 1750),
    Item("velocity_limit", 44, 4, False, 445, 0, 2047),
    Item("max_position_limit", 48, 4, False, 4095, 0, 4095),
    Item("min_position_limit", 52, 4, False, 0, 0, 4095),
    Item("startup_configuration", 60, 1, False, 0, 0, 3),
    Item("pwm_slope", 62, 1, False, 140, 1, 255),
    Item("shutdown", 63, 1, False, 53, 0, 63),
    Item("torque_enable", 64, 1, False, 0, 0, 1),
    Item("led", 65, 1, False, 0, 0, 1),
    Item("status_return_level", 68, 1, False, 2, 0, 2),
    Item("registered_instruction", 69, 1, False, 0),
    Item("hardware_error_status", 70, 1, False, 0),
    Item("velocity_i_gain", 76, 2, False, 1600, 0, 16383),
    Item("velocity_p_gain", 78, 2, False, 180, 0, 16383),
    Item("position_d_gain", 80, 2, False, 0, 0, 16383),
    Item("position_i_gain", 82, 2, False, 0, 0, 16383),
    Item("position_p_gain", 84, 2, False, 400, 0, 16383),
    Item("feedforward_2nd_gain", 88, 2, False, 0, 0, 16383),
    Item("feedforward_1st_gain", 90, 2, False, 0, 0, 16383),
    Item("bus_watchdog", 98, 1, True, 0, -1, 127),
    Item("goal_pwm", 100, 2, True, 885, -885, 885),
    Item("goal_current", 102, 2, True, 1750, -1750, 1750),
    Item("goal_velocity", 104, 4, True, 0, -2047, 2047),
    Item("profile_acceleration", 108, 4, False, 0, 0, 32767),
    Item("profile_velocity", 112, 4, False, 0, 0, 32767),
    Item("goal_position", 116, 4, True, 0, -1_048_575, 1_048_575),
    Item("realtime_tick", 120, 2, False, 0),
    Item("moving", 122, 1, False, 0),
    Item("moving_status", 123, 1, False, 0),
    Item("present_pwm", 124, 2, True, 0),
    Item("present_current", 126, 2, True, 0),
    Item("present_velocity", 128, 4, True, 0),
    Item("present_position", 132, 4, True, 0),
    Item("velocity_trajectory", 136, 4, True, 0),
    Item("position_trajectory", 140, 4, True, 0),
    Item("present_input_voltage", 144, 2, False, 50),
    Item("present_temperature", 146, 1, False, 30),
    Item("backup_ready", 147, 1, False, 0),
    *(
        Item(f"indirect_address_{i + 1}", 168 + 2 * i, 2, False, 208 + i, 64, 227)
        for i in range(20)
    ),
    *(Item(f"indirect_data_{i + 1}", 208 + i, 1, False, 0, 0, 255) for i in range(20)),
)

# Present current, velocity and position lie side by side: one read gives all three.
STATE_ADDRESS = ITEMS["present_current"].address
STATE_LENGTH = 10  # bytes

# Number in the low seven bits of a status packet's error byte.
STATUS_ERRORS = {
    1: "result fail",
    2: "instruction error",
    3: "CRC error",
    4: "data range error",
    5: "data length error",
    6: "data limit error",
    7: "access error",
}
ALERT_BIT = 0x80


def hardware_error_lines(status: int) -> list[tuple[str, str]]:
    """What is wrong and what to do, one pair for each bit set in `hardware_error_status`."""
    known = [text for bit, text in HARDWARE_ERROR_TEXT.items() if status & bit]
    unknown = status & ~sum(HARDWARE_ERROR_TEXT)
    if unknown:
        known.append((f"unknown hardware error {unknown:#04x}", "switch the power off and on"))
    return known
