"""Motion limits of joints and base: velocity, acceleration, jerk, and room left to stop."""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.errors import ConfigError


class JointMotion:
    """Leads joints to targets that change all the time, within velocity, acceleration and jerk.

    Each step plans anew the fastest jerk-limited motion that comes to rest at the target (by
    Ruckig, Berscheid & Kroeger 2021) and goes along it for one step. As every plan ends at rest
    on a target within the joint limits, a joint can always stop before its limit; braking at any
    moment ends before the target too.

    Args:
        max_velocity, max_acceleration, max_jerk: (n,) limits, positive.

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
        self._max_velocity = max_velocity
        self._input.max_acceleration = max_acceleration.tolist()
        self._input.max_jerk = max_jerk.tolist()
        self._at_rest = [0.0] * count
        self.settle(np.zeros(count))

    def settle(self, position: np.ndarray) -> None:
        """Start anew, at rest at `position` (n,)."""
        self.position = position.astype(float)  # (n,)
        self.velocity = np.zeros_like(self.position)  # (n,)
        self.acceleration = np.zeros_like(self.position)  # (n,)

    def toward(self, target: np.ndarray, dt_s: float, speed: float = 1.0) -> np.ndarray:
        """(n,) position after one step toward `target` (n,) at which the joints come to rest.

        Args:
            target: (n,) where to.
            dt_s: length of the step [s].
            speed: share of the greatest velocity, above 0 and at most 1.
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

    def restrict(self, position: np.ndarray, before: np.ndarray, dt_s: float) -> None:
        """Take over `position` (n,), which a later rule chose; `before` (n,) is the step's start.

        Joints that keep what was planned keep their acceleration too.
        """
        changed = position != self.position
        self.velocity = np.where(changed, (position - before) / dt_s, self.velocity)
        self.acceleration = np.where(changed, 0.0, self.acceleration)
        self.position = position.copy()

    def _step(self, dt_s: float) -> np.ndarray:
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


def limit_motion(
    position: np.ndarray,
    velocity: np.ndarray,
    target: np.ndarray,
    max_velocity: np.ndarray,
    max_acceleration: np.ndarray,
    dt_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """One step toward a target without breaking velocity or acceleration limits.

    The speed is kept at what can still be shed, at the joint's acceleration and in whole steps
    of `dt_s`, before the target is passed; so a joint that heads for its limit stops there.

    Args:
        position, velocity: (n,) where the commanded joint is and how fast it moves.
        target: (n,) where it shall go.
        max_velocity, max_acceleration: (n,) limits, positive.
        dt_s: time since the last step [s], positive.

    Returns:
        (n,) next position and (n,) velocity that leads there.
    """
    error = target - position
    change = max_acceleration * dt_s
    # Braking in whole steps covers (v + (v-change) + ... ) * dt, with k steps before the last;
    # solved for the largest v that still ends on the target.
    reach = np.abs(error) / (change * dt_s)
    steps = np.floor(0.5 * (np.sqrt(1.0 + 8.0 * reach) - 1.0))
    stoppable = change * (reach / (steps + 1.0) + 0.5 * steps)
    speed = np.minimum(np.minimum(stoppable, max_velocity), np.abs(error) / dt_s)
    wanted = np.sign(error) * speed
    new_velocity = np.clip(wanted, velocity - change, velocity + change)
    return position + new_velocity * dt_s, new_velocity


def stopping_point(
    position: np.ndarray, velocity: np.ndarray, max_acceleration: np.ndarray
) -> np.ndarray:
    """(n,) where joints come to rest when they brake at their acceleration limit from now."""
    return position + np.sign(velocity) * velocity**2 / (2.0 * max_acceleration)


def limit_change(
    previous: np.ndarray, wanted: np.ndarray, max_acceleration: np.ndarray, dt_s: float
) -> np.ndarray:
    """(n,) velocity moved from `previous` toward `wanted`, at most the acceleration allows."""
    change = max_acceleration * dt_s
    return np.clip(wanted, previous - change, previous + change)
