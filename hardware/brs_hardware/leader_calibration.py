"""Absolute calibration of a leader: two poses tell the sign and the zero of every joint.

An encoder knows its angle within one turn, also after a power cycle; the count of turns is lost.
So zeros are kept modulo one turn, and whenever the leader connects, that turn is taken in which
a joint lies within the robot's range. One pose gives zeros for known signs; the second one, in
which every joint has moved by a known angle, gives the signs and shows mistakes (as BEHAVIOR-1K's
calibration of its JoyLo does). Arrays over joints have the left arm first, arrays over motors the
order of `JoyLoConfig.motors`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_hardware.dynamixel.control_table import RAD_PER_TICK, TICKS_PER_TURN
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import DeviceError
from brs_hardware.leader_config import CalibrationPose, JoyLoConfig

_QUARTER = TICKS_PER_TURN // 4
_MOST_NAMED = 3  # joints in one message


@dataclass(frozen=True)
class PoseReading:
    """What the motors read while the arms were held still in one pose."""

    ticks: np.ndarray  # (motors,) mean present position
    spread_rad: np.ndarray  # (motors,) between the greatest and the least sample


@dataclass(frozen=True)
class LeaderZeros:
    """The outcome: angle of a joint = sign * (ticks - zero), any number of turns away."""

    signs: np.ndarray  # (joints,) +1 or -1
    zero_ticks: np.ndarray  # (joints,) 0 to 4096, what the master reads at the robot's angle 0
    pair_ticks: np.ndarray  # (pairs,) slave minus master, within half a turn
    spread_rad: np.ndarray  # (joints,) while the poses were sampled
    pose_error_rad: np.ndarray  # (joints,) by which the movement between the poses was off

    def __post_init__(self) -> None:
        joints = (len(self.signs),)
        for name in ("signs", "zero_ticks", "spread_rad", "pose_error_rad"):
            values = getattr(self, name)
            if values.shape != joints or not np.all(np.isfinite(values)):
                raise ValueError(f"'{name}' needs a number for each joint")
        if np.any((self.zero_ticks < 0.0) | (self.zero_ticks > TICKS_PER_TURN)):
            raise ValueError("'zero_ticks' must lie within one turn")
        if self.pair_ticks.ndim != 1 or np.any(np.abs(self.pair_ticks) > TICKS_PER_TURN / 2):
            raise ValueError("'pair_ticks' needs numbers within half a turn")
        if not np.all(np.abs(self.signs) == 1.0):
            raise ValueError("'signs' must be 1 or -1")


def read_pose(config: JoyLoConfig, samples: np.ndarray, still_rad: float) -> PoseReading:
    """Mean of samples of one pose.

    Args:
        config: of the leader, for names.
        samples: (samples, motors) present positions [ticks].
        still_rad: greatest movement that counts as holding still [rad].

    Raises:
        DeviceError: a joint moved by more; names it.
    """
    offsets = wrapped(samples - samples[0])
    spread_rad = np.ptp(offsets, axis=0) * RAD_PER_TICK
    worst = int(np.argmax(spread_rad))
    if spread_rad[worst] > still_rad:
        raise DeviceError(
            f"{config.names[config.motors[worst]]} moved by"
            f" {np.degrees(spread_rad[worst]):.1f} degrees while the pose was read",
            where=config.name,
            remedy="rest both arms against something and hold them still",
        )
    return PoseReading(samples[0] + offsets.mean(axis=0), spread_rad)


def pose_move_rad(poses: tuple[CalibrationPose, CalibrationPose]) -> np.ndarray:
    """(joints,) movement of every joint from the first pose to the second [rad]."""
    first, second = poses
    return np.concatenate([second.left - first.left, second.right - first.right])


def solve(
    config: JoyLoConfig,
    poses: tuple[CalibrationPose, CalibrationPose],
    readings: tuple[PoseReading, PoseReading],
    tolerance_rad: float,
) -> LeaderZeros:
    """Signs and zeros from what the motors read in two poses.

    Args:
        config: of the leader.
        poses: what was held.
        readings: what was read in each.
        tolerance_rad: by which a movement between the poses may be off [rad].

    Raises:
        DeviceError: joints that stood still or moved by a wrong angle (named, in degrees), poses
            held in the wrong order, or a master and slave that drifted apart.
    """
    first, second = (reading.ticks for reading in readings)
    pair_ticks = pair_offsets(config, first)
    check_pairs(config, second, pair_ticks)
    angles = [np.concatenate([pose.left, pose.right]) for pose in poses]
    expected = pose_move_rad(poses)
    rows = config.master_rows
    seen = wrapped(second - first)[rows] * RAD_PER_TICK
    _check_movement(config, seen, expected, tolerance_rad)
    signs = np.sign(seen * expected)
    _check_order(config, poses, signs)
    zeros = [
        ticks[rows] - signs * angle / RAD_PER_TICK
        for ticks, angle in zip((first, second), angles, strict=True)
    ]
    apart = wrapped(zeros[1] - zeros[0])
    return LeaderZeros(
        signs=signs,
        zero_ticks=np.mod(zeros[0] + 0.5 * apart, TICKS_PER_TURN),
        pair_ticks=pair_ticks,
        spread_rad=np.maximum(*(reading.spread_rad[rows] for reading in readings)),
        pose_error_rad=signs * apart * RAD_PER_TICK,
    )


def joint_ranges(robot: Embodiment) -> np.ndarray:
    """(2, joints) least and greatest angle of the robot's arm joints [rad]."""
    arms = (robot.left_arm, robot.right_arm)
    return np.array(
        [
            np.concatenate([arm.lower for arm in arms]),
            np.concatenate([arm.upper for arm in arms]),
        ]
    )


