"""Keyboard and gamepad as leaders: they move base, torso, grippers, joints or tools by rates."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.leaders.direct import DirectLeader, DirectSettings, register
from brs_hardware.leaders.hands import GamepadHand, KeyboardHand, ManualAction
from brs_hardware.leaders.joy import JoyGamepad
from brs_hardware.leaders.tools import ToolControl, ToolSettings

MOVES = ("joints", "tools")
# A goal farther than this from its tool is out of reach: it waits there for the tool.
_TOOL_LEAD_M = 0.05


@dataclass(frozen=True)
class RateSettings(DirectSettings):
    """What keyboard and gamepad have in common."""

    moves: str = "tools"  # `joints`: one at a time; `tools`: along and about x, y, z of the trunk
    tools: ToolSettings = field(default_factory=ToolSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.moves not in MOVES:
            raise ValueError(f"unknown moves '{self.moves}', {did_you_mean(self.moves, MOVES)}")


class RateLeader(DirectLeader):
    """Arms that move by the steps of a `ManualAction`."""

    settings: RateSettings

    def __init__(self, embodiment: Embodiment, settings: RateSettings | None = None) -> None:
        super().__init__(embodiment, settings)
        self._goals: dict[str, np.ndarray] = {}
        self._tools: ToolControl | None = None
        self._joints = 6  # of one step: a tool's directions
        if self.settings.moves == "tools":
            self._tools = ToolControl(embodiment, self.settings.tools)
        else:
            self._joints = len(embodiment.left_arm.joints)

    def _begin(self, arms: dict[str, np.ndarray]) -> None:
        if self._tools is not None:
            self._goals = {side: self._tools.pose(side, arm) for side, arm in arms.items()}

    def _move(
        self, arms: dict[str, np.ndarray], action: ManualAction, dt_s: float
    ) -> dict[str, np.ndarray]:
        steps = {"left": action.left_step, "right": action.right_step}
        if self._tools is None:
            return {side: arm + steps[side] for side, arm in arms.items()}
        return {
            side: self._move_tool(self._tools, side, arm, steps[side], dt_s)
            for side, arm in arms.items()
        }

    def _move_tool(
        self, tools: ToolControl, side: str, arm: np.ndarray, step: np.ndarray, dt_s: float
    ) -> np.ndarray:
        goal, pose = self._goals[side], tools.pose(side, arm)
        goal[:3, 3] += step[:3]
        goal[:3, :3] = Rotation.from_rotvec(step[3:]).as_matrix() @ goal[:3, :3]
        away = goal[:3, 3] - pose[:3, 3]
        goal[:3, 3] = pose[:3, 3] + away * min(
            1.0, _TOOL_LEAD_M / max(float(np.linalg.norm(away)), 1e-12)
        )
        return tools.step(side, arm, goal, dt_s)


@dataclass(frozen=True)
class GamepadSettings(RateSettings):
    """A gamepad on the topic of the standard `joy` node."""

    joint_speed_rad_s: float = 0.8  # at full deflection; also of a tool's turn
    tool_speed_m_s: float = 0.25


@register("gamepad")
class GamepadLeader(RateLeader):
    """A gamepad, its shoulder buttons the dead-man; see `GamepadHand` for all the others."""

    Settings = GamepadSettings
    settings: GamepadSettings

    def __init__(self, embodiment: Embodiment, settings: GamepadSettings | None = None) -> None:
        super().__init__(embodiment, settings)
        moves_tools = self.settings.moves == "tools"
        hand = GamepadHand(
            self.settings.joint_speed_rad_s,
            self.settings.tool_speed_m_s if moves_tools else None,
            self._joints,
        )
        self.gamepad = JoyGamepad(hand, self.settings.input_timeout_s)

    def _action(self, now_s: float) -> ManualAction:
        return self.gamepad.action(now_s)


@dataclass(frozen=True)
class KeyboardSettings(RateSettings):
    """A keyboard."""

    step_rad: float = 0.04  # of a joint or a tool's turn, a press of [ or ]
    step_m: float = 0.01  # of a tool
    hold_s: float = 0.6  # longer than the pause before a held key repeats
    idle_s: float = 5.0  # without any key, the latched dead-man is released


@register("keyboard")
class KeyboardLeader(RateLeader):
    """Keys of a terminal; see `KEYBOARD_HELP` for what each does.

    A terminal tells of no release, so the dead-man latches: it lasts while keys keep coming.
    """

    Settings = KeyboardSettings
    settings: KeyboardSettings

    def __init__(self, embodiment: Embodiment, settings: KeyboardSettings | None = None) -> None:
        super().__init__(embodiment, settings)
        self._hand = KeyboardHand(self.settings.step_rad, self.settings.hold_s, self._joints)
        self._pressed_s = -np.inf

    def hear(self, now_s: float, key: str) -> None:
        """One key, pressed or repeated now [s]."""
        self._pressed_s = now_s
        self._hand.press(key, now_s)

    def _action(self, now_s: float) -> ManualAction:
        if now_s - self._pressed_s > self.settings.idle_s:
            self._hand.press(" ", now_s)
        return self._hand.action(now_s)

    def _move_tool(
        self, tools: ToolControl, side: str, arm: np.ndarray, step: np.ndarray, dt_s: float
    ) -> np.ndarray:
        metres = step[:3] * self.settings.step_m / self.settings.step_rad
        return super()._move_tool(tools, side, arm, np.concatenate([metres, step[3:]]), dt_s)
