"""Both calibration poses without a keyboard: a pose is read once the arms were still in it."""

from __future__ import annotations

from collections import deque

import numpy as np

from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.leader_calibration import (
    LeaderZeros,
    PoseReading,
    pose_move_rad,
    read_pose,
    solve,
    wrapped,
)
from brs_hardware.leader_config import CalibrationConfig, JoyLoConfig

_TAKEN_RAD = 0.1  # movement that shows that somebody has taken the arms


class HandsFreeCalibration:
    """Fed with encoder readings, tells the person what to do and ends with the leader's zeros.

    The first pose counts when the arms were moved and then still, the second one when every joint
    has turned as it should and all are still.

    Args:
        config: of the leader.
        settings: its poses and tolerances.
        hold_s: how long a pose must be held still [s].
    """

    def __init__(
        self, config: JoyLoConfig, settings: CalibrationConfig, hold_s: float = 3.0
    ) -> None:
        self._config, self._settings, self._hold_s = config, settings, hold_s
        self._window: deque[tuple[float, np.ndarray]] = deque()
        self._start: np.ndarray | None = None
        self._taken = False  # whether somebody has moved the arms
        self._first: PoseReading | None = None
        self._held_s = 0.0
        self._away: list[str] = []  # joints that have not yet turned into the second pose

    @property
    def instruction(self) -> str:
        """What the person shall do now."""
        pose = self._settings.poses[0 if self._first is None else 1]
        todo = f"take both arms, then hold '{pose.name}' for {self._hold_s:.0f} s: {pose.hold}"
        return f"{todo} Not there yet: {', '.join(self._away)}." if self._away else todo

    @property
    def progress(self) -> float:
        """0 to 1; a half is the first pose."""
        held = 0.5 * min(1.0, self._held_s / self._hold_s)
        return held if self._first is None else 0.5 + held

    def update(self, ticks: np.ndarray, now_s: float) -> LeaderZeros | None:
        """One reading of all motors.

        Args:
            ticks: (motors,) present positions.
            now_s: its time [s].

        Returns:
            The outcome once both poses were held.

        Raises:
            DeviceError: as `solve`.
        """
        reading = self._still(ticks, now_s)
        if reading is None:
            return None
        self._window.clear()
        self._held_s = 0.0
        if self._first is None:
            self._first = reading
            return None
        settings = self._settings
        readings = (self._first, reading)
        return solve(self._config, settings.poses, readings, settings.pose_tolerance_rad)

    def _still(self, ticks: np.ndarray, now_s: float) -> PoseReading | None:
        """The reading of the pose that is asked for, once it was held for long enough."""
        if not self._in_place(ticks):
            self._window.clear()
            self._held_s = 0.0
            return None
        if self._window and np.any(self._moved(ticks) > self._settings.still_rad):
            self._window.clear()  # it moves: what was before no longer counts
        self._window.append((now_s, ticks))
        self._held_s = now_s - self._window[0][0]
        if self._held_s < self._hold_s:
            return None
        samples = np.array([sample for _, sample in self._window])
        return read_pose(self._config, samples, 2.0 * self._settings.still_rad)

    def _moved(self, ticks: np.ndarray) -> np.ndarray:
        """(motors,) since the first sample of the pose [rad]."""
        moved: np.ndarray = np.abs(wrapped(ticks - self._window[0][1])) * RAD_PER_TICK
        return moved

    def _in_place(self, ticks: np.ndarray) -> bool:
        """Whether this may be the pose that is asked for."""
        rows = self._config.master_rows
        if self._first is None:
            if self._start is None:
                self._start = ticks
            moved = np.abs(wrapped(ticks - self._start)) * RAD_PER_TICK
            self._taken = self._taken or bool(np.any(moved > _TAKEN_RAD))
            return self._taken
        turned = np.abs(wrapped(ticks - self._first.ticks)[rows]) * RAD_PER_TICK
        wrong = np.abs(turned - np.abs(pose_move_rad(self._settings.poses)))
        away = np.flatnonzero(wrong > self._settings.pose_tolerance_rad)
        self._away = [self._config.joints[joint] for joint in away]
        return not self._away
