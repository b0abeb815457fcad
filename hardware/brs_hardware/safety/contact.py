"""Contact and disobedience: what the robot measures against what it was told."""

from __future__ import annotations

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.safety.inputs import held
from brs_hardware.safety.verdict import SafetyConfig, SafetyEvent
from brs_hardware.types import WholeBodyState


class ContactWatch:
    """Finds joints that lag their command or push too hard for too long.

    Args:
        embodiment: joint names and greatest efforts.
        config: thresholds.
    """

    def __init__(self, embodiment: Embodiment, config: SafetyConfig) -> None:
        groups = [embodiment.group(name) for name in Embodiment.GROUPS]
        self._names = [joint for group in groups for joint in group.joints]
        self._most_effort = config.effort_share * np.concatenate(
            [group.max_effort for group in groups]
        )
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget how long anything has lasted."""
        self._lagging_s = np.zeros(len(self._names))
        self._pushing_s = np.zeros(len(self._names))

    def step(
        self, dt_s: float, position: np.ndarray, velocity: np.ndarray, state: WholeBodyState
    ) -> SafetyEvent | None:
        """An event when a joint has met something.

        Args:
            dt_s: time since the last step [s].
            position, velocity: (n,) commanded joints of torso, left and right arm [rad, rad/s].
            state: what was measured.
        """
        config = self._config
        measured, effort = measured_joints(state)
        lag = np.abs(position - measured)
        allowed = config.tracking_limit_rad + config.tracking_lag_s * np.abs(velocity)
        self._lagging_s = np.where(lag > allowed, self._lagging_s + dt_s, 0.0)
        pushing = np.abs(effort) > self._most_effort
        self._pushing_s = np.where(pushing, self._pushing_s + dt_s, 0.0)
        joint = int(np.argmax(self._lagging_s))
        if self._lagging_s[joint] > config.contact_time_s:
            name = self._names[joint]
            return held(
                "contact", f"{name} lags its command by {lag[joint]:.2f} rad; is it blocked?", name
            )
        joint = int(np.argmax(self._pushing_s))
        if self._pushing_s[joint] > config.contact_time_s:
            name = self._names[joint]
            return held("contact", f"{name} pushes with {abs(effort[joint]):.0f} N m", name)
        return None


class BaseWatch:
    """Finds a base that moves although it was told to stand.

    Args:
        config: thresholds.
    """

    def __init__(self, config: SafetyConfig) -> None:
        self._still = np.array([config.base_still_m_s] * 2 + [config.base_still_rad_s])
        self._obeys_s = config.base_obeys_s
        self.moving_s = 0.0

    def step(
        self, dt_s: float, commanded: np.ndarray, state: WholeBodyState
    ) -> SafetyEvent | None:
        """An event while the base disobeys.

        Args:
            dt_s: time since the last step [s].
            commanded: (3,) vx, vy [m/s], wz [rad/s] that it was told.
            state: what was measured.
        """
        fast = np.abs(state.base_velocity) > self._still
        self.moving_s = self.moving_s + dt_s if np.any(fast) and not np.any(commanded) else 0.0
        if self.moving_s <= self._obeys_s:
            return None
        seen = np.round(state.base_velocity, 2).tolist()
        return held(
            "base_disobeys",
            f"the base moves with {seen} though told to stand; press the robot's own e-stop",
            "base",
        )


def measured_joints(state: WholeBodyState) -> tuple[np.ndarray, np.ndarray]:
    """(n,) positions [rad] and efforts [N m] of torso, left and right arm."""
    groups = [getattr(state, name) for name in Embodiment.GROUPS]
    return (
        np.concatenate([group.position for group in groups]),
        np.concatenate([group.effort for group in groups]),
    )
