"""Two poses give signs and zeros that hold after a power cycle; mistakes are named."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from calibration_samples import (
    CONFIG,
    HANGING,
    MASTERS,
    RANGES,
    SETTINGS,
    SIGNS,
    SQUARE,
    encoders,
    pose_angles,
    with_zeros,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.errors import DeviceError
from brs_hardware.leader_calibration import (
    LeaderZeros,
    PoseReading,
    check_pose,
    mounting_deviation_rad,
    read_pose,
    solve,
    turned_round,
    zeros_of_this_turn,
)
from brs_hardware.leader_config import CalibrationConfig, CalibrationPose

signs = arrays(float, 12, elements=st.sampled_from([-1.0, 1.0]))
zeros = arrays(float, 12, elements=st.integers(0, 4095))
turns = arrays(int, 12, elements=st.integers(-9, 9))
errors = arrays(float, 12, elements=st.floats(-0.09, 0.09))
places = arrays(float, 12, elements=st.floats(0.0, 1.0))


def reading(ticks: np.ndarray) -> PoseReading:
    return PoseReading(ticks, np.zeros(16))


def solved(first: np.ndarray, second: np.ndarray) -> LeaderZeros:
    return solve(
        CONFIG, SETTINGS.poses, (reading(first), reading(second)), SETTINGS.pose_tolerance_rad
    )


def either_order(sign: np.ndarray) -> bool:
    """Signs that cannot be told from poses held in the wrong order."""
    return bool(np.all(sign[:6] == -SIGNS[:6]) or np.all(sign[6:] == -SIGNS[6:]))


@settings(max_examples=200, deadline=None)
@given(signs, zeros, turns, errors, errors)
def test_signs_are_exact_and_zeros_right_to_the_hand_for_any_assembly(
    sign: np.ndarray, zero: np.ndarray, turn: np.ndarray, one: np.ndarray, other: np.ndarray
) -> None:
    assume(not either_order(sign))
    lifted = zero + 4096 * turn
    found = solved(
        encoders(pose_angles(HANGING) + one, sign, lifted),
        encoders(pose_angles(SQUARE) + other, sign, lifted),
    )
    assert np.array_equal(found.signs, sign)
    # A hand's error in one pose counts half; what is left is the encoder's rounding.
    expected = zero + sign * 0.5 * (one + other) / RAD_PER_TICK
    apart = (found.zero_ticks - expected + 2048) % 4096 - 2048
    assert np.all(np.abs(apart) <= 0.5 + 1e-6)
    assert np.all(np.abs(found.pose_error_rad - (other - one)) <= 1.01 * RAD_PER_TICK)
    assert np.all((found.zero_ticks >= 0) & (found.zero_ticks < 4096))
    assert found.pair_ticks.tolist() == [37] * 4


@settings(max_examples=200, deadline=None)
@given(signs, zeros, turns, places)
def test_any_angle_in_range_is_found_again_when_turn_counts_are_lost(
    sign: np.ndarray, zero: np.ndarray, turn: np.ndarray, place: np.ndarray
) -> None:
    assume(not either_order(sign))
    lifted = zero + 4096 * turn
    found = solved(
        encoders(pose_angles(HANGING), sign, lifted), encoders(pose_angles(SQUARE), sign, lifted)
    )
    angles = RANGES[0] + place * (RANGES[1] - RANGES[0])
    after = encoders(angles, sign, lifted) % 4096
    shifted = zeros_of_this_turn(CONFIG, found, after, RANGES, 0.1)
    seen = sign * (after[list(MASTERS)] - shifted) * RAD_PER_TICK
    assert np.all(np.abs(seen - angles) < RAD_PER_TICK)


@settings(max_examples=100, deadline=None)
@given(signs, zeros, st.integers(0, 11), st.floats(-3.0, 3.0))
def test_a_joint_that_moved_wrongly_is_named(
    sign: np.ndarray, zero: np.ndarray, joint: int, wrong: float
) -> None:
    expected = pose_angles(SQUARE) - pose_angles(HANGING)
    assume(abs(abs(wrong) - abs(expected[joint])) > SETTINGS.pose_tolerance_rad + 0.01)
    second = pose_angles(SQUARE)
    second[joint] = pose_angles(HANGING)[joint] + wrong
    with pytest.raises(DeviceError) as raised:
        solved(encoders(pose_angles(HANGING), sign, zero), encoders(second, sign, zero))
    assert CONFIG.joints[joint] in str(raised.value)
    assert sum(name in str(raised.value) for name in CONFIG.joints) == 1


def test_the_message_tells_expected_and_seen_degrees() -> None:
    second = pose_angles(SQUARE)
    second[2] += math.radians(-49)
    second[9] = 0.0
    with pytest.raises(
        DeviceError,
        match=r"left_arm_joint3 moved by 41 degrees, not 90; right_arm_joint4 did not move\. Try",
    ):
        solved(
            encoders(pose_angles(HANGING), SIGNS, np.zeros(12)),
            encoders(second, SIGNS, np.zeros(12)),
        )


def test_one_pose_held_twice_is_told_in_one_short_line() -> None:
    still = encoders(pose_angles(HANGING), SIGNS, np.zeros(12))
    with pytest.raises(DeviceError, match=r"joint3 did not move; and 9 more"):
        solved(still, still)


@pytest.mark.parametrize("side", ["left", "right"])
def test_poses_in_the_wrong_order_are_noticed(side: str) -> None:
    first, second = pose_angles(HANGING), pose_angles(SQUARE)
    swapped = slice(0, 6) if side == "left" else slice(6, 12)
    first[swapped], second[swapped] = second[swapped].copy(), first[swapped].copy()
    with pytest.raises(DeviceError, match=f"the {side} arm was held in 'square' first"):
        solved(encoders(first, SIGNS, np.zeros(12)), encoders(second, SIGNS, np.zeros(12)))


def test_a_slave_that_slips_between_the_poses_is_noticed() -> None:
    second = encoders(pose_angles(SQUARE), SIGNS, np.zeros(12))
    second[11] += 200
    with pytest.raises(DeviceError, match=r"ID 10 \(right_arm_joint2\) and ID 11 are 18 degrees"):
        solved(encoders(pose_angles(HANGING), SIGNS, np.zeros(12)), second)


def test_single_joints_turned_round_are_reported_not_refused() -> None:
    sign = SIGNS.copy()
    sign[[1, 9]] *= -1
    found = solved(
        encoders(pose_angles(HANGING), sign, np.zeros(12)),
        encoders(pose_angles(SQUARE), sign, np.zeros(12)),
    )
    assert turned_round(CONFIG, found) == ["left_arm_joint2", "right_arm_joint4"]


def test_a_mean_is_taken_and_a_moving_arm_refused() -> None:
    samples = np.tile(np.arange(16.0), (20, 1))
    samples[::2, 3] += 1.0
    calm = read_pose(CONFIG, samples, 0.02)
    assert calm.ticks[3] == 3.5
    assert calm.spread_rad[3] == pytest.approx(2 * math.pi / 4096)
    samples[:, 8] = np.where(samples[:, 3] > 3.0, 4095.0, 0.0)  # a boundary is no movement
    assert read_pose(CONFIG, samples, 0.02).ticks[8] % 4096 == 4095.5
    samples[7, 6] += 30.0
    with pytest.raises(DeviceError, match=r"left_arm_joint5 moved by 2\.6 degrees while the pose"):
        read_pose(CONFIG, samples, 0.02)


def test_a_joint_beyond_its_range_in_every_turn_is_named() -> None:
    angles = pose_angles(HANGING)
    angles[1] = math.radians(-90)  # its range is 0 to 185 degrees
    with pytest.raises(
        DeviceError, match=r"left_arm_joint2 \(range 0 to 185 degrees\) stands at -90 or 270"
    ):
        zeros_of_this_turn(
            CONFIG, with_zeros(np.zeros(12)), encoders(angles, SIGNS, np.zeros(12)), RANGES, 0.2
        )


def test_a_joint_with_two_turns_in_its_range_is_named() -> None:
    ranges = RANGES.copy()
    ranges[:, 6] = -4.0, 4.0
    angles = pose_angles(HANGING)
    angles[6] = 3.0
    ticks = encoders(angles, SIGNS, np.zeros(12))
    with pytest.raises(DeviceError, match=r"right_arm_joint1 .* -188 or 172 degrees, and both"):
        zeros_of_this_turn(CONFIG, with_zeros(np.zeros(12)), ticks, ranges, 0.0)


def test_a_held_pose_off_by_more_than_the_tolerance_is_named() -> None:
    angles = pose_angles(HANGING)
    angles[4] += 0.1
    assert check_pose(CONFIG, HANGING, angles, 0.15)[4] == pytest.approx(0.1)
    angles[8] -= 0.3
    with pytest.raises(
        DeviceError, match=r"off from pose 'hanging': right_arm_joint3 by -17\.2 degrees"
    ):
        check_pose(CONFIG, HANGING, angles, 0.15)


def test_mounting_is_measured_from_the_nearest_quarter_turn() -> None:
    zero = np.array([0.0, 1024, 2048, 3072, 1034, 1014, 4090, 511, 513, 6, 3073, 2000])
    ticks = mounting_deviation_rad(with_zeros(zero)) / RAD_PER_TICK
    assert ticks == pytest.approx([0, 0, 0, 0, 10, -10, -6, 511, -511, 6, 1, -48])


@pytest.mark.parametrize(
    "second", [HANGING, dataclasses.replace(SQUARE, left=HANGING.left + math.pi)]
)
def test_poses_that_leave_a_sign_uncertain_are_refused(second: CalibrationPose) -> None:
    with pytest.raises(ValueError, match="its sign is not certain"):
        CalibrationConfig((HANGING, second))
