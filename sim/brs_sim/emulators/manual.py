"""The emulated leader moved by hand: a keyboard or a gamepad instead of two arms.

`KeyboardHand` and `GamepadHand` turn events into `ManualAction`s; they know no device. `read_keys`
and `Gamepad` get those events from a terminal and from /dev/input/js*. `apply` moves the leader.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brs_hardware.errors import DeviceError
from brs_sim.emulators.joylo import EmulatedJoyLo

JOINTS = 6
_SIDES = ("left", "right")

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
JOINT_KEYS = ("1", "2", "3", "4", "5", "6")
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

    left_step: np.ndarray  # (6,) [rad] by which the left arm's joints move
    right_step: np.ndarray  # (6,) [rad]
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
    """

    step_rad: float = 0.04
    hold_s: float = 0.6
    arm: str = "left"
    joint: int = 0
    _steps: dict[str, np.ndarray] = field(
        default_factory=lambda: {side: np.zeros(JOINTS) for side in _SIDES}
    )
    _held_until_s: dict[str, float] = field(default_factory=dict)
    _latched: set[tuple[str, str]] = field(default_factory=set)

    def press(self, key: str, now_s: float) -> None:
        """One key arrived; unknown ones mean nothing."""
        if key == "\t":
            self.arm = "right" if self.arm == "left" else "left"
        elif key in JOINT_KEYS:
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
        sticks = {side: np.zeros(2) for side in _SIDES}
        buttons = set(self._latched)
        for key in held & STICK_KEYS.keys():
            side, axis, value = STICK_KEYS[key]
            sticks[side][axis] += value
        if turns := held & TURN_KEYS.keys():  # turning is the left stick, pressed in
            sticks["left"][:] = sum(TURN_KEYS[key] for key in turns), 0.0
            buttons.add(("left", "stick"))
        buttons |= {BUTTON_KEYS[key] for key in held & BUTTON_KEYS.keys()}
        steps, self._steps = self._steps, {side: np.zeros(JOINTS) for side in _SIDES}
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
_GUIDE = 8
_STICK_AXES = {0: ("left", 0), 1: ("left", 1), 3: ("right", 0), 4: ("right", 1)}
_TRIGGER_AXES = {2: ("left", "zl"), 5: ("right", "zr")}
_PAD_HORIZONTAL, _PAD_VERTICAL = 6, 7
_FULL = 32767.0


@dataclass
class GamepadHand:
    """Gamepad events to actions.

    Sticks and buttons are the Joy-Cons'. The guide button changes to moving the arms: then each
    stick's vertical moves the chosen joint of its arm, and the pad's left and right choose it.

    Args:
        speed_rad_s: of a joint at full deflection.
    """

    speed_rad_s: float = 0.8
    joint: int = 0
    moves_arms: bool = False
    _axes: dict[int, float] = field(default_factory=dict)
    _buttons: set[int] = field(default_factory=set)
    _looked_s: float | None = None

    def event(self, kind: str, number: int, value: int) -> None:
        """`button` (0 or 1) or `axis` (-32767 .. 32767) number changed."""
        if kind == "axis":
            before, self._axes[number] = self._axes.get(number, 0.0), value / _FULL
            if number == _PAD_HORIZONTAL and before == 0.0 and self.moves_arms:
                self.joint = (self.joint + int(np.sign(value))) % JOINTS
        elif not value:
            self._buttons.discard(number)
        else:
            self._buttons.add(number)
            self.moves_arms ^= number == _GUIDE

    def action(self, now_s: float) -> ManualAction:
        """What the gamepad means now; joints move by the time since the last look."""
        elapsed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        sticks = {side: np.zeros(2) for side in _SIDES}
        for number, (side, axis) in _STICK_AXES.items():
            # Gamepads count downwards.
            sticks[side][axis] = self._axes.get(number, 0.0) * (-1.0 if axis else 1.0)
        steps = {side: np.zeros(JOINTS) for side in _SIDES}
        buttons = {GAMEPAD_BUTTONS[n] for n in self._buttons if n in GAMEPAD_BUTTONS}
        buttons |= {
            name for axis, name in _TRIGGER_AXES.items() if self._axes.get(axis, -1.0) > 0.0
        }
        if self.moves_arms:
            for side in _SIDES:
                steps[side][self.joint] = sticks[side][1] * self.speed_rad_s * elapsed_s
                sticks[side][:] = 0.0
        vertical = self._axes.get(_PAD_VERTICAL, 0.0)
        if vertical:
            buttons.add(("left", "down" if vertical > 0.0 else "up"))
        return _action(steps, sticks, buttons)


