"""The height axis against MuJoCo's forward kinematics of the same URDF."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics
from brs_hardware.torso_height import TorsoHeight

R1 = load_embodiment("r1")
KINEMATICS = Kinematics(R1)
AXIS = TorsoHeight(R1)
SQUAT = np.array([1.74, -2.70, -0.96, 0.3])  # level
STAND = np.array([0.0, 0.0, 0.0, 0.3])
STEP_S = 0.01

postures = st.builds(
    lambda q1, q2, pitch, yaw: np.array([q1, q2, q1 + q2 - pitch, yaw]),
    st.floats(-1.1, 1.8),
    st.floats(-2.7, 2.4),
    st.floats(-0.5, 0.5),
    st.floats(-3.0, 3.0),
)


def waist(torso: np.ndarray) -> np.ndarray:
    return KINEMATICS.pose("torso_link4", {"torso": torso})


def in_limits(torso: np.ndarray) -> bool:
    slack = 1e-9
    return bool(
        np.all(torso >= R1.torso.lower - slack) and np.all(torso <= R1.torso.upper + slack)
    )


@settings(deadline=None)
@given(postures)
def test_height_and_pitch_are_those_of_forward_kinematics(torso: np.ndarray) -> None:
    assert AXIS.height_m(torso) == pytest.approx(waist(torso)[2, 3], abs=1e-9)
    level = waist(np.array([*torso[:3], 0.0]))
    assert np.arctan2(level[0, 2], level[2, 2]) == pytest.approx(AXIS.pitch_rad(torso), abs=1e-9)


@settings(deadline=None)
@given(postures, st.floats(0.0, 1.0))
def test_every_height_in_reach_has_the_same_x_and_pitch(torso: np.ndarray, share: float) -> None:
    assume(in_limits(torso))
    low, high = AXIS.reach_m(torso)
    wanted = low + share * (high - low)
    solved = AXIS.solve(wanted, torso)
    assert solved is not None and in_limits(solved)
    before, after = waist(torso), waist(solved)
    assert after[2, 3] == pytest.approx(wanted, abs=1e-6)
    np.testing.assert_allclose(after[:2, 3], before[:2, 3], atol=1e-6)
    np.testing.assert_allclose(after[:3, :3], before[:3, :3], atol=1e-6)


@settings(deadline=None)
@given(postures)
def test_solving_for_the_present_height_changes_nothing(torso: np.ndarray) -> None:
    """The knees do not flip to their other bend."""
    assume(in_limits(torso) and not 0.0 < torso[1] < 0.11)
    solved = AXIS.solve(AXIS.height_m(torso), torso)
    assert solved is not None
    np.testing.assert_allclose(solved, torso, atol=1e-4)  # stretched knees: the root of 1e-9


@pytest.mark.parametrize(("start", "speed_m_s"), [(STAND, -0.1), (SQUAT, 0.1)])
def test_the_whole_way_at_the_speed_asked_for(start: np.ndarray, speed_m_s: float) -> None:
    low, high = AXIS.reach_m(start)
    torso, first = start, waist(start)
    heights = []
    for _ in range(900):
        stepped = AXIS.step(torso, speed_m_s, STEP_S)
        assert np.all(np.abs(stepped - torso) <= R1.torso.max_velocity * STEP_S + 1e-12)
        torso = stepped
        place = waist(torso)
        np.testing.assert_allclose(place[:2, 3], first[:2, 3], atol=1e-6)
        np.testing.assert_allclose(place[:3, :3], first[:3, :3], atol=1e-6)
        heights.append(place[2, 3])
    assert heights[-1] == pytest.approx(low if speed_m_s < 0.0 else high, abs=1e-5)
    speeds = np.diff(heights) / STEP_S
    assert np.all(np.abs(speeds) <= 0.1 + 1e-6)
    # Near stretched knees and at the ends joints are the limit; else the speed is exact.
    bent = (np.array(heights[1:]) < 1.0) & (np.array(heights[1:]) > low + 0.01)
    np.testing.assert_allclose(speeds[bent], speed_m_s, atol=1e-6)


def test_reach_ends_where_a_naive_search_ends() -> None:
    knees = np.stack(np.meshgrid(np.linspace(-1.1345, 1.8326, 800), np.linspace(-2.7925, 0, 800)))
    lean1, lean2 = knees[0], knees[0] + knees[1]
    hip_x = 0.4 * np.sin(lean1) + 0.3 * np.sin(lean2)
    heights = 0.301 + 0.4 * np.cos(lean1) + 0.3 * np.cos(lean2) + 0.09962
    level = (np.abs(hip_x) < 2e-3) & (lean2 >= -1.8326) & (lean2 <= 1.5708)
    assert AXIS.reach_m(STAND) == pytest.approx(
        (heights[level].min(), heights[level].max()), abs=5e-3
    )
    assert AXIS.solve(0.59, STAND) is None and AXIS.solve(1.11, STAND) is None


def test_knees_a_little_backward_straighten_first_and_stay_level() -> None:
    """Standing straight, noise must not decide to which side the knees bend."""
    torso = np.array([0.0, 0.06, 0.02, 0.0])
    pitch = AXIS.pitch_rad(torso)
    for _ in range(200):
        stepped = AXIS.step(torso, -0.1, STEP_S)
        assert np.all(np.abs(stepped - torso) <= R1.torso.max_velocity * STEP_S + 1e-12)
        torso = stepped
        assert AXIS.pitch_rad(torso) == pytest.approx(pitch, abs=1e-9)
    assert torso[1] < -0.5 and AXIS.height_m(torso) < 1.05


def test_bounds_stop_all_joints_together() -> None:
    torso = np.array([0.5, -0.9, -0.4, 0.0])
    lower, upper = torso - 0.05, torso + 0.05
    lower[1] = torso[1] - 0.02
    start = AXIS.pitch_rad(torso)
    for _ in range(100):
        torso = AXIS.step(torso, -0.2, STEP_S, lower, upper)
    assert torso[1] == pytest.approx(lower[1], abs=1e-3) and torso[1] >= lower[1]
    assert AXIS.pitch_rad(torso) == pytest.approx(start, abs=1e-9)


def test_another_torso_is_refused(tmp_path: Path) -> None:
    text = R1.urdf_path.read_text()
    at = text.index('<joint name="torso_joint3"')
    path = tmp_path / "other.urdf"
    path.write_text(text[:at] + text[at:].replace('xyz="0 -1 0"', 'xyz="1 0 0"', 1))
    with pytest.raises(ConfigError, match="two knees"):
        TorsoHeight(dataclasses.replace(R1, urdf=str(path)))
