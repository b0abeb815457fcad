"""Odometry of a sensor as odometry of the base that carries it.

A sensor off the base's axis moves sideways when the base turns on the spot: BRS's T265, mounted
at x = -0.235 m, reads 0.09 m/s to the side at 0.4 rad/s. Both pose and twist are compensated.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


class LeverArm:
    """A sensor rigidly mounted on the base.

    Args:
        position: (3,) of the sensor's frame in base_link [m].
        rpy: (3,) fixed-axis roll, pitch, yaw of that frame in base_link [rad].
    """

    def __init__(self, position: np.ndarray, rpy: np.ndarray) -> None:
        self.base_from_sensor = np.eye(4)
        self.base_from_sensor[:3, :3] = Rotation.from_euler("xyz", rpy).as_matrix()
        self.base_from_sensor[:3, 3] = position
        rotation = self.base_from_sensor[:3, :3]
        # How a twist (linear, angular) in the sensor's frame reads in the base's.
        self.adjoint = np.zeros((6, 6))
        self.adjoint[:3, :3] = self.adjoint[3:, 3:] = rotation
        self.adjoint[:3, 3:] = _cross(np.asarray(position, dtype=float)) @ rotation

    def pose(self, sensor: np.ndarray) -> np.ndarray:
        """Pose (4, 4) of the base in a frame that begins where the base began.

        Args:
            sensor: (4, 4) pose of the sensor in the frame where the sensor began.
        """
        return self.base_from_sensor @ sensor @ np.linalg.inv(self.base_from_sensor)

    def twist(self, sensor: np.ndarray) -> np.ndarray:
        """Twist (6,) of the base in base_link, of the sensor's (6,) in its own frame.

        Both are linear [m/s], then angular [rad/s].
        """
        return self.adjoint @ sensor

    def twist_covariance(self, sensor: np.ndarray) -> np.ndarray:
        """(6, 6) covariance of `twist`, of the sensor's."""
        return self.adjoint @ sensor @ self.adjoint.T


def _cross(vector: np.ndarray) -> np.ndarray:
    """(3, 3): cross product of `vector` with another."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