def zeros_of_this_turn(
    config: JoyLoConfig,
    zeros: LeaderZeros,
    ticks: np.ndarray,
    ranges: np.ndarray,
    margin_rad: float,
) -> np.ndarray:
    """Zeros shifted by whole turns, so that every joint now lies within its range.

    Args:
        config: of the leader, for names.
        zeros: as `solve` gave them.
        ticks: (motors,) present positions.
        ranges: (2, joints) as `joint_ranges`.
        margin_rad: how far beyond its range a joint may be [rad].

    Returns:
        (joints,) [ticks], with sign * (ticks - zero) the angle of the joint.

    Raises:
        DeviceError: no turn brings a joint into its range, or more than one does; names it.
    """
    turn = 2.0 * np.pi
    angles = zeros.signs * (ticks[config.master_rows] - zeros.zero_ticks) * RAD_PER_TICK
    least = np.ceil((ranges[0] - margin_rad - angles) / turn)
    fitting = np.floor((ranges[1] + margin_rad - angles) / turn) - least + 1.0
    for joint in np.flatnonzero(fitting != 1.0).tolist():
        lower, upper = np.degrees(ranges[:, joint])
        here = np.degrees(angles[joint] + turn * least[joint])
        name = f"{config.joints[joint]} (range {lower:.0f} to {upper:.0f} degrees)"
        if fitting[joint] < 1.0:
            raise DeviceError(
                f"{name} stands at {here - 360.0:.0f} or {here:.0f} degrees, both beyond it",
                where=config.name,
                remedy="move it into its range; if it is there, run `brs calibrate joylo`",
            )
        raise DeviceError(
            f"{name} stands at {here:.0f} or {here + 360.0:.0f} degrees, and both may be",
            where=config.name,
            remedy="move it to the middle of its range, or lower 'range_margin_rad'",
        )
    shifted: np.ndarray = zeros.zero_ticks - zeros.signs * least * TICKS_PER_TURN
    return shifted


def pair_offsets(config: JoyLoConfig, ticks: np.ndarray) -> np.ndarray:
    """(pairs,) slave minus master, within half a turn, of (motors,) positions [ticks]."""
    masters, slaves = config.pair_rows
    return wrapped(ticks[slaves] - ticks[masters])


