"""Shapes of human movement and small helpers for poses."""

from __future__ import annotations

import mujoco
import numpy as np

from brs_sim.geometry import tool_pose


def min_jerk(share: float) -> float:
    """Fraction of the way after a fraction of the time; both 0..1, smooth at the ends."""
    s = float(np.clip(share, 0.0, 1.0))
    return s**3 * (10.0 - 15.0 * s + 6.0 * s * s)


def pose_between(start: np.ndarray, goal: np.ndarray, share: float) -> np.ndarray:
    """Pose (4, 4) that lies a fraction `share` of the way from `start` to `goal`."""
    pose = np.eye(4)
    pose[:3, 3] = start[:3, 3] + share * (goal[:3, 3] - start[:3, 3])
    turn = np.zeros(3)
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, (start[:3, :3].T @ goal[:3, :3]).flatten())
    mujoco.mju_quat2Vel(turn, quaternion, 1.0 / share if share > 0.0 else np.inf)
    angle = float(np.linalg.norm(turn))
    if angle < 1e-9:
        pose[:3, :3] = start[:3, :3]
        return pose
    part = np.zeros(4)
    mujoco.mju_axisAngle2Quat(part, turn / angle, angle)
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, part)
    pose[:3, :3] = start[:3, :3] @ matrix.reshape(3, 3)
    return pose


def planar_pose(base_pose: np.ndarray, height: float) -> np.ndarray:
    """Pose (4, 4) in the world of base_link standing at x, y, yaw, `height` above the floor."""
    return tool_pose(np.array([base_pose[0], base_pose[1], height]), float(base_pose[2]), 0.0)


def wrapped(angle: float) -> float:
    """The angle within -pi..pi [rad]."""
    return float((angle + np.pi) % (2.0 * np.pi) - np.pi)


def yaw_of(quaternion: np.ndarray) -> float:
    """Heading [rad] of a body's x axis; quaternion (4,) wxyz."""
    w, x, y, z = quaternion
    return float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


def tilt_of(quaternion: np.ndarray) -> float:
    """Angle [rad] between a body's z axis and the vertical; quaternion (4,) wxyz."""
    _, x, y, _ = quaternion
    return float(np.arccos(np.clip(1.0 - 2.0 * (x * x + y * y), -1.0, 1.0)))
