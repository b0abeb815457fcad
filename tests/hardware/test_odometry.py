"""Motion in the plane, lever arm and wheels against fine steps and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import DeviceError
from brs_hardware.odometry import LeverArm, WheelConfig, WheelOdometry
from brs_hardware.odometry.motion import advance, to_matrix, to_plane, twist_between
from brs_sim.chassis import wheel_motion

speed = st.floats(-0.5, 0.5)
twists = st.tuples(speed, speed, st.floats(-1.5, 1.5)).map(np.array)
poses = st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-3, 3)).map(np.array)
lengths = st.tuples(*3 * [st.floats(-0.5, 0.5)]).map(np.array)
angles = st.tuples(*3 * [st.floats(-3.1, 3.1)]).map(np.array)


def fine_steps(pose: np.ndarray, twist: np.ndarray, duration_s: float) -> np.ndarray:
    """Naive: many small straight steps, each along the yaw of its middle."""
    pose, count = pose.copy(), 20_000
    step_s = duration_s / count
    for _ in range(count):
        middle = pose[2] + 0.5 * twist[2] * step_s
        pose[0] += (np.cos(middle) * twist[0] - np.sin(middle) * twist[1]) * step_s
        pose[1] += (np.sin(middle) * twist[0] + np.cos(middle) * twist[1]) * step_s
        pose[2] += twist[2] * step_s
    return pose


@given(pose=poses, twist=twists, duration_s=st.floats(0.01, 3.0))
@settings(max_examples=10, deadline=None)
def test_an_arc_is_what_fine_steps_make(
    pose: np.ndarray, twist: np.ndarray, duration_s: float
) -> None:
    np.testing.assert_allclose(
        advance(pose, twist, duration_s), fine_steps(pose, twist, duration_s), atol=1e-6
    )


@given(pose=poses, twist=twists, duration_s=st.floats(0.01, 2.0))
@settings(deadline=None)
def test_the_twist_between_two_poses_leads_from_one_to_the_other(
    pose: np.ndarray, twist: np.ndarray, duration_s: float
) -> None:
    end = advance(pose, twist, duration_s)
    np.testing.assert_allclose(twist_between(pose, end, duration_s), twist, atol=1e-7)
    np.testing.assert_allclose(
        to_plane(to_matrix(pose) @ to_matrix(advance(np.zeros(3), twist, duration_s)))[:2],
        end[:2],
        atol=1e-9,
    )


# -- lever arm -------------------------------------------------------------------------------


def test_a_turning_base_under_the_t265_of_brs_stands_still() -> None:
    """The tracking camera sits behind the axis and looks backwards."""
    arm = LeverArm(np.array([-0.235, -0.0095, 0.0]), np.array([0.0, 0.0, np.pi]))
    # On a base that turns at 0.4 rad/s the sensor moves at 0.094 m/s; in its own frame, which
    # is turned round, to the left.
    read = np.array([-0.0038, 0.094, 0.0, 0.0, 0.0, 0.4])
    np.testing.assert_allclose(arm.twist(read), [0, 0, 0, 0, 0, 0.4], atol=1e-9)


@given(position=lengths, rpy=angles, linear=lengths, angular=lengths)
@settings(deadline=None)
def test_pose_and_twist_of_the_base_follow_from_the_sensors_by_finite_differences(
    position: np.ndarray, rpy: np.ndarray, linear: np.ndarray, angular: np.ndarray
) -> None:
    arm = LeverArm(position, rpy)
    mount = arm.base_from_sensor
    generator = np.zeros((4, 4))
    generator[:3, :3] = [
        [0, -angular[2], angular[1]],
        [angular[2], 0, -angular[0]],
        [-angular[1], angular[0], 0],
    ]
    generator[:3, 3] = linear

    def base_at(time_s: float) -> np.ndarray:
        """The base moves by a constant twist in its own frame."""
        pose: np.ndarray = expm(generator * time_s)
        return pose

    def sensor_at(time_s: float) -> np.ndarray:
        """Where the sensor is, in the frame where it began."""
        return np.linalg.inv(mount) @ base_at(time_s) @ mount

    np.testing.assert_allclose(arm.pose(sensor_at(0.8)), base_at(0.8), atol=1e-9)
    step_s = 1e-5
    moved = np.linalg.inv(sensor_at(0.8)) @ sensor_at(0.8 + step_s)
    spin = moved[:3, :3] / step_s
    read = np.array([*moved[:3, 3] / step_s, spin[2, 1], spin[0, 2], spin[1, 0]])
    np.testing.assert_allclose(arm.twist(read), [*linear, *angular], atol=1e-4)


def test_covariance_of_the_twist_is_that_of_many_samples() -> None:
    arm = LeverArm(np.array([-0.235, -0.0095, 0.3]), np.array([0.1, 0.0, 3.0]))
    random = np.random.default_rng(0)
    covariance = np.diag([1.0, 2.0, 3.0, 0.5, 1.0, 4.0])
    samples = random.multivariate_normal(np.zeros(6), covariance, 200_000)
    seen = np.cov(np.array([arm.twist(sample) for sample in samples[:50_000]]).T)
    np.testing.assert_allclose(arm.twist_covariance(covariance), seen, atol=0.1)


# -- wheels ----------------------------------------------------------------------------------


def test_wheel_odometry_integrates_a_changing_velocity(robot: Embodiment) -> None:
    def velocity(time_s: float) -> np.ndarray:
        return np.array([0.3 * np.sin(time_s), 0.1, 0.4 * np.cos(0.7 * time_s)])

    wheels = WheelOdometry(robot.base)
    pose = np.zeros(3)
    for i in range(1001):
        wheels.update(i * 0.005, velocity(i * 0.005))
    for i in range(5000):
        pose = fine_step(pose, velocity((i + 0.5) * 0.001), 0.001)
    np.testing.assert_allclose(wheels.pose, pose, atol=1e-5)


def fine_step(pose: np.ndarray, twist: np.ndarray, step_s: float) -> np.ndarray:
    middle = pose[2] + 0.5 * twist[2] * step_s
    turn = np.array([[np.cos(middle), -np.sin(middle)], [np.sin(middle), np.cos(middle)]])
    return pose + np.array([*(turn @ twist[:2]), twist[2]]) * step_s


@given(twist=twists)
@settings(deadline=None)
def test_wheels_tell_the_velocity_that_turns_them(robot: Embodiment, twist: np.ndarray) -> None:
    base = robot.base
    angle, rolling = wheel_motion(twist, base.wheel_positions, base.wheel_radius)
    velocity, mismatch = WheelOdometry(base).body_velocity(angle, rolling)
    np.testing.assert_allclose(velocity, twist, atol=1e-9)
    assert mismatch < 1e-9


def test_a_slipping_wheel_is_told_and_a_slight_one_widens_the_covariance(
    robot: Embodiment,
) -> None:
    base = robot.base
    twist = np.array([0.2, 0.0, 0.0])
    angle, rolling = wheel_motion(twist, base.wheel_positions, base.wheel_radius)
    wheels = WheelOdometry(base)
    sound = wheels.from_wheels(0.0, angle, rolling)
    slight = wheels.from_wheels(0.1, angle, rolling * [1.0, 1.0, 1.2])
    assert np.all(np.diag(slight.covariance) > np.diag(sound.covariance))
    with pytest.raises(DeviceError, match=r"wheels disagree by 0\.\d+ m/s"):
        wheels.from_wheels(0.2, angle, rolling * [1.0, -1.0, 1.0])


def test_a_gap_is_not_guessed_and_nonsense_is_told(robot: Embodiment) -> None:
    wheels = WheelOdometry(robot.base, WheelConfig(max_gap_s=0.2))
    forward = np.array([0.3, 0.0, 0.0])
    for stamp_s in (0.0, 0.1, 5.1, 5.2, 5.15):
        wheels.update(stamp_s, forward)
    assert wheels.pose[0] == pytest.approx(0.06)
    assert wheels.gaps == 2
    with pytest.raises(DeviceError, match="no number"):
        wheels.update(5.3, np.array([np.nan, 0.0, 0.0]))
    assert wheels.pose[0] == pytest.approx(0.06)
