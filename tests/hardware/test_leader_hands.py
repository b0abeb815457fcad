"""Keyboard and gamepad as a person's hands, and the devices themselves."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from brs_hardware.errors import DeviceError
from brs_hardware.leaders.devices import Gamepad, read_keys
from brs_hardware.leaders.hands import (
    BUTTON_KEYS,
    GAMEPAD_BUTTONS,
    LATCH_KEYS,
    GamepadHand,
    KeyboardHand,
)
from brs_hardware.leaders.joy import JoyGamepad
from brs_hardware.types import JOYCON_BUTTONS


def test_keys_and_gamepad_name_buttons_that_exist() -> None:
    for side, name in (*BUTTON_KEYS.values(), *LATCH_KEYS.values(), *GAMEPAD_BUTTONS.values()):
        assert name in JOYCON_BUTTONS[side]


def test_brackets_move_the_chosen_joint_once() -> None:
    hand = KeyboardHand(step_rad=0.1)
    for key in "3]]\t2[":
        hand.press(key, 0.0)
    action = hand.action(0.0)
    assert np.allclose(action.left_step, [0, 0, 0.2, 0, 0, 0])
    assert np.allclose(action.right_step, [0, -0.1, 0, 0, 0, 0])
    assert not hand.action(0.1).left_step.any()


def test_a_stick_key_counts_until_it_stops_repeating() -> None:
    hand = KeyboardHand(hold_s=0.5)
    hand.press("w", 0.0)
    hand.press("w", 0.4)
    hand.press("l", 0.4)
    assert hand.action(0.8).left_stick == (0.0, 1.0)
    assert hand.action(0.8).right_stick == (1.0, 0.0)
    assert hand.action(0.9).left_stick == (0.0, 0.0)


def test_turning_is_the_left_stick_pressed_in() -> None:
    hand = KeyboardHand()
    hand.press("w", 0.0)
    hand.press("q", 0.0)
    action = hand.action(0.1)
    assert (action.left_stick, action.left_buttons) == ((-1.0, 0.0), {"stick"})


def test_the_dead_man_stays_pressed_until_released() -> None:
    hand = KeyboardHand()
    hand.press("\r", 0.0)
    assert hand.action(100.0).left_buttons == {"l"}
    hand.press("\r", 100.0)
    assert hand.action(100.0).left_buttons == frozenset()
    for key in "\rzcw ":
        hand.press(key, 100.0)
    action = hand.action(100.0)
    assert (action.left_buttons, action.right_buttons) == (frozenset(), frozenset())
    assert action.left_stick == (0.0, 0.0)


def test_a_gamepad_is_both_controllers() -> None:
    hand = GamepadHand()
    for event in (("axis", 1, -32767), ("axis", 3, 16384), ("button", 4, 1), ("axis", 5, 32767)):
        hand.event(*event)
    action = hand.action(0.0)
    assert action.left_stick == (0.0, 1.0)
    assert action.right_stick == pytest.approx((0.5, 0.0), abs=1e-3)
    assert (action.left_buttons, action.right_buttons) == ({"l"}, {"zr"})
    hand.event("button", 4, 0)
    hand.event("axis", 7, 32767)
    assert hand.action(0.0).left_buttons == {"down"}


def test_a_gamepad_moves_the_chosen_joints() -> None:
    hand = GamepadHand(speed_rad_s=1.0)
    hand.event("button", 8, 1)
    hand.event("axis", 6, 32767)
    hand.event("axis", 1, -32767)
    hand.event("axis", 4, 32767)
    hand.action(1.0)
    action = hand.action(1.5)
    assert np.allclose(action.left_step, [0, 0.5, 0, 0, 0, 0])
    assert np.allclose(action.right_step, [0, -0.5, 0, 0, 0, 0])
    assert action.left_stick == (0.0, 0.0)


def test_keys_are_read_one_by_one_from_a_terminal() -> None:
    person, terminal = os.openpty()
    with read_keys(terminal) as keys:
        assert keys(0.0) == ""
        os.write(person, b"w\r")
        typed = ""
        while len(typed) < 2:
            typed += keys(5.0)
        assert typed == "w\r"
    os.close(person)
    os.close(terminal)


def test_a_closed_terminal_is_told() -> None:
    """Its end read as no key, for ever and at once: the loop took a whole core."""
    person, terminal = os.openpty()
    with read_keys(terminal) as keys, pytest.raises(DeviceError, match="was closed"):
        os.close(person)
        keys(1.0)
    os.close(terminal)


def test_a_keyboard_that_is_no_terminal_is_told(tmp_path: Path) -> None:
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(DeviceError, match="no terminal"),
        read_keys(file.fileno()),
    ):
        pass


def test_a_gamepad_device_is_read_and_its_loss_told(tmp_path: Path) -> None:
    path = tmp_path / "js0"
    with pytest.raises(DeviceError, match="js0: cannot be opened"):
        Gamepad(path)
    events = [(1, 1, 0x81, 4), (2, -32767, 0x02, 1), (3, 7, 0x04, 9)]
    path.write_bytes(b"".join(struct.pack("<IhBB", *event) for event in events))
    gamepad = Gamepad(path)
    assert gamepad.events(1.0) == [("button", 4, 1), ("axis", 1, -32767)]
    with pytest.raises(DeviceError, match="unplugged"):
        gamepad.events(1.0)
    gamepad.close()


def test_a_gamepad_moves_the_tool_of_the_chosen_arm() -> None:
    hand = GamepadHand(speed_rad_s=1.0, tool_speed_m_s=0.2)
    hand.event("button", 8, 1)
    hand.event("axis", 6, 32767)
    hand.event("axis", 0, 32767)  # to the right
    hand.event("axis", 1, -32767)  # ahead
    hand.event("axis", 4, 32767)  # down
    hand.action(1.0)
    action = hand.action(1.5)
    assert not action.left_step.any()
    assert np.allclose(action.right_step, [0.1, -0.1, -0.1, 0, 0, 0])
    hand.event("button", 9, 1)  # pressed in, it turns
    assert np.allclose(hand.action(2.0).right_step, [0, 0, -0.1, 0.5, 0.5, 0])


def test_back_and_start_are_the_stop_and_nothing_else() -> None:
    hand = GamepadHand()
    for number in (4, 6, 7):
        hand.event("button", number, 1)
    action = hand.action(0.0)
    assert (action.left_buttons, action.right_buttons) == ({"capture"}, frozenset())


def test_joy_messages_become_events_once() -> None:
    """A held guide button must not change the mode with each message."""
    gamepad = JoyGamepad(GamepadHand(), 0.25)
    axes = np.array([1.0, 0, 1, 0, 0, 1, 0, 0])
    for index in range(5):
        gamepad.hear(0.01 * index, axes, np.eye(11)[8])
    assert gamepad.hand.moves_arms
    gamepad.hear(0.1, axes, np.zeros(11))
    gamepad.hear(0.11, axes, np.eye(11)[8])
    action = gamepad.action(0.12)
    assert not gamepad.hand.moves_arms
    assert action.left_stick == (-1.0, 0.0) and not action.right_buttons
    gamepad.hear(0.13, np.array([0.0, 0, -1, 0, 0, 1, 0, 1]), np.zeros(11))
    assert gamepad.action(0.13).left_buttons == {"zl", "up"}
    with pytest.raises(DeviceError, match="silent"):
        gamepad.action(0.5)
    gamepad.hear(0.6, np.array([np.nan]), np.zeros(11))
    with pytest.raises(DeviceError, match="not a number"):
        gamepad.action(0.6)
