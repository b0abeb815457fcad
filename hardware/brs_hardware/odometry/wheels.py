"""The base's motion from its wheels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_hardware.embodiment import Base
from brs_hardware.errors import DeviceError
from brs_hardware.odometry.motion import BaseMotion, advance


@dataclass(frozen=True)
class WheelConfig:
    """How far the wheels are trusted."""

    noise: tuple[float, float, float] = (0.01, 0.01, 0.01)  # of a standing base [m/s, rad/s]
    slip: tuple[float, float, float] = (0.05, 0.05, 0.05)  # more of it, per speed
    max_gap_s: float = 0.2  # the way over a longer silence is not guessed
    max_mismatch: float = 0.1  # [m/s] between wheels of one base: one of them slips


class WheelOdometry:
    """Integrates chassis velocity along exact arcs.

    Args:
        base: geometry of the wheels.
        config: noise and limits.
    """

    def __init__(self, base: Base, config: WheelConfig | None = None) -> None:
        self._positions, self._radius = base.wheel_positions, base.wheel_radius
        self.config = config or WheelConfig()
        self.pose = np.zeros(3)  # x, y [m], yaw [rad] since the beginning
        self.gaps = 0
        self._last: tuple[float, np.ndarray] | None = None

    def update(self, stamp_s: float, velocity: np.ndarray) -> BaseMotion:
        """Take a measured velocity (3,) vx, vy [m/s], wz [rad/s] in base_link.

        Raises:
            DeviceError: a number is not finite.
        """
        if not np.isfinite(velocity).all():
            raise DeviceError(
                "the chassis gives no number", where="wheels", remedy="check the chassis driver"
            )
        if self._last is not None:
            duration_s = stamp_s - self._last[0]
            if 0.0 < duration_s <= self.config.max_gap_s:
                mean = 0.5 * (self._last[1] + velocity)
                self.pose = advance(self.pose, mean, duration_s)
            elif duration_s != 0.0:
                self.gaps += 1
        self._last = (stamp_s, np.array(velocity, dtype=float))
        # Slip of one axis shows in the others too, as no wheel turns for one of them alone.
        speed = np.array([*2 * [np.hypot(*velocity[:2])], abs(velocity[2])])
        deviation = np.array(self.config.noise) + np.array(self.config.slip) * speed
        return BaseMotion(stamp_s, self._last[1], np.diag(deviation**2))

    def from_wheels(self, stamp_s: float, angle: np.ndarray, speed: np.ndarray) -> BaseMotion:
        """Take steered wheels: angles (n,) [rad] and rolling speeds (n,) [rad/s].

        Three wheels give six equations for three unknowns; what is left over is slip, and widens
        the covariance. Raises like `update`, and if the wheels contradict each other.
        """
        velocity, mismatch = self.body_velocity(angle, speed)
        motion = self.update(stamp_s, velocity)
        if mismatch > self.config.max_mismatch:
            raise DeviceError(
                f"wheels disagree by {mismatch:.2f} m/s",
                where="wheels",
                remedy="look for a wheel that slips or a steering encoder that is off",
            )
        return BaseMotion(stamp_s, motion.velocity, motion.covariance + np.eye(3) * mismatch**2)

    def body_velocity(self, angle: np.ndarray, speed: np.ndarray) -> tuple[np.ndarray, float]:
        """Least-squares velocity (3,) in base_link, and the worst wheel's contradiction [m/s]."""
        rolling = self._radius * speed
        hub = np.concatenate([rolling * np.cos(angle), rolling * np.sin(angle)])
        count = len(self._positions)
        matrix = np.zeros((2 * count, 3))
        matrix[:count, 0] = matrix[count:, 1] = 1.0
        matrix[:count, 2], matrix[count:, 2] = -self._positions[:, 1], self._positions[:, 0]
        velocity = np.linalg.lstsq(matrix, hub, rcond=None)[0]
        left_over = matrix @ velocity - hub
        return velocity, float(np.hypot(left_over[:count], left_over[count:]).max())
