"""Skills around surfaces: leading a hand along a path, swinging what hangs on a hinge, wiping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np

from brs_sim.operator.hands import Hands, Motion, fixed
from brs_sim.operator.motions import min_jerk

SIDE = {"left_arm": 1.0, "right_arm": -1.0}
ARMS_LENGTH_M = 0.12  # from this far a hand goes for something, along its own direction
# Corners of the R1's closed fingers, from the tool frame [m].
_FIST = np.array([[-0.038, -0.016, -0.018], [0.018, 0.016, 0.018]])
_BOTTOM_M = 0.003  # a tool this near to a surface wipes it, as far as eyes can tell


def pose_of(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """Pose (4, 4) from position (3,) [m] and quaternion (4,) wxyz."""
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, quaternion)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.reshape(3, 3), position
    return pose


def stance(place: np.ndarray, yaw: float, ahead: float, left: float) -> np.ndarray:
    """Base pose (3,), x, y [m], yaw [rad], with `place` (2,) so far ahead and to the left [m]."""
    forward, leftward = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    return np.append(np.asarray(place)[:2] - ahead * forward - left * leftward, yaw)


def withdrawn(pose: np.ndarray, distance: float = ARMS_LENGTH_M) -> np.ndarray:
    """The tool pose (4, 4) pulled back along the hand's own direction [m]."""
    back = pose.copy()
    back[:3, 3] -= distance * pose[:3, 0]
    return back


def fist_reach(turn: np.ndarray, direction: np.ndarray) -> float:
    """How far closed fingers stand out from the tool in a direction (3,) of the world [m].

    Args:
        turn: (3, 3) or (4, 4) orientation of the tool.
        direction: unit vector.
    """
    within = turn[:3, :3].T @ direction
    return float(np.maximum(within * _FIST[0], within * _FIST[1]).sum())


def retreat(hands: Hands, arm: str, distance: float = ARMS_LENGTH_M) -> Motion:
    """Pull the hand back along its own direction [m]."""
    yield from hands.reach(arm, fixed(withdrawn(hands.tool(arm), distance)), 0.2, 0.0)


def along(points: np.ndarray) -> Callable[[float], np.ndarray]:
    """Point (d,) after a share 0..1 of the way through points (n, d), straight between them."""
    points = np.asarray(points, dtype=float)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    shares = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return lambda share: np.array([np.interp(share, shares, column) for column in points.T])


@dataclass(frozen=True)
class Hinge:
    """What turns about an axis in the world.

    Attributes:
        place: (3,) on the axis [m].
        axis: (3,) unit vector; turning is positive about it.
    """

    place: np.ndarray
    axis: np.ndarray

    def turned(self, point: np.ndarray, angle: float) -> np.ndarray:
        """Where a point (3,) is that hangs on the hinge, after a turn [rad]."""
        quaternion, moved = np.zeros(4), np.zeros(3)
        mujoco.mju_axisAngle2Quat(quaternion, self.axis, angle)
        mujoco.mju_rotVecQuat(moved, np.asarray(point, dtype=float) - self.place, quaternion)
        return self.place + moved

    def angle(self, quaternion: np.ndarray) -> float:
        """How far a body that hangs on the hinge has turned [rad]; quaternion (4,) wxyz."""
        return float(2.0 * np.arctan2(quaternion[1:] @ self.axis, quaternion[0]))


def trace(
    hands: Hands, arm: str, path: Callable[[float], np.ndarray], length_m: float, speed: float
) -> Motion:
    """Lead the tool along a path of poses (4, 4) in the world, which takes the share 0..1 of it.

    Args:
        hands: of the person.
        arm: which.
        path: of the tool.
        length_m: of the path.
        speed: mean speed [m/s].
    """
    begin_s, duration_s = hands.now_s, max(length_m / (speed * hands.pace), 0.35)
    while (elapsed_s := hands.now_s - begin_s) < duration_s:
        hands.lead(arm, path(min_jerk(elapsed_s / duration_s)))
        yield
    hands.lead(arm, path(1.0))
    yield


class Wiping:
    """What a person remembers of wiping: the spots on which the tool has been.

    Args:
        spots: (n, 3) in the world [m].
        near_m: how near the middle of the tool must have come, along the surface.

    Attributes:
        clean: (n,) which spots are.
        tries: how often the surface was gone over.
    """

    def __init__(self, spots: np.ndarray, near_m: float) -> None:
        self._spots, self._near_m = spots, near_m
        self.clean = np.zeros(len(spots), dtype=bool)
        self.tries = 0

    @property
    def enough(self) -> bool:
        """All but one spot are clean; or half of them, when it was tried twice."""
        left = int((~self.clean).sum())
        return left <= 1 or (self.tries > 1 and left <= len(self.clean) / 2)

    def passed(self, way: np.ndarray) -> bool:
        """Whether every spot near a way (n, 2) [m] in the world is clean."""
        place = along(way)
        places = np.array([place(share) for share in np.linspace(0.0, 1.0, 17)])
        away = np.linalg.norm(self._spots[:, None, :2] - places, axis=2).min(axis=1)
        return bool(self.clean[away < self._near_m].all())

    def look(self, tool: np.ndarray, bottom: float) -> None:
        """Notes where the tool is now: its middle (3,) and the height of its lower side [m]."""
        near = np.linalg.norm(self._spots[:, :2] - tool[:2], axis=1) < self._near_m
        self.clean |= near & (bottom < self._spots[:, 2] + _BOTTOM_M)
