"""The three-wheel base: body velocity in, planar motion and wheel speeds out."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from brs_hardware.embodiment import Base
from brs_hardware.errors import BrsError
from brs_sim.model import BASE_JOINTS

COMMAND_TIMEOUT_S = 0.5  # as the vendor's chassis node
# What the vendor's drive can do [m/s^2, m/s^2, rad/s^2].
MAX_ACCELERATION = np.array([2.5, 2.5, 4.0])
# The wanted pose runs ahead of a blocked base by no more than this [m, m, rad].
_MAX_LEAD = np.array([0.03, 0.03, 0.05])


class Chassis:
    """Moves the base joints as commanded in base_link and reports as the vendor's driver.

    Args:
        base: geometry of the wheels.
        model: has the joints and servos BASE_JOINTS.
        data: state of that model.
    """

    def __init__(self, base: Base, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._data = data
        self._wheels, self._radius = base.wheel_positions, base.wheel_radius
        self._qpos = np.array([model.joint(name).qposadr[0] for name in BASE_JOINTS])
        self._qvel = np.array([model.joint(name).dofadr[0] for name in BASE_JOINTS])
        self._ctrl = np.array([model.actuator(name).id for name in BASE_JOINTS])
        # The servos damp absolute motion; leading the set point by this cancels the lag.
        self._lead_s = np.array(
            [
                model.actuator_biasprm[actuator, 2] / model.actuator_biasprm[actuator, 1]
                for actuator in self._ctrl
            ]
        )
        self._command = np.zeros(3)
        self._command_time_s = -np.inf
        self._velocity = np.zeros(3)  # wanted now, in base_link
        self._pose = np.zeros(3)  # wanted now, in the world
        self._wheel_angle = np.zeros(len(self._wheels))
        self.brake_on = False

    def place(self, pose: np.ndarray) -> None:
        """Stands the base at (x, y [m], yaw [rad]), at rest."""
        self._data.qpos[self._qpos] = self._data.ctrl[self._ctrl] = self._pose = np.array(pose)

    def command(self, velocity: np.ndarray, now_s: float) -> None:
        """Wanted velocity (3,) in base_link. Raises BrsError: a number is not finite."""
        if not np.all(np.isfinite(velocity)):
            raise BrsError("base velocities must be finite", where="base")
        self._command, self._command_time_s = velocity, now_s

    def track(self, duration_s: float) -> None:
        """Sets the servos for the next step of `duration_s`."""
        stale = self._data.time - self._command_time_s > COMMAND_TIMEOUT_S
        wanted = np.zeros(3) if stale or self.brake_on else self._command
        change = MAX_ACCELERATION * duration_s
        self._velocity = self._velocity + _within(wanted - self._velocity, change)
        actual = self._data.qpos[self._qpos]
        velocity = to_world(self._velocity, actual[2])
        lead = _within(self._pose + velocity * duration_s - actual, _MAX_LEAD)
        self._pose = actual + lead
        self._data.ctrl[self._ctrl] = self._pose + velocity * self._lead_s

    def pose(self) -> np.ndarray:
        """(3,) x, y [m], yaw [rad] in the world; yaw runs on beyond a full turn."""
        return self._data.qpos[self._qpos].copy()

    def velocity(self) -> np.ndarray:
        """(3,) vx, vy [m/s], wz [rad/s] in base_link."""
        return to_world(self._data.qvel[self._qvel], -self._data.qpos[self._qpos][2])

    def wheels(self) -> tuple[np.ndarray, np.ndarray]:
        """Steering angles (n,) [rad] within +-90 degrees and rolling speeds (n,) [rad/s]."""
        angle, speed = wheel_motion(self.velocity(), self._wheels, self._radius)
        # A standing wheel keeps its heading.
        self._wheel_angle = np.where(np.abs(speed) > 0.02, angle, self._wheel_angle)
        return self._wheel_angle.copy(), speed


def wheel_motion(
    velocity: np.ndarray, positions: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """How steered wheels must stand and roll for the base to move so.

    Args:
        velocity: (3,) vx, vy [m/s], wz [rad/s] in base_link.
        positions: (n, 2) steer axes in base_link [m].
        radius: of the wheels [m].

    Returns:
        Steering angles (n,) within +-pi/2 [rad] and rolling speeds (n,) [rad/s].
    """
    vx = velocity[0] - velocity[2] * positions[:, 1]
    vy = velocity[1] + velocity[2] * positions[:, 0]
    angle, speed = np.arctan2(vy, vx), np.hypot(vx, vy) / radius
    backward = np.abs(angle) > np.pi / 2 + 1e-9
    angle = np.where(backward, angle - np.sign(angle) * np.pi, angle)
    return angle, np.where(backward, -speed, speed)


def to_world(velocity: np.ndarray, yaw: float) -> np.ndarray:
    """A velocity (3,) of a base that heads `yaw` [rad], in the frame of that heading's zero."""
    cosine, sine = math.cos(yaw), math.sin(yaw)
    vx, vy, wz = velocity
    return np.array([cosine * vx - sine * vy, sine * vx + cosine * vy, wz])


def _within(value: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """np.clip for each physics step, several times as fast."""
    return np.minimum(np.maximum(value, -bound), bound)
