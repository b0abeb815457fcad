"""A chain of emulated motors: bytes of the host in, bytes of the motors out. No threads here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from brs_hardware.dynamixel.control_table import BAUD_RATES
from brs_sim.emulators.motor import EmulatedMotor
from brs_sim.emulators.packets import (
    BROADCAST,
    STATUS,
    Instruction,
    Packet,
    Parser,
    StatusError,
    frame,
    joint_frame,
)

_RETURN_ALL, _RETURN_READS = 2, 1  # values of status_return_level


_SLICE_S = 0.01  # of time that passes at once while motors push


class Physics(Protocol):
    """Moves the shafts of motors that push with a current."""

    def step(self, elapsed_s: float) -> None:
        """Let time pass [s]."""
        ...


@dataclass
class BusFaults:
    """What goes wrong on the wire; change it at any time."""

    drop_probability: float = 0.0  # of one byte of an answer packet to be lost
    corrupt_probability: float = 0.0  # of one byte of an answer packet to be wrong
    dead: frozenset[int] = frozenset()  # ids that do not answer
    doubled: frozenset[int] = frozenset()  # ids that two motors have
    drop_next: int = 0  # so many coming answers lose a byte


@dataclass(frozen=True)
class Answer:
    """What the motors send back to one read of the wire."""

    data: bytes
    delay_s: float  # return delays of all answers


class MotorChain:
    """Motors on one bus.

    Args:
        motors: in any order, each with its own id.
        fast_sync_read: whether their firmware knows that instruction.
        seed: of the injected faults.
    """

    def __init__(
        self, motors: Iterable[EmulatedMotor], *, fast_sync_read: bool = True, seed: int = 0
    ) -> None:
        self.motors = sorted(motors, key=lambda motor: motor.id)
        self.faults = BusFaults()
        self.fast_sync_read = fast_sync_read
        self.physics: Physics | None = None  # without, a current moves its motor alone
        self._random = random.Random(seed)
        self._parser = Parser()
        self._delay_s = 0.0
        self._stepped_s: float | None = None

    def motor(self, number: int) -> EmulatedMotor:
        """The motor of an id. Raises KeyError."""
        for motor in self.motors:
            if motor.id == number:
                return motor
        raise KeyError(number)

    def step(self, now_s: float) -> None:
        """Let time pass up to now [s]; nothing happens at the first call."""
        left_s = 0.0 if self._stepped_s is None else now_s - self._stepped_s
        self._stepped_s = now_s
        while left_s > 0.0:
            pushing = self.physics is not None and any(motor.pushes for motor in self.motors)
            part_s = min(left_s, _SLICE_S) if pushing else left_s
            left_s -= part_s
            if self.physics is not None:
                self.physics.step(part_s)
            for motor in self.motors:
                motor.step(part_s)

    def hear(self, data: bytes, baud: int, now_s: float) -> Answer:
        """Answer to what the host wrote.

        Args:
            data: bytes as they arrived.
            baud: of the host; motors set to another one understand nothing.
            now_s: time of arrival.
        """
        self.step(now_s)
        self._delay_s = 0.0
        listening = [
            motor
            for motor in self.motors
            if BAUD_RATES[motor.table[8]] == baud and motor.id not in self.faults.dead
        ]
        if not listening:
            self._parser.reset()
            return Answer(b"", 0.0)
        answers = []
        for packet in self._parser.feed(data):
            if packet.crc_fits:
                for motor in listening:
                    motor.hear()
            answers.append(self._obey(packet, listening))
        return Answer(b"".join(answers), self._delay_s)

    def _obey(self, packet: Packet, listening: list[EmulatedMotor]) -> bytes:
        present = {motor.id: motor for motor in listening}
        group = _GROUP.get(packet.instruction)
        if group is not None and packet.crc_fits:
            return group(self, packet.parameters, present)
        if packet.motor == BROADCAST:
            if not packet.crc_fits:
                return b""
            if packet.instruction == Instruction.PING:
                return b"".join(self._answer(motor, 0, _identity(motor)) for motor in listening)
            for motor in listening:
                self._obey_one(packet, motor)
            return b""
        addressed = present.get(packet.motor)
        return b"" if addressed is None else self._obey_one(packet, addressed)

    def _obey_one(self, packet: Packet, motor: EmulatedMotor) -> bytes:
        """What one addressed motor does and says."""
        parameters, code = packet.parameters, packet.instruction
        error, data, needs_level = StatusError.NONE, b"", _RETURN_ALL
        address = int.from_bytes(parameters[:2], "little")
        if not packet.crc_fits:
            error = StatusError.CRC
        elif code == Instruction.PING:
            data, needs_level = _identity(motor), 0
        elif code == Instruction.READ:
            needs_level = _RETURN_READS
            found = motor.read(address, int.from_bytes(parameters[2:4], "little"))
            error, data = (StatusError.DATA_LENGTH, b"") if found is None else (error, found)
        elif code == Instruction.WRITE:
            error = motor.write(address, parameters[2:])
        elif code == Instruction.REG_WRITE:
            error = motor.register(address, parameters[2:])
        elif code == Instruction.ACTION:
            motor.action()
        elif code == Instruction.REBOOT:
            motor.reboot()
        elif code == Instruction.FACTORY_RESET:
            motor.factory_reset(keep_id=parameters[:1] != b"\xff")
        elif code == Instruction.CLEAR:
            motor.clear_turns()
        else:
            error = StatusError.INSTRUCTION
        if motor.peek("status_return_level") < needs_level:
            return b""
        return self._answer(motor, error, data, sender=packet.motor)

    def _sync_read(self, parameters: bytes, present: dict[int, EmulatedMotor]) -> bytes:
        address, length = _range(parameters)
        return b"".join(
            self._read_answer(present[number], address, length)
            for number in parameters[4:]
            if number in present
        )

    def _fast_sync_read(self, parameters: bytes, present: dict[int, EmulatedMotor]) -> bytes:
        address, length = _range(parameters)
        asked = parameters[4:]
        # Each motor waits for the one before it: one that is missing silences the rest.
        if not self.fast_sync_read or any(number not in present for number in asked):
            return b""
        self._delay_s += 2e-6 * present[asked[0]].table[9]
        return self._spoil(
            joint_frame(
                [
                    (
                        present[number].error_byte,
                        number,
                        present[number].read(address, length) or b"",
                    )
                    for number in asked
                ]
            )
        )

    def _sync_write(self, parameters: bytes, present: dict[int, EmulatedMotor]) -> bytes:
        address, length = _range(parameters)
        for place in range(4, len(parameters), 1 + length):
            motor = present.get(parameters[place])
            if motor is not None:
                motor.write(address, parameters[place + 1 : place + 1 + length])
        return b""

    def _bulk_read(self, parameters: bytes, present: dict[int, EmulatedMotor]) -> bytes:
        asked = [parameters[place : place + 5] for place in range(0, len(parameters), 5)]
        return b"".join(
            self._read_answer(present[part[0]], *_range(part[1:]))
            for part in asked
            if part[0] in present
        )

    def _bulk_write(self, parameters: bytes, present: dict[int, EmulatedMotor]) -> bytes:
        place = 0
        while place + 5 <= len(parameters):
            address, length = _range(parameters[place + 1 :])
            motor = present.get(parameters[place])
            if motor is not None:
                motor.write(address, parameters[place + 5 : place + 5 + length])
            place += 5 + length
        return b""

    def _read_answer(self, motor: EmulatedMotor, address: int, length: int) -> bytes:
        data = motor.read(address, length)
        if data is None:
            return self._answer(motor, StatusError.DATA_LENGTH, b"")
        return self._answer(motor, StatusError.NONE, data)

    def _answer(
        self, motor: EmulatedMotor, error: int, data: bytes, sender: int | None = None
    ) -> bytes:
        """A status packet as it arrives, faults of the wire included."""
        number = motor.id if sender is None else sender
        self._delay_s += 2e-6 * motor.table[9]
        packet = frame(number, STATUS, bytes((error | motor.error_byte,)) + data)
        if number in self.faults.doubled:
            packet = self._collide(packet)
        return self._spoil(packet)

    def _collide(self, packet: bytes) -> bytes:
        """Two motors of one id: one answer after the other, or both at once and garbled."""
        if self._random.random() < 0.5:
            return packet + packet
        garbled = bytearray(packet)
        for place in range(7, len(packet)):
            garbled[place] &= self._random.randrange(256)
        return bytes(garbled)

    def _spoil(self, packet: bytes) -> bytes:
        faults = self.faults
        if faults.drop_next > 0:
            faults.drop_next -= 1
            return self._drop(packet)
        if faults.drop_probability and self._random.random() < faults.drop_probability:
            return self._drop(packet)
        if faults.corrupt_probability and self._random.random() < faults.corrupt_probability:
            place = self._random.randrange(len(packet))
            wrong = packet[place] ^ self._random.randrange(1, 256)
            return packet[:place] + bytes((wrong,)) + packet[place + 1 :]
        return packet

    def _drop(self, packet: bytes) -> bytes:
        place = self._random.randrange(len(packet))
        return packet[:place] + packet[place + 1 :]


_GROUP: dict[int, Callable[[MotorChain, bytes, dict[int, EmulatedMotor]], bytes]] = {
    Instruction.SYNC_READ: MotorChain._sync_read,
    Instruction.FAST_SYNC_READ: MotorChain._fast_sync_read,
    Instruction.SYNC_WRITE: MotorChain._sync_write,
    Instruction.BULK_READ: MotorChain._bulk_read,
    Instruction.BULK_WRITE: MotorChain._bulk_write,
}


def _identity(motor: EmulatedMotor) -> bytes:
    """Model number and firmware version."""
    return bytes(motor.table[0:2] + motor.table[6:7])


def _range(parameters: bytes) -> tuple[int, int]:
    """Address and length at the head of the parameters."""
    return int.from_bytes(parameters[:2], "little"), int.from_bytes(parameters[2:4], "little")
