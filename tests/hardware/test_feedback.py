"""The measured robot is there once every part came, and garbage is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.feedback import FeedbackAssembler


def fill(assembler: FeedbackAssembler, stamp_s: float) -> None:
    robot = assembler.embodiment
    for name in robot.GROUPS:
        count = len(robot.group(name).joints)
        values = np.arange(count, dtype=float)
        assembler.joints(name, stamp_s, robot.group(name).joints, values, values, values)
    for name in robot.GRIPPERS:
        assembler.gripper(name, stamp_s, robot.gripper(name).stroke_open_mm)
    assembler.base_velocity(stamp_s, np.zeros(3))


def test_nothing_before_every_part_came(robot: Embodiment) -> None:
    assembler = FeedbackAssembler(robot)
    assert assembler.state() is None and len(assembler.missing()) == 6
    fill(assembler, 1.0)
    state = assembler.state()
    assert state is not None and not assembler.missing()
    assert state.left_gripper == 0.0


def test_stamp_is_that_of_the_oldest_part(robot: Embodiment) -> None:
    assembler = FeedbackAssembler(robot)
    fill(assembler, 1.0)
    assembler.gripper("left_gripper", 2.0, 50.0)
    state = assembler.state()
    assert state is not None and state.stamp_s == 1.0


def test_names_decide_the_order(robot: Embodiment) -> None:
    assembler = FeedbackAssembler(robot)
    fill(assembler, 1.0)
    joints = robot.torso.joints[::-1]
    values = np.array([3.0, 2.0, 1.0, 0.0])
    assembler.joints("torso", 2.0, joints, values, values, np.zeros(0))
    state = assembler.state()
    assert state is not None
    np.testing.assert_array_equal(state.torso.position, [0, 1, 2, 3])
    np.testing.assert_array_equal(state.torso.effort, np.zeros(4))


@pytest.mark.parametrize(
    ("names", "values", "says"),
    [
        ((), [0.0, 0.0], "2 joint positions, 4 expected"),
        (("torso_joint1", "torso_joint2", "a", "b"), [0.0] * 4, "'torso_joint3' is not in"),
        ((), [0.0, 0.0, np.nan, 0.0], "not a number"),
    ],
)
def test_garbage_is_refused(
    robot: Embodiment, names: tuple[str, ...], values: list[float], says: str
) -> None:
    array = np.array(values)
    with pytest.raises(ConfigError, match=says):
        FeedbackAssembler(robot).joints("torso", 1.0, names, array, array, array)
    with pytest.raises(ConfigError, match="not a number"):
        FeedbackAssembler(robot).gripper("left_gripper", 1.0, float("nan"))
