"""Joins all that tells of the base's motion in one extended Kalman filter (filterpy).

State: x, y, yaw in odom; vx, vy, wz in base_link; two scales by which the wheels read too much, in
driving and in turning (worn tyres, carpet, slip), seen whenever another source is there; and x, y,
yaw where the camera's keyframe was taken, so that what is measured from it is not taken for more
than it is (stochastic cloning: Roumeliotis and Burdick 2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from brs_hardware.errors import ConfigError
from brs_hardware.odometry.motion import (
    BaseMotion,
    OdometryEstimate,
    RelativeMotion,
    advance,
    seen_from,
)

_STATES = 11
_POSE, _VELOCITY, _SCALE, _KEY = slice(0, 3), slice(3, 6), slice(6, 8), slice(8, 11)
_SCALE_OF_AXIS = (6, 6, 7)  # of vx, vy, wz


@dataclass(frozen=True)
class FilterConfig:
    """What the base can do, and what sources are believed."""

    acceleration: tuple[float, float, float] = (0.8, 0.8, 1.2)  # usual [m/s^2, m/s^2, rad/s^2]
    scale_spread: float = 0.05  # of the wheels' scales at the beginning
    scale_change: float = 0.02  # of them in a second, per root second
    gate: float = 21.1  # squared Mahalanobis distance, 3 degrees of freedom, 99.99 %
    patience: int = 15  # samples refused in a row after which the source is believed again
    timeout_s: float = 0.3  # a source silent for longer is lost
    max_delay_s: float = 0.3  # samples older than that are left out
    lost_speed: tuple[float, float, float] = (0.3, 0.3, 0.4)  # unseen, it may move so fast
    coast_s: float = 0.3  # unseen, the last velocity fades within this


@dataclass
class InputStatus:
    """How one source has been doing."""

    scaled: bool  # reads velocity through the wheels' scale
    stamp_s: float = -math.inf  # of its newest sample that was believed
    used: int = 0
    refused: int = 0  # by the gate
    late: int = 0
    in_a_row: int = 0  # refused since the last used one

    def used_at(self, stamp_s: float) -> None:
        """Count a sample that was believed."""
        self.used += 1
        self.in_a_row = 0
        self.stamp_s = max(self.stamp_s, stamp_s)


@dataclass(frozen=True)
class _Anchor:
    """The pose in the state, as the source sees it from its keyframe."""

    moved: np.ndarray  # (3,)
    covariance: np.ndarray  # (3, 3)


_AT_THE_KEYFRAME = _Anchor(np.zeros(3), np.zeros((3, 3)))


class OdometryFilter:
    """See the module. Time is that of the stamps and of `predict`'s argument.

    Args:
        config: dynamics, gate and time-outs.
        pose: (3,) where it begins in odom.

    Raises:
        ConfigError: filterpy is not installed.
    """

    def __init__(self, config: FilterConfig | None = None, pose: np.ndarray | None = None) -> None:
        try:
            from filterpy.kalman import ExtendedKalmanFilter
        except ImportError:
            raise ConfigError(
                "filterpy is not installed", remedy="pip install brs[perception]"
            ) from None
        self.config = config or FilterConfig()
        self.inputs: dict[str, InputStatus] = {}
        self._now_s: float | None = None
        self._key_of = ""  # the source whose keyframe is in the state
        self._anchor = _AT_THE_KEYFRAME
        self._ekf: Any = ExtendedKalmanFilter(dim_x=_STATES, dim_z=3)
        self._ekf.x = np.zeros(_STATES)
        if pose is not None:
            self._ekf.x[_POSE] = pose
        spread = self.config.scale_spread**2
        self._ekf.P = np.diag([1e-8] * 3 + [0.25] * 3 + [spread] * 2 + [0.0] * 3)

    def add_input(self, name: str, wheels: bool = False) -> None:
        """Make a source known; `wheels` reads through the scales that the filter estimates."""
        self.inputs[name] = InputStatus(scaled=wheels)

    def lost(self, now_s: float) -> list[str]:
        """Sources that are silent, or refused, for too long."""
        limit_s = now_s - self.config.timeout_s
        return [name for name, status in self.inputs.items() if status.stamp_s < limit_s]

    def update(self, name: str, motion: BaseMotion) -> bool:
        """Take a velocity; False if it is too late or beyond belief."""
        status = self.inputs[name]
        delay_s = self._delay(status, motion.stamp_s)
        if delay_s is None:
            return False
        # The base may have sped up since; a late sample is worth that much less.
        drifted = np.array(self.config.acceleration) * delay_s
        noise = motion.covariance + np.diag(drifted**2)
        expected, matrix = self._expected_velocity(status.scaled)
        surprise = motion.velocity - expected
        if not self._believable(status, surprise, matrix, noise):
            return False
        self._correct(surprise, matrix, noise)
        status.used_at(motion.stamp_s)
        return True

    def follow(self, name: str, motion: RelativeMotion) -> bool:
        """Take a pose seen from a keyframe; False if it is the first, or as in `update`.

        One source of this kind can be followed. Where its keyframe itself came too late, the
        first pose in time that is seen from it stands in for it.
        """
        status = self.inputs[name]
        delay_s = self._delay(status, motion.stamp_s)
        if delay_s is None:
            if motion.is_keyframe:
                self._key_of = ""
            return False
        taken = False
        if motion.moved is not None and self._key_of == name:
            # Within the delay it may have sped up.
            drifted = np.array(self.config.acceleration) * delay_s**2 / 2.0
            noise = motion.covariance + self._anchor.covariance + np.diag(drifted**2)
            expected, matrix = self._expected_relative(delay_s)
            surprise = seen_from(self._anchor.moved, motion.moved) - expected
            surprise[2] = math.remainder(surprise[2], 2 * math.pi)
            taken = self._believable(status, surprise, matrix, noise, insists=False)
            if taken:
                self._correct(surprise, matrix, noise)
                status.used_at(motion.stamp_s)
        if motion.is_keyframe:
            self._remember_pose(name, delay_s)
            self._anchor = _AT_THE_KEYFRAME
        elif motion.moved is not None and self._key_of != name:
            self._remember_pose(name, delay_s)
            self._anchor = _Anchor(motion.moved, motion.covariance)
        return taken

    def predict(self, now_s: float) -> None:
        """Advance to a time; nothing happens for one that is past.

        While every source is lost the velocity fades and the covariance grows as fast as the base
        could be moving unseen.
        """
        if self._now_s is None:
            self._now_s = now_s
        # Short steps: linearisation holds, and a source is lost at its time and not at the end.
        while now_s - self._now_s > 1e-9:
            step_s = min(now_s - self._now_s, 0.1)
            self._step(step_s, self._blind(self._now_s + step_s))
            self._now_s += step_s

    def estimate(self) -> OdometryEstimate:
        """The base now."""
        x, p = self._ekf.x, self._ekf.P
        return OdometryEstimate(
            stamp_s=self._now_s if self._now_s is not None else -math.inf,
            pose=x[_POSE].copy(),
            velocity=x[_VELOCITY].copy(),
            pose_covariance=p[_POSE, _POSE].copy(),
            velocity_covariance=p[_VELOCITY, _VELOCITY].copy(),
        )

    @property
    def wheel_scale(self) -> np.ndarray:
        """(2,) by how much the wheels read too much, driving and turning."""
        return self._ekf.x[_SCALE].copy()

    def _blind(self, now_s: float) -> bool:
        return len(self.lost(now_s)) == len(self.inputs)

    def _step(self, step_s: float, blind: bool) -> None:
        config, ekf = self.config, self._ekf
        pose, velocity = ekf.x[_POSE], ekf.x[_VELOCITY]
        ekf.F = _transition(pose[2], velocity, step_s)
        ekf.x[_POSE] = advance(pose, velocity, step_s)
        noise = np.zeros((_STATES, _STATES))
        spread = (np.array(config.acceleration) ** 2) * step_s
        if blind:
            # A first-order process whose spread settles at what the base may do unseen.
            kept = math.exp(-step_s / config.coast_s)
            ekf.F[_VELOCITY, _VELOCITY] *= kept
            ekf.x[_VELOCITY] = kept * velocity
            spread = np.array(config.lost_speed) ** 2 * (1.0 - kept**2)
        noise[_VELOCITY, _VELOCITY] = np.diag(spread)
        # Noise of velocity within the step moves the pose too.
        moved = ekf.F[_POSE, _VELOCITY]
        noise[_POSE, _POSE] = moved @ np.diag(spread) @ moved.T / 3.0
        noise[_POSE, _VELOCITY] = moved @ np.diag(spread) / 2.0
        noise[_VELOCITY, _POSE] = noise[_POSE, _VELOCITY].T
        wander = config.scale_change**2 * step_s
        # Scales stay what wheels can be: known no better than before, but no worse than at first.
        scales = np.diag(ekf.P)[_SCALE]
        noise[_SCALE, _SCALE] = np.diag(np.where(scales < config.scale_spread**2, wander, 0.0))
        ekf.P = ekf.F @ ekf.P @ ekf.F.T + noise

    def _delay(self, status: InputStatus, stamp_s: float) -> float | None:
        """Age of a sample when it comes [s]; None if it is too late."""
        self.predict(stamp_s)
        assert self._now_s is not None
        delay_s = self._now_s - stamp_s
        if delay_s > self.config.max_delay_s:
            status.late += 1
            return None
        return delay_s

    def _correct(self, surprise: np.ndarray, matrix: np.ndarray, noise: np.ndarray) -> None:
        self._ekf.update(
            surprise, lambda _: matrix, lambda _: np.zeros(3), R=noise, residual=np.subtract
        )

    def _remember_pose(self, name: str, delay_s: float) -> None:
        """Copy the pose of `delay_s` ago into the state, with all that it has in common."""
        ekf = self._ekf
        pose, velocity = ekf.x[_POSE], ekf.x[_VELOCITY]
        copy = np.eye(_STATES)
        copy[_KEY] = _transition(pose[2], velocity, -delay_s)[_POSE]
        ekf.x[_KEY] = advance(pose, velocity, -delay_s)
        ekf.P = copy @ ekf.P @ copy.T
        self._key_of = name

    def _believable(
        self,
        status: InputStatus,
        surprise: np.ndarray,
        matrix: np.ndarray,
        noise: np.ndarray,
        insists: bool = True,
    ) -> bool:
        """The gate; the only source there is, if it insists for long, is right."""
        spread = matrix @ self._ekf.P @ matrix.T + noise
        finite = bool(np.isfinite(surprise).all() and np.isfinite(noise).all())
        if finite and surprise @ np.linalg.solve(spread, surprise) <= self.config.gate:
            return True
        status.refused += 1
        status.in_a_row += 1
        if not (finite and insists and status.in_a_row > self.config.patience):
            return False
        if self._others_agree(status):
            return False
        # Nobody supports the old velocity: forget it.
        self._ekf.P[_VELOCITY, :] = self._ekf.P[:, _VELOCITY] = 0.0
        self._ekf.P[_VELOCITY, _VELOCITY] = np.eye(3) * 0.25
        return True

    def _others_agree(self, status: InputStatus) -> bool:
        assert self._now_s is not None
        limit_s = self._now_s - self.config.timeout_s
        return any(o is not status and o.stamp_s >= limit_s for o in self.inputs.values())

    def _expected_velocity(self, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
        """(3,) what a source should read, and its Jacobian (3, 11)."""
        x, matrix = self._ekf.x, np.zeros((3, _STATES))
        velocity = x[_VELOCITY].copy()
        matrix[:, _VELOCITY] = np.eye(3)
        if scaled:
            factor = 1.0 + x[list(_SCALE_OF_AXIS)]
            matrix[:, _VELOCITY] = np.diag(factor)
            matrix[range(3), _SCALE_OF_AXIS] = velocity
            velocity *= factor
        return velocity, matrix

    def _expected_relative(self, delay_s: float) -> tuple[np.ndarray, np.ndarray]:
        """(3,) where the base was `delay_s` ago, seen from the keyframe; Jacobian (3, 11)."""
        x = self._ekf.x
        key, pose = x[_KEY], advance(x[_POSE], x[_VELOCITY], -delay_s)
        relative = seen_from(key, pose)
        cosine, sine = math.cos(key[2]), math.sin(key[2])
        turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        matrix = turn @ _transition(x[2], x[_VELOCITY], -delay_s)[_POSE]
        matrix[:, _KEY] = -turn
        matrix[0, 10], matrix[1, 10] = relative[1], -relative[0]
        return relative, matrix


def _transition(yaw: float, velocity: np.ndarray, step_s: float) -> np.ndarray:
    """(11, 11) Jacobian of a step, with the yaw of its middle."""
    middle = yaw + 0.5 * velocity[2] * step_s
    cosine, sine = math.cos(middle) * step_s, math.sin(middle) * step_s
    vx, vy, _ = velocity
    along, across = cosine * vx - sine * vy, sine * vx + cosine * vy
    matrix = np.eye(_STATES)
    matrix[0, 2], matrix[1, 2] = -across, along
    matrix[0, 3], matrix[0, 4] = cosine, -sine
    matrix[1, 3], matrix[1, 4] = sine, cosine
    # A turn bends the way by half of itself.
    matrix[0, 5], matrix[1, 5] = -across * step_s / 2, along * step_s / 2
    matrix[2, 5] = step_s
    return matrix
