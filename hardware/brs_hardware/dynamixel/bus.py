"""A chain of Dynamixel motors on one serial port, driven through the official SDK."""

from __future__ import annotations

import errno
import termios
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import numpy as np
import serial
from dynamixel_sdk import COMM_RX_TIMEOUT, COMM_SUCCESS, GroupSyncRead, GroupSyncWrite

from brs_hardware.dynamixel.control_table import (
    ALERT_BIT,
    ITEMS,
    STATE_ADDRESS,
    STATE_LENGTH,
    STATUS_ERRORS,
)
from brs_hardware.dynamixel.fast_sdk import FastPacketHandler, FastPort
from brs_hardware.errors import DeviceError

# What one state read gives for each motor, as it lies in the control table.
MOTOR_STATE = np.dtype([("current", "<i2"), ("velocity", "<i4"), ("position", "<i4")])


@dataclass
class BusStatistics:
    """Counters since the bus was made; copy them (`dataclasses.replace`) to compare later."""

    reads: int = 0  # state reads that succeeded
    writes: int = 0  # packets written
    retries: int = 0  # transactions done again
    timeouts: int = 0  # transactions without an answer
    corrupt: int = 0  # transactions with a broken or partial answer

    @property
    def errors(self) -> int:
        """Transactions that failed, also those that a retry mended."""
        return self.timeouts + self.corrupt

    def reads_per_second(self, earlier: BusStatistics, elapsed_s: float) -> float:
        """State reads a second [Hz] since a copy taken `elapsed_s` ago [s]."""
        return (self.reads - earlier.reads) / elapsed_s


