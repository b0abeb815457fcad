"""Driver of Inspire Robots' RH56 hand: six fingers' joints, closed together like one gripper.

The node that uses it calls `step` from a thread of its own, again and again: one call writes what
is wanted and reads back what is. `act` and `state` may be called from any other thread.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from brs_hardware.embodiment import HandConfig
from brs_hardware.end_effectors.inspire_protocol import (
    ANSWER,
    Command,
    Frame,
    FrameParser,
    Register,
    decode_errors,
    pack_words,
    read_request,
    unpack_words,
    write_request,
)
from brs_hardware.end_effectors.interface import EndEffector, EndEffectorState
from brs_hardware.errors import DeviceError

_JOINTS = 6
_TIMEOUT_S = 0.02  # of one read; the 20 bytes of an answer take 2 ms at 115,200 baud
_READS = 3  # for one answer, where noise came before it
_RECONNECT_S = 1.0
_LOST_AFTER = 10  # exchanges in a row without an answer
_HEALTH_EVERY = 25  # steps; errors change seldom


class InspireHand(EndEffector):
    """One hand on one serial port.

    Args:
        config: port, limits, and the angles that mean open and closed.
    """

    def __init__(self, config: HandConfig) -> None:
        self.config = config
        self._serial: Any = None
        self._parser = FrameParser(ANSWER)
        self._wanted: float | None = None
        self._sent: list[int] = []
        self._state: EndEffectorState | None = None
        self._errors: tuple[str, ...] = ()
        self._steps = self._unanswered = 0
        self._retry_s = -math.inf

    def open(self) -> None:
        """Open the port and set force limit and speed.

        Raises:
            DeviceError: no such port, or no hand answers there.
        """
        self._connect()

    def act(self, now_s: float, closed: float) -> None:
        """See EndEffector; sent by the next `step`."""
        if math.isfinite(closed):
            self._wanted = float(np.clip(closed, 0.0, 1.0))

    def state(self) -> EndEffectorState | None:
        """See EndEffector."""
        return self._state

    def step(self, now_s: float) -> None:
        """One exchange with the hand: send what is wanted, read what is.

        A hand that falls silent or is unplugged is told by `state().connected`, and is opened
        again once it is back; what is wanted then is sent anew.

        Args:
            now_s: monotonic time [s].
        """
        try:
            if self._serial is None:
                if now_s < self._retry_s:
                    return
                self._retry_s = now_s + _RECONNECT_S
                self._connect()
            self._exchange(now_s)
            self._unanswered = 0
        except DeviceError as error:
            self._unanswered += 1
            if self._serial is None or self._unanswered >= _LOST_AFTER:
                self._lose(now_s, str(error))

    def clear_errors(self) -> None:
        """Clear latched errors, such as a blocked finger. Raises DeviceError: no answer."""
        self._write(Register.CLEAR_ERROR, b"\x01")

    def close(self) -> None:
        """Close the port; the hand holds its last pose."""
        if self._serial is not None:
            self._serial.close()
            self._serial = None

    def _exchange(self, now_s: float) -> None:
        if self._wanted is not None:
            angles = self._angles(self._wanted)
            if angles != self._sent:
                self._write(Register.ANGLE_SET, pack_words(angles))
                self._sent = angles
        measured = unpack_words(self._read(Register.ANGLE_ACT, 2 * _JOINTS))
        if self._steps % _HEALTH_EVERY == 0:
            self._errors = decode_errors(self._read(Register.ERROR, _JOINTS))
        self._steps += 1
        self._state = EndEffectorState(
            now_s, self._closed(np.array(measured, dtype=float)), problems=self._errors
        )

    def _angles(self, closed: float) -> list[int]:
        config = self.config
        angles = config.open_angles + closed * (config.closed_angles - config.open_angles)
        return [round(float(angle)) for angle in angles]

    def _closed(self, angles: np.ndarray) -> float:
        """Mean closing fraction of the joints that take part."""
        span = self.config.closed_angles - self.config.open_angles
        moving = span != 0
        fractions = (angles[moving] - self.config.open_angles[moving]) / span[moving]
        return float(np.clip(fractions.mean(), 0.0, 1.0))

    # -- the line --------------------------------------------------------------------------

    def _connect(self) -> None:
        import serial

        config = self.config
        try:
            self._serial = serial.Serial(config.port, config.baud, timeout=_TIMEOUT_S)
        except (serial.SerialException, OSError, ValueError) as error:
            raise DeviceError(
                f"cannot be opened: {error}",
                where=config.port,
                remedy="check the cable, and that you are in the group dialout",
            ) from None
        self._parser.clear()
        self._sent = []
        limits = {Register.FORCE_SET: config.force_limit, Register.SPEED_SET: config.speed}
        try:
            for register, limit in limits.items():
                self._insist(register, pack_words([limit] * _JOINTS))
        except DeviceError:
            self.close()
            raise
        self._unanswered = 0

    def _insist(self, register: int, data: bytes) -> None:
        """Write although the line may lose some of it; a limit must not be left unset."""
        tries_left = _LOST_AFTER
        while True:
            try:
                self._write(register, data)
                return
            except DeviceError:
                tries_left -= 1
                if tries_left == 0 or self._serial is None:
                    raise

    def _lose(self, now_s: float, problem: str) -> None:
        self.close()
        self._sent = []
        last = self._state or EndEffectorState(now_s, 0.0)
        self._state = replace(last, connected=False, problems=(problem,))

    def _read(self, register: int, count: int) -> bytes:
        request = read_request(self.config.hand_id, register, count)
        return self._answer(request, Command.READ, register, count).data

    def _write(self, register: int, data: bytes) -> None:
        request = write_request(self.config.hand_id, register, data)
        self._answer(request, Command.WRITE, register, 1)

    def _answer(self, request: bytes, command: Command, register: int, count: int) -> Frame:
        """Send a request and wait for its own answer; others are late ones and are dropped."""
        import termios

        import serial

        try:
            self._serial.reset_input_buffer()
            self._parser.clear()
            self._serial.write(request)
            # Whole answer: header, id, length, command, address, data, checksum.
            for _ in range(_READS):
                for frame in self._parser.feed(self._serial.read(count + 8)):
                    if (
                        frame.hand_id == self.config.hand_id
                        and frame.command == command
                        and frame.address == register
                        and len(frame.data) == count
                    ):
                        return frame
        except (serial.SerialException, OSError, TypeError, termios.error) as error:
            self.close()
            raise DeviceError(f"the line broke: {error}", where=self.config.port) from None
        raise DeviceError(
            f"hand {self.config.hand_id} does not answer",
            where=self.config.port,
            remedy="check its 24 V supply, the hand's id and baud rate",
        )
