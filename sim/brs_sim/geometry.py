"""Poses of tools."""

from __future__ import annotations

import numpy as np


def tool_pose(position: np.ndarray, yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """Pose (4, 4) of a gripper's tool frame, whose x points out of the hand.

    Args:
        position: (3,) [m].
        yaw: heading of the hand [rad].
        pitch: how far below the horizon it points [rad].
        roll: about its own x; at zero it closes sideways, at pi/2 up and down [rad].
    """
    cz, sz, cy, sy = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cx, sx = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    upright = np.array([[cz * cy, -sz, cz * sy], [sz * cy, cz, sz * sy], [-sy, 0.0, cy]])
    pose[:3, :3] = upright @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    pose[:3, 3] = position
    return pose


def shifted(place: np.ndarray, *by: float) -> np.ndarray:
    """The place (n,) moved by as many numbers."""
    moved: np.ndarray = place + np.array(by)
    return moved
