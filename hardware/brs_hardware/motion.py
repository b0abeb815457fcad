"""Motion limits of joints and base: velocity, acceleration, jerk, and room left to stop."""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.errors import ConfigError

_TOLERANCE_RAD = 1e-9


class JointMotion:
    """Leads joints to targets that change all the time, within velocity, acceleration and jerk.

    Each step plans anew the fastest jerk-limited motion that comes to rest at the target (by
    Ruckig, Berscheid & Kroeger 2021) and goes along it for one step. As every plan ends at rest
    on a target within the joint limits, a joint can always stop before its limit; braking at any
    moment ends before the target too.

    Args:
        max_velocity, max_acceleration, max_jerk: (n,) limits, positive [rad/s, rad/s^2, rad/s^3].

    Raises:
        ConfigError: Ruckig is not installed.
    """

    def __init__(
        self, max_velocity: np.ndarray, max_acceleration: np.ndarray, max_jerk: np.ndarray
    ) -> None:
        try:
            import ruckig
        except ImportError:
            raise ConfigError(
                "motion limits need Ruckig, which is not installed",
                remedy="pip install brs[robot]",
            ) from None
        self._ruckig: Any = ruckig
        count = len(max_velocity)
        self._planner = ruckig.Ruckig(count)
        self._plan = ruckig.Trajectory(count)
        self._input = ruckig.InputParameter(count)
        self._input.synchronization = ruckig.Synchronization.No
        self._max_velocity, self._max_acceleration = max_velocity, max_acceleration
        self._input.max_acceleration = max_acceleration.tolist()
        self._input.max_jerk = max_jerk.tolist()
        self._at_rest = [0.0] * count
        self.settle(np.zeros(count))

    def settle(self, position: np.ndarray) -> None:
        """Start anew, at rest at `position` (n,)."""
        self.position = position.astype(float)  # (n,)
        self.velocity = np.zeros_like(self.position)  # (n,)
        self.acceleration = np.zeros_like(self.position)  # (n,)
        self._before, self._speed_before = self.position, self.velocity  # of the last step

    def toward(self, target: np.ndarray, dt_s: float, speed: float = 1.0) -> np.ndarray:
        """(n,) position after one step toward `target` (n,) at which the joints come to rest.

        Args:
            target: (n,) where to [rad].
            dt_s: length of the step [s].
            speed: share of the greatest velocity, above 0 and at most 1.

        Raises:
            ArithmeticError: no motion was found; the target is no number.
        """
        self._input.max_velocity = (speed * self._max_velocity).tolist()
        self._input.control_interface = self._ruckig.ControlInterface.Position
        self._input.target_position = target.tolist()
        return self._step(dt_s)

    def brake(self, dt_s: float) -> np.ndarray:
        """(n,) position after one step of coming to rest as fast as the limits allow."""
        self._input.control_interface = self._ruckig.ControlInterface.Velocity
        self._input.max_velocity = self._max_velocity.tolist()
        return self._step(dt_s)

    def restrict(self, position: np.ndarray, dt_s: float) -> None:
        """Take over `position` (n,) [rad], which a later rule chose for the last step of `dt_s`.

        Joints that keep what was planned keep their speed and acceleration too.
        """
        changed = position != self.position
        velocity = (position - self._before) / dt_s
        gained = np.clip(
            (velocity - self._speed_before) / dt_s, -self._max_acceleration, self._max_acceleration
        )
        self.velocity = np.where(changed, velocity, self.velocity)
        self.acceleration = np.where(changed, gained, self.acceleration)
        self.position = position.copy()

    def stay_within(self, lower: np.ndarray, upper: np.ndarray, dt_s: float) -> None:
        """Brake joints as hard as they can whose last step could not be stopped within (n,) [rad].

        A plan ends within its limits, but one that begins where a later rule broke off another
        one may need more jerk than it is allowed: the limit of position goes first.
        """
        room = self.velocity * np.abs(self.velocity) / (2.0 * self._max_acceleration)
        rest = self.position + room
        late = (rest > upper + _TOLERANCE_RAD) | (rest < lower - _TOLERANCE_RAD)
        if np.any(late):
            shed = np.maximum(np.abs(self._speed_before) - self._max_acceleration * dt_s, 0.0)
            braked = self._before + np.sign(self._speed_before) * shed * dt_s
            self.restrict(np.where(late, braked, self.position), dt_s)

    def _step(self, dt_s: float) -> np.ndarray:
        self._before, self._speed_before = self.position, self.velocity
        plan = self._input
        plan.current_position = self.position.tolist()
        plan.current_velocity = self.velocity.tolist()
        plan.current_acceleration = self.acceleration.tolist()
        plan.target_velocity = plan.target_acceleration = self._at_rest
        result = self._planner.calculate(plan, self._plan)
        if result not in (self._ruckig.Result.Working, self._ruckig.Result.Finished):
            # Never seen within the limits; standing is the answer to a plan that does not exist.
            raise ArithmeticError(f"no motion found ({result}) from {self.position.tolist()}")
        position, velocity, acceleration = self._plan.at_time(dt_s)
        self.position = np.array(position)
        self.velocity = np.array(velocity)
        self.acceleration = np.array(acceleration)
        return self.position


def limit_change(
    previous: np.ndarray, wanted: np.ndarray, max_acceleration: np.ndarray, dt_s: float
) -> np.ndarray:
    """(n,) velocity moved from `previous` (n,) toward `wanted` (n,) for `dt_s` [s].

    It changes by no more than `max_acceleration` (n,) allows, all in the same units.
    """
    change = max_acceleration * dt_s
    return np.clip(wanted, previous - change, previous + change)
