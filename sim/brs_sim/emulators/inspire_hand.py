"""An emulated RH56 hand that answers at the level of bytes; `EmulatedBus` gives it a device file.

with emulated_hand() as (hand, bus): InspireHand(HandConfig(port=bus.port)).open()
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from brs_hardware.end_effectors.inspire_protocol import (
    ANSWER,
    JOINTS,
    REQUEST,
    Command,
    Frame,
    FrameParser,
    Register,
    encode,
    pack_words,
    unpack_words,
)
from brs_sim.emulators.chain import Answer
from brs_sim.emulators.dynamixel_bus import EmulatedBus

_ADDRESSES = 2400
_FULL_WAY_S = 0.8  # from straight to bent at speed 1000
_COUNT = len(JOINTS)


@dataclass
class HandFaults:
    """What goes wrong on the wire; change it at any time."""

    drop_probability: float = 0.0  # of one byte of an answer to be lost
    noise_probability: float = 0.0  # of garbage before an answer
    wrong_checksum_probability: float = 0.0
    silent: bool = False


class EmulatedHand:
    """Registers and fingers of one hand; no threads, no clock.

    Args:
        hand_id: that it answers to.
        baud: that it listens at.
        seed: of injected faults.
    """

    def __init__(self, hand_id: int = 1, baud: int = 115200, seed: int = 0) -> None:
        self.faults = HandFaults()
        self.angles = np.full(_COUNT, 1000.0)
        self.blocked = np.zeros(_COUNT, dtype=bool)  # fingers that something holds
        self._hand_id, self._baud = hand_id, baud
        self._memory = bytearray(_ADDRESSES)
        self._parser = FrameParser(REQUEST)
        self._random = np.random.default_rng(seed)
        self._time_s: float | None = None
        for register in (Register.ANGLE_SET, Register.FORCE_SET, Register.SPEED_SET):
            self._store(register, pack_words([1000] * _COUNT))
        self._store(Register.TEMPERATURE, bytes([30] * _COUNT))
        self._measure()

    def poke(self, register: Register, data: bytes) -> None:
        """Set a register from outside, e.g. errors."""
        self._store(register, data)

    def words(self, register: Register) -> list[int]:
        """Six 16-bit values of a register."""
        return unpack_words(bytes(self._memory[register : register + 2 * _COUNT]))

    def step(self, now_s: float) -> None:
        """Let the fingers go on until now."""
        last_s, self._time_s = self._time_s, now_s
        if last_s is None:
            return
        speed = np.array(self.words(Register.SPEED_SET), dtype=float) / _FULL_WAY_S
        way = np.array(self.words(Register.ANGLE_SET), dtype=float) - self.angles
        change = np.clip(way, -speed * (now_s - last_s), speed * (now_s - last_s))
        self.angles += np.where(self.blocked, 0.0, change)
        self._measure()

    def hear(self, data: bytes, baud: int, now_s: float) -> Answer:
        """Bytes that arrive at a baud rate, and what the hand says to them."""
        self.step(now_s)
        if baud != self._baud or self.faults.silent:
            return Answer(b"", 0.0)
        answers = [self._answer(frame) for frame in self._parser.feed(data)]
        return Answer(b"".join(map(self._spoil, answers)), 0.0)

    def _answer(self, frame: Frame) -> bytes:
        if frame.hand_id != self._hand_id:
            return b""
        content = b""
        if frame.command == Command.READ and len(frame.data) == 1:
            content = bytes(self._memory[frame.address : frame.address + frame.data[0]])
        elif frame.command == Command.WRITE:
            self._write(frame.address, frame.data)
            content = b"\x01"
        reply = Frame(frame.hand_id, frame.command, frame.address, content)
        return encode(ANSWER, reply) if content else b""

    def _write(self, address: int, data: bytes) -> None:
        if address == Register.CLEAR_ERROR:
            self._store(Register.ERROR, bytes(_COUNT))
            return
        kept = self._memory[address : address + len(data)]
        words = zip(unpack_words(data), unpack_words(bytes(kept)), strict=False)
        self._store(address, pack_words([old if new == -1 else new for new, old in words]))

    def _store(self, address: int, data: bytes) -> None:
        end = min(address + len(data), _ADDRESSES)
        self._memory[address:end] = data[: max(end - address, 0)]

    def _measure(self) -> None:
        self._store(Register.ANGLE_ACT, pack_words([round(angle) for angle in self.angles]))

    def _spoil(self, answer: bytes) -> bytes:
        """What arrives of an answer on a bad line."""
        faults, random = self.faults, self._random
        spoilt = bytearray(answer)
        if spoilt and random.random() < faults.wrong_checksum_probability:
            spoilt[-1] ^= 0x5A
        if spoilt and random.random() < faults.drop_probability:
            del spoilt[random.integers(len(spoilt))]
        if random.random() < faults.noise_probability:
            spoilt = bytearray(random.bytes(int(random.integers(1, 6)))) + spoilt
        return bytes(spoilt)


@contextlib.contextmanager
def emulated_hand(
    hand: EmulatedHand | None = None, link: str | Path | None = None
) -> Iterator[tuple[EmulatedHand, EmulatedBus]]:
    """A hand behind a device file, `bus.port`, for the length of a with statement."""
    hand = hand or EmulatedHand()
    # The bus asks of a chain only what a hand has too: hear and step.
    bus = EmulatedBus(cast(Any, hand), link)
    try:
        yield hand, bus
    finally:
        bus.close()