def check_pairs(config: JoyLoConfig, ticks: np.ndarray, pair_ticks: np.ndarray) -> None:
    """See that masters and slaves are as far apart as they were.

    Args:
        config: of the leader.
        ticks: (motors,) present positions.
        pair_ticks: (pairs,) as `pair_offsets` gave them before.

    Raises:
        DeviceError: a pair drifted by more than `pair_tolerance_rad`.
    """
    drift = np.abs(wrapped(pair_offsets(config, ticks) - pair_ticks)) * RAD_PER_TICK
    if np.all(drift <= config.pair_tolerance_rad):
        return
    worst = int(np.argmax(drift))
    master, slave = list(config.pairs.items())[worst]
    raise DeviceError(
        f"ID {master} ({config.names[master]}) and ID {slave} are"
        f" {np.degrees(drift[worst]):.0f} degrees apart: their coupling slipped",
        where=config.port,
        remedy="tighten the horns of both motors, then run `brs calibrate joylo`",
    )


def check_pose(
    config: JoyLoConfig, pose: CalibrationPose, angles: np.ndarray, tolerance_rad: float
) -> np.ndarray:
    """(joints,) deviation [rad] of (joints,) angles [rad] from a pose held by hand.

    Raises:
        DeviceError: joints that are off by more than the tolerance, with their deviation.
    """
    deviation: np.ndarray = angles - np.concatenate([pose.left, pose.right])
    off = np.flatnonzero(np.abs(deviation) > tolerance_rad)
    if off.size:
        told = [f"{config.joints[i]} by {np.degrees(deviation[i]):+.1f} degrees" for i in off]
        raise DeviceError(
            f"off from pose '{pose.name}': {_listed(told)}",
            where=config.name,
            remedy="hold the pose and check again; if it stays, tighten that joint's horn and run"
            " `brs calibrate joylo`",
        )
    return deviation


def mounting_deviation_rad(zeros: LeaderZeros) -> np.ndarray:
    """(joints,) how far zeros are from a quarter turn [rad]; horns are mounted in quarters."""
    deviation: np.ndarray = (
        np.mod(zeros.zero_ticks + _QUARTER / 2, _QUARTER) - _QUARTER / 2
    ) * RAD_PER_TICK
    return deviation


def turned_round(config: JoyLoConfig, zeros: LeaderZeros) -> list[str]:
    """Joints that turn the other way round than the leader's YAML says."""
    expected = np.concatenate([config.left.signs, config.right.signs])
    return [config.joints[i] for i in np.flatnonzero(zeros.signs != expected)]


def wrapped(ticks: np.ndarray) -> np.ndarray:
    """Differences of positions without their whole turns, from -2048 to below 2048."""
    half = TICKS_PER_TURN / 2
    difference: np.ndarray = np.mod(ticks + half, TICKS_PER_TURN) - half
    return difference


def _check_movement(
    config: JoyLoConfig, seen: np.ndarray, expected: np.ndarray, tolerance_rad: float
) -> None:
    wrong = np.flatnonzero(np.abs(np.abs(seen) - np.abs(expected)) > tolerance_rad)
    if not wrong.size:
        return
    told = [
        f"{config.joints[i]} moved by {np.degrees(abs(seen[i])):.0f} degrees,"
        f" not {np.degrees(abs(expected[i])):.0f}"
        if abs(seen[i]) > tolerance_rad
        else f"{config.joints[i]} did not move"
        for i in wrong
    ]
    raise DeviceError(
        f"between the two poses {_listed(told)}",
        where=config.name,
        remedy="hold both poses as told, all joints, and see that no horn slips",
    )


def _check_order(
    config: JoyLoConfig, poses: tuple[CalibrationPose, CalibrationPose], signs: np.ndarray
) -> None:
    """All joints of an arm the other way round: that is a person's mistake, not the motors'."""
    split = len(config.left.joints)
    for side, arm, found in (
        ("left", config.left, signs[:split]),
        ("right", config.right, signs[split:]),
    ):
        if np.array_equal(found, -arm.signs):
            raise DeviceError(
                f"the {side} arm was held in '{poses[1].name}' first, then in '{poses[0].name}'",
                where=config.name,
                remedy=f"hold '{poses[0].name}' first; if you did, turn all 'signs' of that arm"
                " round in the leader's YAML",
            )


def _listed(told: list[str]) -> str:
    more = len(told) - _MOST_NAMED
    return "; ".join(told[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
