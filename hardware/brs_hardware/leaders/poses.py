"""Poses of two hands as a leader: virtual-reality controllers, or any tracker of hands.

Each hand has a grip button, which is its dead-man and its clutch: while it is held, the tool
repeats the hand's motion from there on, so that a person re-poses the hand by letting go. Motion
counts, not place: no calibration but the direction in which the person looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import DeviceError
from brs_hardware.leaders.direct import DirectLeader, DirectSettings, register
from brs_hardware.leaders.hands import SIDES, ManualAction
from brs_hardware.leaders.tools import ToolControl, ToolSettings
from brs_hardware.types import JOYCON_BUTTONS

GRIP = {"left": "l", "right": "r"}
# Trackers tremble, and messages do not arrive as evenly as they are sent.
_TREMOR_M, _TREMOR_RAD = 0.03, 0.2


@dataclass(frozen=True)
class PoseSettings(DirectSettings):
    """Hand poses and buttons by topic. Poses are x forward, y left, z up (REP-103)."""

    # Name of each button of the hand's sensor_msgs/Joy, in its order; "" means nothing. Axes 0
    # and 1 are the stick, right and up positive.
    left_buttons: tuple[str, ...] = ("zl", "l", "stick", "down", "up", "capture")
    right_buttons: tuple[str, ...] = ("zr", "r", "stick", "a", "y", "home")
    pose_timeout_s: float = 0.1
    heading_rad: float = 0.0  # of the person, about the trackers' vertical
    scale: float = 1.0  # the tool's way for one of the hand
    hand_speed_m_s: float = 4.0  # no hand is faster: the tracker lost it
    hand_turn_rad_s: float = 20.0
    tools: ToolSettings = field(default_factory=ToolSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in SIDES:
            for name in getattr(self, f"{side}_buttons"):
                if name and name not in JOYCON_BUTTONS[side]:
                    hint = did_you_mean(name, JOYCON_BUTTONS[side])
                    raise ValueError(f"'{side}_buttons': unknown button '{name}', {hint}")
            if GRIP[side] not in getattr(self, f"{side}_buttons"):
                raise ValueError(f"'{side}_buttons': none is the grip, '{GRIP[side]}'")


@dataclass(frozen=True)
class _Hand:
    stamp_s: float
    position: np.ndarray  # (3,) [m]
    rotation: Rotation


@dataclass(frozen=True)
class _Grip:
    """Where hand and tool were when the grip was pressed."""

    hand: _Hand
    tool: np.ndarray  # (4, 4)


@register("poses")
class PoseLeader(DirectLeader):
    """Two tracked hands with buttons and a stick each."""

    Settings = PoseSettings
    settings: PoseSettings

    def __init__(self, embodiment: Embodiment, settings: PoseSettings | None = None) -> None:
        super().__init__(embodiment, settings)
        self._tools = ToolControl(embodiment, self.settings.tools)
        self._heading = Rotation.from_euler("z", -self.settings.heading_rad)
        self._hands: dict[str, _Hand] = {}
        self._faults = dict.fromkeys(SIDES, "")
        self._grips: dict[str, _Grip] = {}
        self._heard_s: dict[str, float] = {}
        self._sticks = dict.fromkeys(SIDES, (0.0, 0.0))
        self._buttons: dict[str, frozenset[str]] = dict.fromkeys(SIDES, frozenset())

    def hear_pose(
        self, now_s: float, side: str, position: np.ndarray, quaternion: np.ndarray
    ) -> None:
        """A hand's pose in the trackers' frame.

        Args:
            now_s: when it arrived [s].
            side: `left` or `right`.
            position: (3,) [m].
            quaternion: (4,) x, y, z, w.
        """
        values = np.concatenate([position, quaternion])
        if not np.all(np.isfinite(values)) or abs(np.linalg.norm(quaternion) - 1.0) > 0.05:
            self._faults[side] = "its pose is none"
            return
        hand = _Hand(
            now_s, self._heading.apply(position), self._heading * Rotation.from_quat(quaternion)
        )
        if (before := self._hands.get(side)) and self._jumped(before, hand):
            self._faults[side] = "its pose jumped"
        self._hands[side] = hand

    def hear_buttons(self, now_s: float, side: str, axes: np.ndarray, buttons: np.ndarray) -> None:
        """A hand's sensor_msgs/Joy: axes (n,) -1..1 and buttons (m,) 0 or 1, arrived now [s]."""
        stick = tuple(float(value) for value in axes[:2])
        if len(stick) != 2 or not np.all(np.isfinite(stick)):
            self._faults[side] = "its stick is not 2 numbers"
            return
        self._heard_s[side], self._sticks[side] = now_s, (stick[0], stick[1])
        names = getattr(self.settings, f"{side}_buttons")
        held = zip(names, buttons, strict=False)
        self._buttons[side] = frozenset(name for name, down in held if name and down)

    def _action(self, now_s: float) -> ManualAction:
        for side in SIDES:
            if now_s - self._heard_s.get(side, -np.inf) > self.settings.input_timeout_s:
                raise DeviceError(
                    f"{side} hand: its buttons are silent", remedy="is the tracker running?"
                )
            if GRIP[side] not in self._buttons[side]:
                self._faults[side] = ""
            elif self._faults[side]:
                raise DeviceError(f"{side} hand: {self._faults[side]}", remedy="let go of it")
            elif (
                side not in self._hands
                or now_s - self._hands[side].stamp_s > self.settings.pose_timeout_s
            ):
                raise DeviceError(f"{side} hand: its pose is silent", remedy="show it to trackers")
        return ManualAction(
            np.zeros(0),
            np.zeros(0),
            self._sticks["left"],
            self._sticks["right"],
            self._buttons["left"],
            self._buttons["right"],
        )

    def _begin(self, arms: dict[str, np.ndarray]) -> None:
        self._grips.clear()

    def _move(
        self, arms: dict[str, np.ndarray], action: ManualAction, dt_s: float
    ) -> dict[str, np.ndarray]:
        return {side: self._move_arm(side, arm, dt_s) for side, arm in arms.items()}

    def _move_arm(self, side: str, arm: np.ndarray, dt_s: float) -> np.ndarray:
        if GRIP[side] not in self._buttons[side]:
            self._grips.pop(side, None)
            return arm
        hand = self._hands[side]
        if side not in self._grips:
            self._grips[side] = _Grip(hand, self._tools.pose(side, arm))
        grip = self._grips[side]
        goal = grip.tool.copy()
        goal[:3, 3] += self.settings.scale * (hand.position - grip.hand.position)
        turned = hand.rotation * grip.hand.rotation.inv()
        goal[:3, :3] = turned.as_matrix() @ goal[:3, :3]
        return self._tools.step(side, arm, goal, dt_s)

    def _jumped(self, before: _Hand, now: _Hand) -> bool:
        elapsed_s = min(max(now.stamp_s - before.stamp_s, 0.0), self.settings.pose_timeout_s)
        way_m = float(np.linalg.norm(now.position - before.position))
        turn_rad = float((now.rotation * before.rotation.inv()).magnitude())
        return (
            way_m > _TREMOR_M + self.settings.hand_speed_m_s * elapsed_s
            or turn_rad > _TREMOR_RAD + self.settings.hand_turn_rad_s * elapsed_s
        )
