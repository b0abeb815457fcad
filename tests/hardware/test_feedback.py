"""The measured robot is there once every part came, and garbage is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.feedback import FeedbackAssembler, body_velocity


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("spoiled", ["position", "velocity", "effort"])
def test_every_number_of_a_joint_must_be_one(
    robot: Embodiment, spoiled: str, value: float
) -> None:
    arrays = {name: np.zeros(4) for name in ("position", "velocity", "effort")}
    arrays[spoiled][2] = value
    with pytest.raises(ConfigError, match=f"the {spoiled} of torso_joint3 is not a number"):
        FeedbackAssembler(robot).joints("torso", 1.0, robot.torso.joints, **arrays)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_base_that_is_nowhere_or_nowhither_is_refused(robot: Embodiment, value: float) -> None:
    assembler = FeedbackAssembler(robot)
    with pytest.raises(ConfigError, match="odom: the base pose is not a number"):
        assembler.base_pose(1.0, np.array([0.0, value, 0.0]))
    with pytest.raises(ConfigError, match="the base velocity is not a number"):
        assembler.base_velocity(1.0, np.array([0.0, value, 0.0]))


def test_a_pose_counts_as_feedback_only_where_it_is_needed(robot: Embodiment) -> None:
    for needs_pose in (False, True):
        assembler = FeedbackAssembler(robot, needs_pose)
        fill(assembler, 5.0)
        assert assembler.missing() == (["odom"] if needs_pose else [])
        assert (assembler.state() is None) == needs_pose
        assembler.base_pose(3.0, np.array([1.0, 2.0, 0.5]))
        state = assembler.state()
        assert state is not None and state.base_pose.tolist() == [1.0, 2.0, 0.5]
        assert state.stamp_s == (3.0 if needs_pose else 5.0)


def with_vendor(robot: Embodiment, **change: object) -> Embodiment:
    return replace(robot, vendor=replace(robot.vendor, **change))  # type: ignore[arg-type]


def torso_positions(assembler: FeedbackAssembler) -> list[float]:
    fill_rest = assembler.state()
    assert fill_rest is not None
    return list(fill_rest.torso.position)


def test_the_vendors_own_names_are_translated(robot: Embodiment) -> None:
    assembler = FeedbackAssembler(
        with_vendor(robot, feedback_names={"torso": ("a", "b", "c", "d")})
    )
    fill_all_but_torso(assembler)
    none = np.zeros(0)
    assembler.joints("torso", 1.0, ["d", "c", "b", "a"], np.arange(4.0), none, none)
    assert torso_positions(assembler) == [3, 2, 1, 0]
    # Names may change while it runs, as when the driver is restarted.
    assembler.joints("torso", 2.0, ["a", "b", "c", "d"], np.arange(4.0), none, none)
    assert torso_positions(assembler) == [0, 1, 2, 3]


def test_first_entries_count_where_the_order_is_by_position(robot: Embodiment) -> None:
    assembler = FeedbackAssembler(with_vendor(robot, joint_order="position"))
    fill_all_but_torso(assembler)
    values = np.array([0.0, 1.0, 2.0, 3.0, np.nan])  # a fifth entry that is not a joint
    assembler.joints("torso", 1.0, ["w", "x", "y", "z", "-"], values, values, values)
    assert torso_positions(assembler) == [0, 1, 2, 3]


def fill_all_but_torso(assembler: FeedbackAssembler) -> None:
    robot = assembler.embodiment
    for name in ("left_arm", "right_arm"):
        assembler.joints(name, 1.0, (), np.zeros(6), np.zeros(6), np.zeros(6))
    for name in robot.GRIPPERS:
        assembler.gripper(name, 1.0, 50.0)
    assembler.base_velocity(1.0, np.zeros(3))


@settings(deadline=None)
@given(st.tuples(*[st.floats(-1.0, 1.0)] * 3))
def test_body_velocity_from_wheels_is_that_which_turned_them(
    robot: Embodiment, velocity: tuple[float, float, float]
) -> None:
    vx, vy, wz = velocity
    wheels = robot.base.wheel_positions
    at_wheel = [(vx - wz * y, vy + wz * x) for x, y in wheels]
    angles = np.array([np.arctan2(v, u) for u, v in at_wheel])
    speeds = np.array([np.hypot(u, v) for u, v in at_wheel])
    # A wheel may as well be steered the other way round and roll backwards.
    angles[0], speeds[0] = angles[0] + np.pi, -speeds[0]
    np.testing.assert_allclose(body_velocity(wheels, angles, speeds), velocity, atol=1e-9)


def test_chassis_layout_is_the_embodiments(robot: Embodiment) -> None:
    forward = np.array([0.2, 0.2, 0.2, 0.0, 0.0, 0.0])
    for layout, expected in (("wheels", [0.2, 0.0, 0.0]), ("body", [0.2, 0.2, 0.2])):
        assembler = FeedbackAssembler(with_vendor(robot, base_feedback=layout))
        fill(assembler, 1.0)
        assembler.chassis(2.0, np.zeros(3), forward)
        state = assembler.state()
        assert state is not None
        np.testing.assert_allclose(state.base_velocity, expected, atol=1e-9)
        with pytest.raises(ConfigError, match="base_feedback"):
            assembler.chassis(2.0, np.zeros(3), np.zeros(2))
