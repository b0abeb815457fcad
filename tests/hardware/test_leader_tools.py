"""Arms that follow their tool's pose, checked by forward kinematics of random postures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from brs_hardware.embodiment import load_embodiment
from brs_hardware.leaders.tools import ToolControl, ToolSettings

R1 = load_embodiment("r1")
TOOLS = ToolControl(R1)
STEP_S = 0.01
BENT = {"left": [0.8, 1.6, -1.8, 0.6, -1.0, 0.3], "right": [-0.8, 1.6, -1.8, -0.6, 1.0, -0.3]}

sides = st.sampled_from(["left", "right"])
fractions = st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6)


def anywhere(side: str, shares: list[float]) -> np.ndarray:
    group = R1.group(f"{side}_arm")
    return group.lower + np.array(shares) * (group.upper - group.lower)


@settings(deadline=None, max_examples=15)
@given(sides, st.lists(st.floats(-0.25, 0.25), min_size=6, max_size=6))
def test_reaches_the_pose_of_a_posture_nearby(side: str, moved: list[float]) -> None:
    arm = np.array(BENT[side])
    goal = TOOLS.pose(side, arm + moved)
    for _ in range(150):
        arm = TOOLS.step(side, arm, goal, STEP_S)
    pose = TOOLS.pose(side, arm)
    np.testing.assert_allclose(pose[:3, 3], goal[:3, 3], atol=1e-4)
    turn = Rotation.from_matrix(goal[:3, :3] @ pose[:3, :3].T)
    assert turn.magnitude() < 1e-3


@settings(deadline=None, max_examples=60)
@given(sides, fractions, fractions, st.floats(1e-4, 0.05))
def test_no_goal_breaks_limits_or_speeds(
    side: str, start: list[float], target: list[float], dt_s: float
) -> None:
    """Far and unreachable goals, singular postures and joints at their limits included."""
    group = R1.group(f"{side}_arm")
    arm, goal = anywhere(side, start), TOOLS.pose(side, anywhere(side, target))
    goal[:3, 3] *= 1.5
    for _ in range(20):
        stepped = TOOLS.step(side, arm, goal, dt_s)
        assert np.all(np.abs(stepped - arm) <= group.max_velocity * dt_s + 1e-12)
        assert np.all((stepped >= group.lower - 1e-12) & (stepped <= group.upper + 1e-12))
        arm = stepped


@settings(deadline=None, max_examples=40)
@given(sides, st.tuples(*[st.floats(-1.0, 1.0)] * 3))
def test_a_far_goal_is_approached_at_the_speed_of_tools(
    side: str, away: tuple[float, float, float]
) -> None:
    tools = ToolControl(R1, ToolSettings(speed_m_s=0.2))
    arm = np.array(BENT[side])
    before = tools.pose(side, arm)
    goal = before.copy()
    goal[:3, 3] += away
    way = tools.pose(side, tools.step(side, arm, goal, STEP_S))[:3, 3] - before[:3, 3]
    assert np.linalg.norm(way) <= 0.2 * STEP_S * 1.05  # the arc of a step, not its chord


def test_a_joint_at_its_limit_leaves_the_work_to_the_others() -> None:
    group = R1.left_arm
    arm = np.array(BENT["left"])
    arm[4] = group.lower[4]
    goal = TOOLS.pose("left", arm)
    goal[:3, 3] += [0.03, 0.0, 0.03]
    for _ in range(200):
        arm = TOOLS.step("left", arm, goal, STEP_S)
    assert np.linalg.norm(TOOLS.pose("left", arm)[:3, 3] - goal[:3, 3]) < 0.01


def test_hanging_arms_can_be_raised() -> None:
    """Their posture is singular: a tool that must not tilt at all could not leave it."""
    arm = np.array(R1.poses["ready"]["left_arm"])
    goal = TOOLS.pose("left", arm)
    goal[:3, 3] += [0.1, -0.05, 0.08]
    for _ in range(200):
        arm = TOOLS.step("left", arm, goal, STEP_S)
    np.testing.assert_allclose(TOOLS.pose("left", arm)[:3, 3], goal[:3, 3], atol=2e-3)


def test_no_time_is_no_step() -> None:
    arm = np.array(BENT["left"])
    goal = TOOLS.pose("left", arm + 0.2)
    assert TOOLS.step("left", arm, goal, 0.0) == pytest.approx(arm, abs=0.0)
