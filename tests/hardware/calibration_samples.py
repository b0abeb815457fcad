"""JoyLo's calibration poses, and what its motors read in them."""

from __future__ import annotations

import math

import numpy as np

from brs_hardware.embodiment import load_embodiment
from brs_hardware.joylo import load_leader
from brs_hardware.leader_calibration import LeaderZeros, joint_ranges
from brs_hardware.leader_config import CalibrationConfig, CalibrationPose

CONFIG = load_leader("joylo")
assert CONFIG.calibration is not None
SETTINGS: CalibrationConfig = CONFIG.calibration
HANGING, SQUARE = SETTINGS.poses
RANGES = joint_ranges(load_embodiment("r1"))
MASTERS = (0, 2, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15)
SIGNS = np.concatenate([CONFIG.left.signs, CONFIG.right.signs])


def pose_angles(pose: CalibrationPose) -> np.ndarray:
    return np.concatenate([pose.left, pose.right])


def encoders(angles: np.ndarray, sign: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """What 16 motors read, joint by joint with plain arithmetic; slaves are 37 ticks ahead."""
    ticks = [0.0] * 16
    for joint, master in enumerate(MASTERS):
        ticks[master] = round(zero[joint] + sign[joint] * angles[joint] / (2 * math.pi) * 4096)
        if master in (0, 2, 8, 10):
            ticks[master + 1] = ticks[master] + 37
    return np.array(ticks)


def with_zeros(zero: np.ndarray) -> LeaderZeros:
    return LeaderZeros(SIGNS, zero, np.full(4, 37.0), np.zeros(12), np.zeros(12))