class ManualOperator:
    """Moves an emulated leader by actions, starting from its neutral pose."""

    def __init__(self, leader: EmulatedJoyLo) -> None:
        self.leader = leader
        self.left_arm = np.array(leader.config.left.neutral)
        self.right_arm = np.array(leader.config.right.neutral)

    def apply(self, action: ManualAction) -> None:
        """Do one action."""
        self.left_arm = self.left_arm + action.left_step
        self.right_arm = self.right_arm + action.right_step
        self.leader.move_hand(self.left_arm, self.right_arm)
        self.leader.set_stick("left", action.left_stick)
        self.leader.set_stick("right", action.right_stick)
        self.leader.set_buttons("left", action.left_buttons)
        self.leader.set_buttons("right", action.right_buttons)


@contextlib.contextmanager
def read_keys(file: int | None = None) -> Iterator[Callable[[float], str]]:
    """The terminal in a mode that gives each key at once; Ctrl-C still ends the program.

    Args:
        file: descriptor of a terminal; None is standard input.

    Yields:
        a function of a timeout [s] that gives the keys typed, often none.

    Raises:
        DeviceError: it is no terminal.
    """
    source = sys.stdin.fileno() if file is None else file
    if not os.isatty(source):
        raise DeviceError(
            "standard input is no terminal", where="keyboard", remedy="run it in a terminal"
        )
    before = termios.tcgetattr(source)
    tty.setcbreak(source)
    changed = termios.tcgetattr(source)
    changed[0] &= ~termios.ICRNL  # Enter stays a carriage return
    termios.tcsetattr(source, termios.TCSANOW, changed)

    def keys(timeout_s: float) -> str:
        ready = select.select((source,), (), (), timeout_s)[0]
        return os.read(source, 64).decode(errors="replace") if ready else ""

    try:
        yield keys
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)


class Gamepad:
    """A Linux joystick device.

    Args:
        path: such as /dev/input/js0.

    Raises:
        DeviceError: not there or not readable.
    """

    _EVENT = struct.Struct("<IhBB")  # time [ms], value, type, number
    _KINDS = {1: "button", 2: "axis"}
    _INITIAL = 0x80  # bit of the type: the state at opening, not a change

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise DeviceError(
                f"cannot be opened ({error.strerror})",
                where=self.path,
                remedy="plug in the gamepad; see which /dev/input/js* appears",
            ) from None

    def events(self, timeout_s: float) -> list[tuple[str, int, int]]:
        """(kind, number, value) of what happened, for `GamepadHand.event`.

        Raises:
            DeviceError: it was unplugged.
        """
        if not select.select((self._file,), (), (), timeout_s)[0]:
            return []
        try:
            data = os.read(self._file, 64 * self._EVENT.size)
        except OSError:
            data = b""
        if not data:
            raise DeviceError("was unplugged", where=self.path, remedy="plug it in again")
        whole = data[: len(data) // self._EVENT.size * self._EVENT.size]
        return [
            (self._KINDS[kind & ~self._INITIAL], number, value)
            for _, value, kind, number in self._EVENT.iter_unpack(whole)
            if kind & ~self._INITIAL in self._KINDS
        ]

    def close(self) -> None:
        """Close the device."""
        os.close(self._file)


def _action(
    steps: dict[str, np.ndarray],
    sticks: dict[str, np.ndarray],
    buttons: set[tuple[str, str]],
) -> ManualAction:
    left, right = (np.clip(sticks[side], -1.0, 1.0).tolist() for side in _SIDES)
    held = {side: frozenset(name for of, name in buttons if of == side) for side in _SIDES}
    return ManualAction(
        steps["left"],
        steps["right"],
        (left[0], left[1]),
        (right[0], right[1]),
        held["left"],
        held["right"],
    )
