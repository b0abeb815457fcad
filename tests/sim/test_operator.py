"""The scripted operator: its movements, its reach, and a whole episode with its replay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.types import JOYCON_BUTTONS
from brs_sim.operator import OperatorAction, ScriptedOperator
from brs_sim.operator.arm_ik import ArmIK
from brs_sim.operator.hands import ARMS, TOOLS
from brs_sim.operator.motions import min_jerk, pose_between, tilt_of, tool_pose, wrapped, yaw_of
from brs_sim.operator.rollout import Delays, replay, roll_out
from brs_sim.world import World

R1 = load_embodiment("r1")
angles = st.floats(-3.0, 3.0)


def test_min_jerk_starts_and_ends_at_rest() -> None:
    shares = np.linspace(-0.2, 1.2, 500)
    values = np.array([min_jerk(share) for share in shares])
    speed = np.gradient(values, shares)
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert np.all(np.diff(values) >= 0.0)
    assert speed.max() == pytest.approx(1.875, abs=0.01)  # the known peak of the polynomial


@given(angles, st.floats(-1.4, 1.4), angles, st.floats(0.0, 1.0))
def test_pose_between_turns_the_short_way(
    yaw: float, pitch: float, to: float, share: float
) -> None:
    start = tool_pose(np.zeros(3), yaw, 0.0)
    goal = tool_pose(np.array([1.0, 2.0, 3.0]), to, 0.0)
    pose = pose_between(start, goal, share)
    assert pose[:3, 3] == pytest.approx(share * np.array([1.0, 2.0, 3.0]))
    turned = wrapped(np.arctan2(pose[1, 0], pose[0, 0]) - yaw)
    if abs(abs(wrapped(to - yaw)) - np.pi) > 1e-3:
        assert turned == pytest.approx(share * wrapped(to - yaw), abs=1e-6)
    tilted = pose_between(tool_pose(np.zeros(3), yaw, pitch), goal, 1.0)
    assert tilted == pytest.approx(goal, abs=1e-6)


@given(angles, st.floats(0.0, 1.5))
def test_yaw_and_tilt_of_a_quaternion(yaw: float, tilt: float) -> None:
    upright = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    assert yaw_of(upright) == pytest.approx(yaw)
    assert tilt_of(np.array([np.cos(tilt / 2), np.sin(tilt / 2), 0, 0])) == pytest.approx(
        tilt, abs=1e-6
    )


@pytest.mark.parametrize("arm", ARMS)
def test_ik_follows_poses_within_limits_and_speed(arm: str) -> None:
    ik = ArmIK(R1, arm, TOOLS[arm], speed_share=0.6)
    group = R1.group(arm)
    start = np.array(R1.poses["ready"][arm]) + 0.1 * np.sign(group.lower + group.upper)
    pose = ik.pose(start)
    pose[:3, 3] += [0.03, 0.0, 0.02]
    q = start
    for _ in range(60):
        after = ik.follow(q, pose, 0.01)
        assert np.all(np.abs(after - q) <= 0.6 * group.max_velocity * 0.01 + 1e-6)
        assert np.all((after >= group.lower - 1e-6) & (after <= group.upper + 1e-6))
        q = after
    assert ik.pose(q) == pytest.approx(pose, abs=2e-3)
    with pytest.raises(ValueError, match="reach"):
        ik.solve(start, tool_pose(np.array([3.0, 0.0, 0.0]), 0.0, 0.0), tries=20)


def run_unfollowed(seconds: float) -> list[OperatorAction]:
    """What the operator does while the robot never moves."""
    world = World(R1, "shelves", 0)
    operator = ScriptedOperator(R1, "shelves", 0)
    state, objects = world.whole_body_state(), world.objects()
    ticks = np.arange(0.0, seconds, 0.01)
    return [operator.act(1e9 + now, replace(state, stamp_s=now), objects) for now in ticks]


def test_operator_lets_go_and_begins_anew_when_the_robot_does_not_follow() -> None:
    actions = run_unfollowed(7.0)
    held = ["l" in action.left_buttons for action in actions]
    assert held[0]
    assert not all(held)
    robot = World(R1, "shelves", 0).whole_body_state().left_arm.position
    pressed_anew = held.index(True, held.index(False))
    # By then the leader was taken back to the robot.
    assert actions[pressed_anew].left_arm == pytest.approx(robot, abs=1e-6)


def test_leader_moves_like_a_hand() -> None:
    actions = run_unfollowed(7.0)
    assert all(action.left_buttons <= set(JOYCON_BUTTONS["left"]) for action in actions)
    assert all(action.right_buttons <= set(JOYCON_BUTTONS["right"]) for action in actions)
    leader = np.array([action.left_arm for action in actions])
    assert np.all(np.abs(np.diff(leader, axis=0)) <= R1.left_arm.max_velocity * 0.01)


def test_who_takes_over_begins_at_once_and_holds_what_the_robot_holds() -> None:
    world = World(R1, "shelves", 0)
    state = replace(world.whole_body_state(), left_gripper=0.5)
    state.left_arm.position[0] += 0.2
    operator = ScriptedOperator(R1, "shelves", 0, takes_over=True)
    action = operator.act(0.0, state, world.objects())
    assert operator.phase == "raise arms"
    assert "zl" in action.left_buttons and "zr" not in action.right_buttons
    assert action.left_arm == pytest.approx(state.left_arm.position, abs=1e-2)
    waits = ScriptedOperator(R1, "shelves", 0)
    assert "zl" not in waits.act(0.0, state, world.objects()).left_buttons
    assert waits.phase == "take hold"


def test_unknown_task_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="shelves"):
        ScriptedOperator(R1, "shelfs")


def test_operator_does_the_task_and_its_replay_too() -> None:
    delays = Delays(sight_s=0.02, command_s=0.01, jitter_s=0.006)
    rollout = roll_out(R1, "shelves", seed=1, delays=delays)
    assert rollout.finished
    assert rollout.success
    assert 45.0 < rollout.length_s < 75.0
    moved = {
        "base": np.ptp([c.base_velocity for c in rollout.commands], axis=0),
        "torso": np.ptp([c.torso for c in rollout.commands], axis=0)[:3],
        "left_arm": np.ptp([c.left_arm for c in rollout.commands], axis=0),
        "right_arm": np.ptp([c.right_arm for c in rollout.commands], axis=0),
    }
    assert all(np.all(span > 0.1) for span in moved.values())  # the whole body took part
    again = replay(R1, rollout, delays=Delays(command_s=0.015, jitter_s=0.008))
    assert again.success
