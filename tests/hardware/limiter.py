"""Limits of velocity and acceleration only: another source of steps than the supervisor's."""

from __future__ import annotations

import numpy as np


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
