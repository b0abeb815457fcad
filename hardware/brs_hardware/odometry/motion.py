"""Motion in the plane: poses (3,) x, y [m], yaw [rad]; twists (3,) vx, vy [m/s], wz [rad/s]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BaseMotion:
    """What one source says of the base's velocity."""

    stamp_s: float  # the moment for which it holds best [s]
    velocity: np.ndarray  # (3,) vx, vy [m/s], wz [rad/s] in base_link
    covariance: np.ndarray  # (3, 3) of it


@dataclass(frozen=True)
class RelativeMotion:
    """What one source says of the base's pose as seen from where a keyframe was taken."""

    stamp_s: float
    moved: np.ndarray | None  # (3,) x, y [m], yaw [rad]; None if it cannot be told
    covariance: np.ndarray  # (3, 3) of it
    is_keyframe: bool  # those that follow are seen from this one


@dataclass(frozen=True)
class OdometryEstimate:
    """The base as all sources together see it."""

    stamp_s: float
    pose: np.ndarray  # (3,) x, y [m], yaw [rad] in odom; yaw runs on beyond a full turn
    velocity: np.ndarray  # (3,) vx, vy [m/s], wz [rad/s] in base_link
    pose_covariance: np.ndarray  # (3, 3)
    velocity_covariance: np.ndarray  # (3, 3)


def advance(pose: np.ndarray, twist: np.ndarray, duration_s: float) -> np.ndarray:
    """Where a pose gets to with a constant twist in its own frame; exact, an arc of a circle."""
    x, y = _arc(twist[2] * duration_s) @ twist[:2] * duration_s
    cosine, sine = math.cos(pose[2]), math.sin(pose[2])
    return np.array(
        [
            pose[0] + cosine * x - sine * y,
            pose[1] + sine * x + cosine * y,
            pose[2] + twist[2] * duration_s,
        ]
    )


def twist_between(start: np.ndarray, end: np.ndarray, duration_s: float) -> np.ndarray:
    """The constant twist that leads from one pose to the other; inverse of `advance`."""
    yaw = math.remainder(end[2] - start[2], 2 * math.pi)
    way = np.linalg.solve(_arc(yaw), seen_from(start, end)[:2])
    return np.array([*way, yaw]) / duration_s


def seen_from(key: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """A pose as seen from another."""
    cosine, sine = math.cos(key[2]), math.sin(key[2])
    dx, dy = pose[0] - key[0], pose[1] - key[1]
    return np.array([cosine * dx + sine * dy, -sine * dx + cosine * dy, pose[2] - key[2]])


def to_matrix(pose: np.ndarray) -> np.ndarray:
    """(4, 4) of a pose in the plane."""
    cosine, sine = math.cos(pose[2]), math.sin(pose[2])
    matrix = np.eye(4)
    matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    matrix[:2, 3] = pose[:2]
    return matrix


def to_plane(matrix: np.ndarray) -> np.ndarray:
    """(3,) pose in the plane of a (4, 4) matrix; height, roll and pitch are lost."""
    return np.array([matrix[0, 3], matrix[1, 3], math.atan2(matrix[1, 0], matrix[0, 0])])


def _arc(angle: float) -> np.ndarray:
    """(2, 2): displacement of a turn by `angle` over that of the straight way."""
    if abs(angle) < 1e-4:  # the quotients lose their digits
        along, across = 1.0 - angle**2 / 6.0, 0.5 * angle - angle**3 / 24.0
    else:
        along, across = math.sin(angle) / angle, (1.0 - math.cos(angle)) / angle
    return np.array([[along, -across], [across, along]])
