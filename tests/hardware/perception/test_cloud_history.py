"""Interpolated postures: exact on straight motion, silent where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.perception.history import NoPosture, Posture, RobotHistory

R1 = load_embodiment("r1")
GAP_S = 0.1
SPEED = np.linspace(-1.0, 1.0, 6)


def moving(count: int = 20, period_s: float = 0.01) -> RobotHistory:
    """All joints at constant speeds from zero at 10 s on; no base."""
    history = RobotHistory(R1, GAP_S)
    for i in range(count):
        add_all(history, 10.0 + i * period_s)
    return history


def add_all(history: RobotHistory, stamp_s: float) -> None:
    for group in R1.GROUPS:
        count = len(R1.group(group).joints)
        assert history.add_joints(group, stamp_s, SPEED[:count] * (stamp_s - 10.0))


def known(history: RobotHistory, stamp_s: float) -> Posture:
    answer = history.at(stamp_s)
    assert isinstance(answer, Posture), answer
    return answer


def unknown(history: RobotHistory, stamp_s: float) -> NoPosture:
    answer = history.at(stamp_s)
    assert isinstance(answer, NoPosture)
    return answer


@settings(deadline=None)
@given(st.floats(10.0, 10.19))
def test_straight_motion_is_met_exactly(stamp_s: float) -> None:
    joints = known(moving(), stamp_s).joints
    for group in R1.GROUPS:
        expected = SPEED[: len(R1.group(group).joints)] * (stamp_s - 10.0)
        assert np.allclose(joints[group], expected, atol=1e-12)


@settings(deadline=None)
@given(
    st.lists(st.floats(-3.0, 3.0), min_size=2, max_size=30),
    st.floats(0.0, 1.0),
    st.integers(0, 5),
)
def test_each_joint_stays_between_its_neighbours(
    values: list[float], share: float, more: int
) -> None:
    """And what comes later changes nothing."""
    history = RobotHistory(R1, GAP_S)
    stamps = [10.0 + 0.05 * i for i in range(len(values))]
    for stamp_s, value in zip(stamps, values, strict=True):
        for group in R1.GROUPS:
            history.add_joints(group, stamp_s, np.full(len(R1.group(group).joints), value))
    asked_s = stamps[0] + share * (stamps[-1] - stamps[0])
    first = known(history, asked_s).joints["torso"]
    expected = np.interp(asked_s, stamps, values)
    assert np.allclose(first, expected, atol=1e-9)
    for i in range(more):
        add_all(history, stamps[-1] + 0.01 * (i + 1))
    assert np.array_equal(known(history, asked_s).joints["torso"], first)


def test_what_is_not_known_yet_is_told_from_what_never_will_be() -> None:
    history = moving()
    soon = unknown(history, 10.2)
    assert soon.may_come and "torso" in soon.reason
    add_all(history, 10.2)
    known(history, 10.2)
    assert not unknown(history, 9.99).may_come
    assert not unknown(history, 10.2 + 2 * GAP_S).may_come
    assert not unknown(RobotHistory(R1, GAP_S), 1.0).may_come


def test_one_missing_group_is_named() -> None:
    history = RobotHistory(R1, GAP_S)
    for i in range(5):
        for group in ("torso", "left_arm"):
            history.add_joints(group, 1.0 + 0.01 * i, np.zeros(len(R1.group(group).joints)))
    assert unknown(history, 1.02).reason == "right_arm: missing"


def test_no_gap_is_bridged() -> None:
    history = moving(2)
    add_all(history, 10.01 + GAP_S + 0.01)
    assert "gap" in unknown(history, 10.05).reason
    assert not unknown(history, 10.05).may_come
    known(history, 10.01)


def test_out_of_order_and_numbers_that_are_none_are_refused() -> None:
    history = moving()
    before = known(history, 10.105).joints["torso"]
    assert not history.add_joints("torso", 10.1, np.ones(4))
    assert not history.add_joints("torso", 10.19, np.ones(4))
    assert not history.add_joints("torso", 10.2, np.array([0.0, np.nan, 0.0, 0.0]))
    assert not history.add_joints("torso", math.inf, np.ones(4))
    assert history.refused == 4
    assert np.array_equal(known(history, 10.105).joints["torso"], before)
    assert unknown(history, 10.2).may_come


def test_a_clock_set_back_begins_anew() -> None:
    """A reset simulator starts at zero again; the history must not stay deaf."""
    history = moving()
    taken = [history.add_joints("torso", 1.0 + 0.01 * i, np.zeros(4)) for i in range(6)]
    assert taken == [False, False, False, True, True, True]
    for group in ("left_arm", "right_arm"):
        for i in range(6):
            history.add_joints(group, 1.0 + 0.01 * i, np.zeros(6))
    assert np.array_equal(known(history, 1.04).joints["torso"], np.zeros(4))
    assert isinstance(history.at(10.1), NoPosture)


def test_a_sample_sent_again_and_again_wipes_nothing() -> None:
    history = moving()
    assert not any(history.add_joints("torso", 10.19, np.ones(4)) for _ in range(10))
    known(history, 10.105)


def test_base_is_a_bonus_and_its_yaw_turns_the_short_way() -> None:
    history = moving()
    assert known(history, 10.105).base_pose is None
    assert not history.is_due(10.105)
    assert history.add_base(10.1, np.array([0.0, 1.0, math.pi - 0.1]))
    assert known(history, 10.105).base_pose is None
    assert history.is_due(10.105)
    assert history.add_base(10.11, np.array([0.2, 1.0, -math.pi + 0.1]))
    assert not history.is_due(10.105)
    base = known(history, 10.105).base_pose
    assert base is not None
    assert np.allclose(base[:2], [0.1, 1.0])
    assert math.isclose(abs(math.remainder(base[2], 2 * math.pi)), math.pi, abs_tol=1e-9)


def test_grippers_are_a_bonus_too() -> None:
    history = moving()
    assert set(known(history, 10.105).joints) == set(R1.GROUPS)
    assert history.add_joints("left_gripper", 10.1, np.array([0.2]))
    assert history.is_due(10.105)
    assert history.add_joints("left_gripper", 10.11, np.array([0.4]))
    joints = known(history, 10.105).joints
    assert np.allclose(joints["left_gripper"], [0.3])
    assert "right_gripper" not in joints


def test_only_the_near_past_is_kept() -> None:
    history = moving(2000)
    known(history, 10.0 + 19.99 - 1.9)
    assert not unknown(history, 12.0).may_come
    assert sum(len(series._stamps) for series in history._joints.values()) < 3 * 500


def test_the_caller_s_array_is_not_kept(robot: Embodiment) -> None:
    history = RobotHistory(robot, GAP_S)
    buffer = np.zeros(4)
    history.add_joints("torso", 1.0, buffer)
    buffer[:] = 9.0
    for group in ("left_arm", "right_arm"):
        history.add_joints(group, 1.0, np.zeros(6))
    assert np.array_equal(known(history, 1.0).joints["torso"], np.zeros(4))


def test_wrong_requests_are_told() -> None:
    history = RobotHistory(R1, GAP_S)
    with pytest.raises(ConfigError, match="left_arm"):
        history.add_joints("left_am", 1.0, np.zeros(6))
    with pytest.raises(ConfigError, match="4 positions"):
        history.add_joints("torso", 1.0, np.zeros(6))
