"""A gamepad that is heard through the topic of the standard ROS node `joy`."""

from __future__ import annotations

import numpy as np

from brs_hardware.errors import DeviceError
from brs_hardware.leaders.hands import GamepadHand, ManualAction

_AXIS_FULL = 32767  # of the kernel's joystick events


class JoyGamepad:
    """Messages of sensor_msgs/Joy to the events of a `GamepadHand`.

    Numbers of axes and buttons are those of `joy` with an Xbox-like gamepad under Linux.

    Args:
        hand: makes actions of the events.
        timeout_s: silence after which the gamepad is lost; `joy` repeats itself at 20 Hz.
    """

    def __init__(self, hand: GamepadHand, timeout_s: float) -> None:
        self.hand = hand
        self._timeout_s = timeout_s
        self._held: set[int] = set()
        self._heard_s = -np.inf
        self._broken = False

    def hear(self, now_s: float, axes: np.ndarray, buttons: np.ndarray) -> None:
        """One message.

        Args:
            now_s: when it arrived [s].
            axes: (n,) -1..1; left and up are positive, a trigger goes from 1 to -1.
            buttons: (m,) 0 or 1.
        """
        self._heard_s = now_s
        self._broken = not np.all(np.isfinite(axes))
        if self._broken:
            return
        for number, value in enumerate(np.clip(axes, -1.0, 1.0).tolist()):
            # The kernel's events count to the right, down and pressed.
            self.hand.event("axis", number, round(-value * _AXIS_FULL))
        held = set(np.flatnonzero(buttons).tolist())
        for number in held ^ self._held:
            self.hand.event("button", number, int(number in held))
        self._held = held

    def action(self, now_s: float) -> ManualAction:
        """What the gamepad means now. Raises DeviceError: silent, or an axis is no number."""
        action = self.hand.action(now_s)
        if now_s - self._heard_s > self._timeout_s:
            raise DeviceError(
                "gamepad: silent", remedy="plug it in and start `ros2 run joy joy_node`"
            )
        if self._broken:
            raise DeviceError("gamepad: an axis is not a number", remedy="plug it in again")
        return action
