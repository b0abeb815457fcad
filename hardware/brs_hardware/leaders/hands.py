"""A person's hands on a keyboard or a gamepad, as actions on a leader; no device is known here.

`KeyboardHand` and `GamepadHand` turn events into `ManualAction`s. `brs_hardware.leaders.devices`
gets those events from a terminal and from /dev/input/js*.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SIDES = ("left", "right")

# Keys that push a stick while they are held: (side, axis, value).
STICK_KEYS = {
    "w": ("left", 1, 1.0),
    "s": ("left", 1, -1.0),
    "d": ("left", 0, 1.0),
    "a": ("left", 0, -1.0),
    "i": ("right", 1, 1.0),
    "k": ("right", 1, -1.0),
    "l": ("right", 0, 1.0),
    "j": ("right", 0, -1.0),
}
# Keys that turn the base, to the right and to the left.
TURN_KEYS = {"e": 1.0, "q": -1.0}
JOINT_KEYS = "123456789"
# Keys that hold a button while they are held.
BUTTON_KEYS = {
    "t": ("left", "up"),
    "g": ("left", "down"),
    "-": ("left", "minus"),
    "+": ("right", "plus"),
    "n": ("right", "a"),
    "b": ("right", "b"),
    "x": ("right", "x"),
    "y": ("right", "y"),
    "\x7f": ("left", "capture"),
}
# Keys that press a button for good, and release it the next time: the dead-man, the grippers.
LATCH_KEYS = {"\r": ("left", "l"), "z": ("left", "zl"), "c": ("right", "zr")}
KEYBOARD_HELP = (
    "Enter dead-man · w a s d base · q e turn · i k hip · j l waist · t g stand, squat\n"
    "Tab other arm · 1..6 joint · [ ] move it · z c grippers · n record · y save · x discard\n"
    "Space let go of everything · Backspace stop the robot · Ctrl-C end"
)


@dataclass(frozen=True)
class ManualAction:
    """What the hand does between two looks."""

    # By which the left arm's joints move [rad]; or its tool, (6,) along x, y, z [m], about them
    # [rad], where the leader is one that moves tools.
    left_step: np.ndarray
    right_step: np.ndarray  # likewise
    left_stick: tuple[float, float] = (0.0, 0.0)  # -1..1, right + and up +
    right_stick: tuple[float, float] = (0.0, 0.0)
    left_buttons: frozenset[str] = frozenset()
    right_buttons: frozenset[str] = frozenset()


@dataclass
class KeyboardHand:
    """Keys to actions. A terminal tells of no release: a key counts as held for `hold_s`.

    Args:
        step_rad: that one press of [ or ] moves the chosen joint by.
        hold_s: longer than the pause before a held key repeats.
        joints: of an arm, or the 6 directions of a tool.
    """

    step_rad: float = 0.04
    hold_s: float = 0.6
    joints: int = 6
    arm: str = "left"
    joint: int = 0
    _steps: dict[str, np.ndarray] = field(default_factory=dict)
    _held_until_s: dict[str, float] = field(default_factory=dict)
    _latched: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._steps = {side: np.zeros(self.joints) for side in SIDES}

    def press(self, key: str, now_s: float) -> None:
        """One key arrived; unknown ones mean nothing."""
        if key == "\t":
            self.arm = "right" if self.arm == "left" else "left"
        elif key in JOINT_KEYS[: self.joints]:
            self.joint = JOINT_KEYS.index(key)
        elif key in ("[", "]"):
            self._steps[self.arm][self.joint] += self.step_rad if key == "]" else -self.step_rad
        elif key == " ":
            self._held_until_s.clear()
            self._latched.clear()
        elif key in LATCH_KEYS:
            self._latched ^= {LATCH_KEYS[key]}
        elif key in STICK_KEYS or key in BUTTON_KEYS or key in TURN_KEYS:
            self._held_until_s[key] = now_s + self.hold_s

    def action(self, now_s: float) -> ManualAction:
        """What the keys mean now; joint steps are handed out once."""
        held = {key for key, until_s in self._held_until_s.items() if now_s < until_s}
        sticks = {side: np.zeros(2) for side in SIDES}
        buttons = set(self._latched)
        for key in held & STICK_KEYS.keys():
            side, axis, value = STICK_KEYS[key]
            sticks[side][axis] += value
        if turns := held & TURN_KEYS.keys():  # turning is the left stick, pressed in
            sticks["left"][:] = sum(TURN_KEYS[key] for key in turns), 0.0
            buttons.add(("left", "stick"))
        buttons |= {BUTTON_KEYS[key] for key in held & BUTTON_KEYS.keys()}
        steps, self._steps = self._steps, {side: np.zeros(self.joints) for side in SIDES}
        return _action(steps, sticks, buttons)


# Buttons of a Linux gamepad in the order of the xpad driver.
GAMEPAD_BUTTONS = {
    0: ("right", "b"),
    1: ("right", "a"),
    2: ("right", "y"),
    3: ("right", "x"),
    4: ("left", "l"),
    5: ("right", "r"),
    6: ("left", "minus"),
    7: ("right", "plus"),
    9: ("left", "stick"),
    10: ("right", "stick"),
}
_ESTOP_CHORD = {("left", "minus"), ("right", "plus")}
_GUIDE = 8
_STICK_AXES = {0: ("left", 0), 1: ("left", 1), 3: ("right", 0), 4: ("right", 1)}
_TRIGGER_AXES = {2: ("left", "zl"), 5: ("right", "zr")}
_PAD_HORIZONTAL, _PAD_VERTICAL = 6, 7
_FULL = 32767.0


@dataclass
class GamepadHand:
    """Gamepad events to actions.

    Sticks and buttons are the Joy-Cons'; back and start together are the e-stop. The guide button
    changes to moving the arms. Then each stick's vertical moves the chosen joint of its arm, and
    the pad's left and right choose it. Or, with `tool_speed_m_s`, they choose an arm, whose tool
    the sticks move: the left one forward and sideways, pressed in it rolls and pitches; the right
    one up and about the vertical.

    Args:
        speed_rad_s: of a joint, or of a tool's turn, at full deflection.
        tool_speed_m_s: of a tool at full deflection; None moves joints.
        joints: of an arm.
    """

    speed_rad_s: float = 0.8
    tool_speed_m_s: float | None = None
    joints: int = 6
    arm: str = "left"
    joint: int = 0
    moves_arms: bool = False
    _axes: dict[int, float] = field(default_factory=dict)
    _buttons: set[int] = field(default_factory=set)
    _looked_s: float | None = None

    def event(self, kind: str, number: int, value: int) -> None:
        """`button` (0 or 1) or `axis` (-32767 .. 32767) number changed."""
        if kind == "axis":
            before, self._axes[number] = self._axes.get(number, 0.0), value / _FULL
            if number == _PAD_HORIZONTAL and before == 0.0 and value and self.moves_arms:
                self.joint = (self.joint + int(np.sign(value))) % self.joints
                self.arm = "right" if value > 0 else "left"
        elif not value:
            self._buttons.discard(number)
        else:
            self._buttons.add(number)
            self.moves_arms ^= number == _GUIDE

    def action(self, now_s: float) -> ManualAction:
        """What the gamepad means now; joints move by the time since the last look."""
        elapsed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        sticks = {side: np.zeros(2) for side in SIDES}
        for number, (side, axis) in _STICK_AXES.items():
            # Gamepads count downwards.
            sticks[side][axis] = self._axes.get(number, 0.0) * (-1.0 if axis else 1.0)
        buttons = {GAMEPAD_BUTTONS[n] for n in self._buttons if n in GAMEPAD_BUTTONS}
        buttons |= {
            name for axis, name in _TRIGGER_AXES.items() if self._axes.get(axis, -1.0) > 0.0
        }
        if buttons >= _ESTOP_CHORD:
            buttons = {("left", "capture")}
        if self.moves_arms:
            steps = self._arm_steps(sticks, ("left", "stick") in buttons, elapsed_s)
            for stick in sticks.values():
                stick[:] = 0.0
        else:
            steps = {side: np.zeros(self._step_size) for side in SIDES}
        vertical = self._axes.get(_PAD_VERTICAL, 0.0)
        if vertical:
            buttons.add(("left", "down" if vertical > 0.0 else "up"))
        return _action(steps, sticks, buttons)

    @property
    def _step_size(self) -> int:
        return self.joints if self.tool_speed_m_s is None else 6

    def _arm_steps(
        self, sticks: dict[str, np.ndarray], turning: bool, elapsed_s: float
    ) -> dict[str, np.ndarray]:
        steps = {side: np.zeros(self._step_size) for side in SIDES}
        if self.tool_speed_m_s is None:
            for side in SIDES:
                steps[side][self.joint] = sticks[side][1] * self.speed_rad_s * elapsed_s
            return steps
        (across, ahead), (about, up) = sticks["left"], sticks["right"]
        step = steps[self.arm]
        step[:3] = (0.0, 0.0, up) if turning else (ahead, -across, up)
        step[3:] = (across, ahead, -about) if turning else (0.0, 0.0, -about)
        step[:3] *= self.tool_speed_m_s * elapsed_s
        step[3:] *= self.speed_rad_s * elapsed_s
        return steps


def _action(
    steps: dict[str, np.ndarray],
    sticks: dict[str, np.ndarray],
    buttons: set[tuple[str, str]],
) -> ManualAction:
    left, right = (np.clip(sticks[side], -1.0, 1.0).tolist() for side in SIDES)
    held = {side: frozenset(name for of, name in buttons if of == side) for side in SIDES}
    return ManualAction(
        steps["left"],
        steps["right"],
        (left[0], left[1]),
        (right[0], right[1]),
        held["left"],
        held["right"],
    )
