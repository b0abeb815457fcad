"""Galaxea's parallel gripper, which is commanded and measured by its stroke [mm].

BRS commands 90 mm for open and 1 mm for closed of the 0 to 100 mm that the driver takes; the
strokes stand in the embodiment file.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from brs_hardware.embodiment import Gripper
from brs_hardware.end_effectors.interface import EndEffector, EndEffectorState


class ParallelJaw(EndEffector):
    """A gripper behind the vendor's topics.

    Args:
        gripper: its strokes.
        send: takes a stamp [s] and a stroke [mm] to the driver.
    """

    def __init__(self, gripper: Gripper, send: Callable[[float, float], None]) -> None:
        self._gripper, self._send = gripper, send
        self._state: EndEffectorState | None = None

    def open(self) -> None:
        """Nothing to do: the vendor's driver holds the device."""

    def act(self, now_s: float, closed: float) -> None:
        """See EndEffector."""
        if math.isfinite(closed):
            self._send(now_s, self._gripper.to_stroke_mm(float(np.clip(closed, 0.0, 1.0))))

    def measured(self, stamp_s: float, stroke_mm: float) -> None:
        """Take a stroke [mm] from the driver's feedback."""
        self._state = EndEffectorState(stamp_s, self._gripper.to_closed(stroke_mm))

    def state(self) -> EndEffectorState | None:
        """See EndEffector."""
        return self._state

    def close(self) -> None:
        """Nothing to do: the vendor's driver holds the device."""
