"""A simple person at the emulated leader: arms, engages, drives to and fro, begins again."""

from __future__ import annotations

import numpy as np
from brs_interfaces.msg import TeleopState

from brs_hardware.embodiment import Embodiment
from brs_hardware.types import WholeBodyState
from brs_sim.emulators.joylo import EmulatedJoyLo

DRIVES = (TeleopState.RAMPING, TeleopState.ENGAGED, TeleopState.CLUTCHED)
# How long the thumb is off when teleop asks for a new press.
RELEASE_S = 0.3
# The base goes to and fro between these places before its start [m].
NEAR_M, FAR_M = -0.05, -0.45
SWING_RAD, SWING_S = 0.15, 4.0
HAND_SPEED_RAD_S = 0.5


class Hand:
    """Moves the leader; `act` is called at a steady rate.

    Args:
        leader: that it holds.
        robot: whose ready pose it swings about.
    """

    def __init__(self, leader: EmulatedJoyLo, robot: Embodiment) -> None:
        self._leader = leader
        self._ready = {arm: robot.poses["ready"][arm] for arm in ("left_arm", "right_arm")}
        self._arms: dict[str, np.ndarray] = {}
        self._start_pose: np.ndarray | None = None
        self._forward = -1.0
        self._released_until_s = self._acted_s = 0.0

    def act(self, now_s: float, state: WholeBodyState, teleop: TeleopState) -> None:
        """Do what a person would do now."""
        elapsed_s, self._acted_s = min(now_s - self._acted_s, 0.1), now_s
        if "press again" in teleop.message and now_s > self._released_until_s + RELEASE_S:
            self._released_until_s = now_s + RELEASE_S
        if teleop.state in DRIVES:
            self._swing(now_s, elapsed_s)
            stick = (0.0, self._direction(state))
        else:
            self._arms = {arm: getattr(state, arm).position.copy() for arm in self._ready}
            stick = (0.0, 0.0)
        self._leader.move_hand(self._arms["left_arm"], self._arms["right_arm"])
        self._leader.set_stick("left", stick)
        held = now_s > self._released_until_s
        self._leader.set_buttons("left", frozenset({"l"} if held else ()))

    def rest(self) -> None:
        """Take the thumb off."""
        self._leader.set_buttons("left", frozenset())

    def _swing(self, now_s: float, elapsed_s: float) -> None:
        """Lead the arms slowly to the ready pose, and about it."""
        swing = SWING_RAD * np.sin(2.0 * np.pi * now_s / SWING_S)
        reach = HAND_SPEED_RAD_S * elapsed_s
        for arm, ready in self._ready.items():
            goal = ready + swing * np.array([0, 0, 0, *[1] * (len(ready) - 3)])
            self._arms[arm] = self._arms[arm] + np.clip(goal - self._arms[arm], -reach, reach)

    def _direction(self, state: WholeBodyState) -> float:
        """Full speed, forward or back, as seen from where the base first stood."""
        if self._start_pose is None:
            self._start_pose = state.base_pose.copy()
        x, y, yaw = self._start_pose
        gone = state.base_pose[:2] - (x, y)
        ahead_m = float(gone @ (np.cos(yaw), np.sin(yaw)))
        if ahead_m > NEAR_M:
            self._forward = -1.0
        elif ahead_m < FAR_M:
            self._forward = 1.0
        return self._forward
