"""Files of calibrations, and the marks in motors that tell whose calibration one is.

An XL330 has no serial number. So each motor of a calibrated leader gets a number of its own in an
EEPROM register that nothing here depends on: `moving_threshold`, which only decides when the
motor's bit `moving` is set. A motor that was replaced, reset to factory settings or swapped with
another has another number. A horn that was put on at another angle leaves no trace there.
"""

from __future__ import annotations

import dataclasses
import json
import reprlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from serial.tools import list_ports

from brs_hardware import config
from brs_hardware.dynamixel import DynamixelBus
from brs_hardware.errors import ConfigError
from brs_hardware.leader_calibration import LeaderZeros
from brs_hardware.leader_config import JoyLoConfig
from brs_hardware.user_data import data_folder, write_calibration

SCHEMA = 1
MARK_REGISTER = "moving_threshold"
# Far above the thresholds that people set (10 is the factory's).
MARKS = range(256, 1024)

T = TypeVar("T")


@dataclass(frozen=True)
class MotorIdentity:
    """What is known of a motor without looking at it."""

    id: int
    model: int
    firmware: int  # version
    mark: int  # value of MARK_REGISTER


@dataclass(frozen=True)
class LeaderCalibration:
    """A leader's calibration and what it was made of and with."""

    leader: str  # name of its configuration
    adapter: str  # serial number of the serial adapter, or name of the device
    made: str  # date and time, ISO 8601
    joints: tuple[str, ...]
    motors: tuple[MotorIdentity, ...]
    poses: dict[str, np.ndarray]  # name -> (joints,) [rad]
    zeros: LeaderZeros

    def __post_init__(self) -> None:
        if len(self.zeros.signs) != len(self.joints):
            raise ValueError("'zeros' needs numbers for as many joints as 'joints' names")


def calibration_path(device: str, serial: str) -> Path:
    """File of a calibration: of a leader by name and adapter, of a `joycon` by its serial."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in serial)
    return data_folder() / "calibration" / device / f"{safe}.json"


def adapter_serial(port: str) -> str:
    """Serial number of the USB adapter behind a port; the port's own name where it has none."""
    device = str(Path(port).resolve())
    for known in list_ports.comports():
        if known.device == device and known.serial_number:
            return str(known.serial_number)
    return Path(port).name


def save(path: Path, calibration: Any) -> None:
    """Write a calibration, a dataclass; a crash leaves the old file or the new one, never a part.

    Raises:
        ConfigError: no room or no permission.
    """
    values = {"schema": SCHEMA} | dataclasses.asdict(calibration)
    write_calibration(path, json.dumps(values, indent=1, default=lambda array: array.tolist()))


def save_leader_calibration(
    leader: JoyLoConfig, bus: DynamixelBus, zeros: LeaderZeros, made: str
) -> Path:
    """Mark the motors of a leader on an open bus, and store its calibration.

    Args:
        leader: its configuration.
        bus: torque must be off.
        zeros: the outcome.
        made: date and time, ISO 8601.

    Returns:
        Where it is stored.

    Raises:
        ConfigError: the file cannot be written.
        DeviceError: the bus failed.
    """
    poses = leader.calibration.poses if leader.calibration else ()
    calibration = LeaderCalibration(
        leader=leader.name,
        adapter=adapter_serial(leader.port),
        made=made,
        joints=leader.joints,
        motors=mark(bus, leader.motors),
        poses={pose.name: np.concatenate([pose.left, pose.right]) for pose in poses},
        zeros=zeros,
    )
    path = calibration_path(leader.name, calibration.adapter)
    save(path, calibration)
    return path


def load_leader_calibration(leader: JoyLoConfig, bus: DynamixelBus) -> LeaderCalibration | None:
    """The stored calibration of the leader on an open bus; None where there is none.

    Raises:
        ConfigError: the file is torn, of another version or leader, or its motors are others.
        DeviceError: the bus failed.
    """
    path = calibration_path(leader.name, adapter_serial(leader.port))
    stored = load(LeaderCalibration, path, "run `brs calibrate joylo`")
    if stored is None:
        return None
    if (stored.leader, stored.joints) != (leader.name, leader.joints):
        raise _unusable(path, f"it is of another leader ('{stored.leader}')")
    if len(stored.zeros.pair_ticks) != len(leader.pairs):
        raise _unusable(path, "it has another number of geared motors")
    known = {motor.id: motor for motor in stored.motors}
    for motor in identify(bus, leader.motors):
        was = known.get(motor.id)
        if was is None or (was.model, was.mark) != (motor.model, motor.mark):
            mark = "unknown" if was is None else was.mark
            raise _unusable(
                path,
                f"{bus.name(motor.id)} is not the motor that was calibrated"
                f" (mark {motor.mark}, not {mark})",
            )
    return stored


def load(cls: type[T], path: Path, remedy: str) -> T | None:
    """A calibration from its file, None where there is none.

    Args:
        cls: its dataclass.
        path: its file.
        remedy: what to do about a file that is no good.

    Raises:
        ConfigError: torn, malformed, or of another version.
    """
    try:
        values: Any = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(path), remedy=remedy
        ) from None
    except (ValueError, RecursionError):  # of JSON or of UTF-8
        raise ConfigError("torn calibration file", where=str(path), remedy=remedy) from None
    schema = values.pop("schema", None) if isinstance(values, dict) else None
    if schema != SCHEMA or isinstance(schema, bool):
        raise ConfigError(
            f"calibration file of version {reprlib.repr(schema)}, not {SCHEMA}",
            where=str(path),
            remedy=remedy,
        )
    try:
        return config.build(cls, values, str(path))
    except ConfigError as error:
        raise ConfigError(error.what, where=error.where, remedy=remedy) from None


def identify(bus: DynamixelBus, motors: tuple[int, ...]) -> tuple[MotorIdentity, ...]:
    """Model, firmware and mark of motors. Raises DeviceError: the bus failed."""
    registers = ("model_number", "firmware_version", MARK_REGISTER)
    values = zip(*(bus.sync_read(register, motors) for register in registers), strict=True)
    return tuple(MotorIdentity(motor, *read) for motor, read in zip(motors, values, strict=True))


def mark(bus: DynamixelBus, motors: tuple[int, ...]) -> tuple[MotorIdentity, ...]:
    """Give each motor that has none a mark of its own, and identify them all.

    Marks that are there stay, so that older files still fit. Torque must be off: it locks EEPROM.

    Raises:
        DeviceError: the bus failed.
    """
    found = identify(bus, motors)
    free = set(MARKS) - {motor.mark for motor in found}
    owners = {motor.mark: motor.id for motor in reversed(found) if motor.mark in MARKS}
    for motor in found:
        if owners.get(motor.mark) != motor.id:
            new = secrets.choice(sorted(free))
            free.remove(new)
            bus.write(MARK_REGISTER, motor.id, new)
    return identify(bus, motors)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"calibration not used: {why}", where=str(path), remedy="run `brs calibrate joylo`"
    )