class DynamixelBus:
    """Motors of one port. Not safe for use by two threads at once.

    Args:
        port: device file, such as /dev/ttyUSB0.
        baud: as set in the motors.
        names: motor id -> what a person calls it, for messages.
        reply_timeout_s: silence after which a transaction has failed; above the adapter's latency.
        max_failures: consecutive failures of one transaction that raise.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        *,
        names: Mapping[int, str] | None = None,
        reply_timeout_s: float = 0.02,
        max_failures: int = 4,
    ) -> None:
        self.port, self.baud = port, baud
        self.names = dict(names or {})
        self.max_failures = max_failures
        self.statistics = BusStatistics()
        self.fast = False  # whether state reads use the fast sync read
        self.sdk_port = FastPort(port, reply_timeout_s)
        self.packets = FastPacketHandler()
        self.guard = _Guard(self)
        self._states: GroupSyncRead | None = None

    def __enter__(self) -> DynamixelBus:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def name(self, motor: int) -> str:
        """`ID 3 (left_arm_joint2 slave)`."""
        return f"ID {motor} ({self.names[motor]})" if motor in self.names else f"ID {motor}"

    def open(self) -> None:
        """Open the port.

        Raises:
            DeviceError: no such device, no permission, in use, or no such baud rate.
        """
        try:
            opened = self.set_baud(self.baud)
        except OSError as error:
            raise _open_error(self.port, error) from None
        if not opened:
            raise DeviceError(
                f"{self.baud} baud is not supported",
                where=self.port,
                remedy="use one of 57600, 115200, 1000000, 2000000, 3000000, 4000000",
            )

    def set_baud(self, baud: int) -> bool:
        """Reopen the port at a baud rate; False when the SDK does not know it."""
        return bool(self.sdk_port.setBaudRate(baud))

    def close(self) -> None:
        """Close the port; a second time does nothing."""
        if self.sdk_port.is_open:
            self.sdk_port.closePort()

    def ping(self, motor: int) -> int | None:
        """Model number of a motor, None when it does not answer.

        Raises:
            DeviceError: the port is gone.
        """
        with self.guard:
            model, result, _ = self.packets.ping(self.sdk_port, motor)
        return int(model) if result == COMM_SUCCESS else None

    def scan(self, greatest_id: int = 32) -> dict[int, int]:
        """Motor id -> model number of all that answer a broadcast ping at this baud rate.

        Args:
            greatest_id: motors answer one after the other in the order of their ids, so the
                wait grows with this.

        Raises:
            DeviceError: the port is gone.
        """
        # 3 ms for each id is what the SDK allows; it would wait for all 253.
        self.sdk_port.longest_wait_s = 0.05 + 0.003 * (greatest_id + 1)
        with self.guard:
            found, _ = self.packets.broadcastPing(self.sdk_port)
        return {motor: values[0] for motor, values in sorted(found.items())}

    def read(self, item: str, motor: int) -> int:
        """Value of one register.

        Raises:
            DeviceError: no answer after `max_failures` tries, or an error status.
        """
        register = ITEMS[item]
        for _ in range(self.max_failures):
            with self.guard:
                data, result, error = self.packets.readTxRx(
                    self.sdk_port, motor, register.address, register.size
                )
            if result == COMM_SUCCESS:
                self._raise_status(error, motor, f"reading {item}")
                return register.decode(bytes(data))
            self._count_failure(result)
        raise self._silent(motor)

    def write(self, item: str, motor: int, value: int) -> None:
        """Write one register and wait for the motor's consent.

        Raises:
            DeviceError: no answer, value out of range, or EEPROM locked by torque.
        """
        register = ITEMS[item]
        for _ in range(self.max_failures):
            with self.guard:
                result, error = self.packets.writeTxRx(
                    self.sdk_port, motor, register.address, register.size, register.encode(value)
                )
            self.statistics.writes += 1
            if result == COMM_SUCCESS:
                return self._raise_status(error, motor, f"writing {value} to {item}")
            self._count_failure(result)
        raise self._silent(motor)

    def configure(self, item: str, values: Mapping[int, int]) -> list[int]:
        """Write a register where it differs, to spare EEPROM; returns the ids written."""
        changed = [motor for motor, value in values.items() if self.read(item, motor) != value]
        for motor in changed:
            self.write(item, motor, values[motor])
        return changed

    def sync_write(self, item: str, values: Mapping[int, int]) -> None:
        """Write one register of many motors in one packet, which no motor acknowledges.

        Raises:
            DeviceError: the port is gone.
        """
        register = ITEMS[item]
        group = GroupSyncWrite(self.sdk_port, self.packets, register.address, register.size)
        for motor, value in values.items():
            group.addParam(motor, register.encode(value))
        with self.guard:
            result = group.txPacket()
        self.statistics.writes += 1
        if result != COMM_SUCCESS:
            raise DeviceError("the packet was not sent", where=self.port, remedy="replug the bus")

    def sync_read(self, item: str, motors: Sequence[int]) -> list[int]:
        """One register of many motors in one transaction.

        Raises:
            DeviceError: as `read_states`.
        """
        register = ITEMS[item]
        group = GroupSyncRead(self.sdk_port, self.packets, register.address, register.size)
        for motor in motors:
            group.addParam(motor)
        self._transact(group, fast=False)
        return [register.decode(bytes(group.data_dict[motor])) for motor in motors]

    def torque(self, motors: Iterable[int], on: bool) -> None:
        """Switch the torque of motors, each with its consent."""
        for motor in motors:
            self.write("torque_enable", motor, int(on))

    def watch(self, motors: Sequence[int]) -> None:
        """Choose the motors of `read_states` and find out whether they can read fast.

        Raises:
            DeviceError: the port is gone.
        """
        self._states = GroupSyncRead(self.sdk_port, self.packets, STATE_ADDRESS, STATE_LENGTH)
        for motor in motors:
            self._states.addParam(motor)
        self.fast = False
        for _ in range(2):  # a second chance, should the first lose a byte
            with self.guard:
                self.fast = self.fast or self._states.fastSyncRead() == COMM_SUCCESS

    def read_states(self) -> np.ndarray:
        """Current [mA], velocity [0.229 rev/min] and position [ticks] in one transaction.

        Returns:
            (n,) of MOTOR_STATE in the order given to `watch`.

        Raises:
            DeviceError: the bus is gone, a motor fell silent `max_failures` times in a row,
                or a motor reports a hardware error.
        """
        if self._states is None:
            raise ValueError("call watch() before read_states()")
        self._transact(self._states, self.fast)
        self.statistics.reads += 1
        return np.frombuffer(b"".join(self._states.data_dict.values()), MOTOR_STATE)

    def _transact(self, group: GroupSyncRead, fast: bool) -> None:
        alerts = self.packets.alerts
        alerts.clear()
        for attempt in range(self.max_failures):
            with self.guard:
                result = group.fastSyncRead() if fast else group.txRxPacket()
            if result == COMM_SUCCESS:
                self.statistics.retries += attempt
                break
            self._count_failure(result)
        else:
            self.statistics.retries += self.max_failures - 1
            self._raise_silence(list(group.data_dict))
        if fast:
            status, stride = self.packets.joint_status, group.data_length + 4
            alerts |= {
                motor
                for error, motor in zip(status[::stride], status[1::stride], strict=True)
                if error & ALERT_BIT
            }
        if alerts:
            self._raise_alert(min(alerts))

    def _count_failure(self, result: int) -> None:
        if result == COMM_RX_TIMEOUT:
            self.statistics.timeouts += 1
        else:
            self.statistics.corrupt += 1
        with self.guard:
            self.sdk_port.drain()

    def _raise_status(self, error: int, motor: int, doing: str) -> None:
        if error & ~ALERT_BIT:
            text = STATUS_ERRORS.get(error & ~ALERT_BIT, f"error {error & ~ALERT_BIT}")
            raise DeviceError(
                f"{self.name(motor)} refused {doing}: {text}",
                where=self.port,
                remedy="switch its torque off first" if error & 7 == 7 else "correct the value",
            )

    def _raise_alert(self, motor: int) -> NoReturn:
        from brs_hardware.dynamixel.diagnosis import hardware_error

        raise hardware_error(self, motor)

    def _raise_silence(self, motors: list[int]) -> NoReturn:
        silent = [motor for motor in motors if self.ping(motor) is None]
        if silent and len(silent) < len(motors):
            raise self._silent(*silent)
        if silent:
            raise DeviceError(
                "all motors stopped answering",
                where=self.port,
                remedy="check the motors' power supply and the cable from the adapter",
            )
        raise DeviceError(
            f"{self.max_failures} broken answers in a row, though every motor answers a ping",
            where=self.port,
            remedy="check the cables; run `brs doctor` to look for two motors of one ID",
        )

    def _silent(self, *motors: int) -> DeviceError:
        return DeviceError(
            f"no answer from {', '.join(self.name(motor) for motor in motors)}",
            where=self.port,
            remedy="check the cable to that motor and its power",
        )


class _Guard:
    """Turns the errors of a vanished port into a DeviceError and frees the SDK's busy flag."""

    def __init__(self, bus: DynamixelBus) -> None:
        self.bus = bus

    def __enter__(self) -> None:
        if not self.bus.sdk_port.is_open:
            raise DeviceError("the bus is not open", where=self.bus.port, remedy="connect first")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bus.sdk_port.is_using = False
        if isinstance(error, (OSError, termios.error)):
            raise DeviceError(
                "the bus was unplugged", where=self.bus.port, remedy="plug it in and start again"
            ) from None


def _open_error(port: str, error: OSError) -> DeviceError:
    """One line for each way in which a port cannot be opened."""
    if error.errno == errno.ENOENT or not Path(port).exists():
        return DeviceError(
            "no such device",
            where=port,
            remedy="plug in the U2D2 adapter, or correct 'port' in the leader's YAML",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeviceError(
            "no permission to open the device",
            where=port,
            remedy="add yourself to its group (sudo usermod -aG dialout $USER) and log in again",
        )
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        return DeviceError(
            "another program uses the device", where=port, remedy="stop that program"
        )
    reason = "it is not a serial port" if isinstance(error, serial.SerialException) else str(error)
    return DeviceError(f"cannot be opened: {reason}", where=port, remedy="check 'port'")
