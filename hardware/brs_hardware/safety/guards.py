"""The guards of posture and base in the supervisor's words: collisions and balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from brs_hardware.collision import CollisionGuard
from brs_hardware.collision_config import KeepOut, load_collision_config
from brs_hardware.embodiment import Embodiment
from brs_hardware.safety.supervisor import BaseLimits
from brs_hardware.safety.verdict import SafetyEvent, Severity
from brs_hardware.stability import Stability

# How far ahead the base's way is looked at: what a stop takes, and a bit more.
_LOOK_AHEAD_S = 0.6
_NEARER_M = 1e-4  # a change of distance less than this is none
# Balance is not asked anew for a posture this near to the one it was asked for last: each joint
# moves the centre of mass by less than the tall robot's height times that.
_ALIKE_RAD = 0.01
_WELL_BALANCED_M = 0.05  # more room than postures so alike can differ by

Posture = dict[str, np.ndarray]
Events = tuple[SafetyEvent, ...]


class CollisionRule:
    """Keeps the links off each other, the floor and keep-outs. See `PostureGuard`."""

    def __init__(self, guard: CollisionGuard) -> None:
        self._guard = guard

    def limit(
        self,
        position: Posture,
        velocity: Posture,
        wanted: Posture,
        dt_s: float,
        base_pose: np.ndarray,
    ) -> tuple[Posture, Events]:
        """See `PostureGuard`."""
        result = self._guard.limit(position, velocity, wanted, dt_s, base_pose)
        events = tuple(
            SafetyEvent(event.rule, Severity.LIMITED, event.first, event.message)
            for event in result.events
        )
        return result.position, events


class BalanceRule:
    """Brakes joints on their way to a posture that leaves too little room before tipping over."""

    def __init__(self, embodiment: Embodiment, stability: Stability) -> None:
        self._embodiment, self._stability = embodiment, stability
        self._balanced: Posture = {}  # where there was ample room last

    def limit(
        self,
        position: Posture,
        velocity: Posture,
        wanted: Posture,
        dt_s: float,
        base_pose: np.ndarray,
    ) -> tuple[Posture, Events]:
        """See `PostureGuard`. What counts is where the joints can come to rest."""
        slowest = {name: self._embodiment.group(name).max_acceleration for name in wanted}
        rest = {}
        for name, goal in wanted.items():
            speed = (goal - position[name]) / dt_s
            rest[name] = goal + np.sign(speed) * speed**2 / (2.0 * slowest[name])
        if _alike(rest, self._balanced):
            return wanted, ()
        ends = self._stability.margin(rest)
        least_m = self._stability.config.min_margin_m
        self._balanced = rest if ends.margin_m > least_m + _WELL_BALANCED_M else {}
        if ends.margin_m >= least_m or ends.margin_m >= self._stability.margin(position).margin_m:
            return wanted, ()
        braked = {}
        for name, speed in velocity.items():
            left = np.maximum(np.abs(speed) - slowest[name] * dt_s, 0.0)
            braked[name] = position[name] + np.sign(speed) * left * dt_s
        message = (
            f"this posture would leave {ends.margin_m * 1e3:.0f} mm before the robot tips to the"
            f" {ends.edge}; {least_m * 1e3:.0f} mm are kept"
        )
        return braked, (SafetyEvent("tip_over", Severity.LIMITED, "", message),)


class BaseRule:
    """How the base may drive with this posture, and not into keep-outs. See `BaseGuard`.

    Args:
        embodiment: the robot.
        stability: its balance.
        keep_outs: boxes that neither chassis nor arms shall be driven into.
    """

    def __init__(
        self, embodiment: Embodiment, stability: Stability, keep_outs: tuple[KeepOut, ...] = ()
    ) -> None:
        self._stability = stability
        self._max_acceleration = embodiment.base.max_acceleration
        self._posture: Posture = {}  # for which the following was found
        self._allowed = (1.0, self._max_acceleration)
        self._max_velocity = embodiment.base.max_velocity
        fixed = tuple(box for box in keep_outs if box.frame == "odom")
        self._way: CollisionGuard | None = None
        if fixed:
            # Joints do not move the chassis, but driving does.
            config = replace(load_collision_config(embodiment), keep_out_exempt=())
            self._way = CollisionGuard(embodiment, config, fixed)

    def limits(
        self, joints: Mapping[str, np.ndarray], base_pose: np.ndarray, wanted: np.ndarray
    ) -> BaseLimits:
        """See `BaseGuard`."""
        if not _alike(joints, self._posture):
            scale, fastest = self._stability.base_limits(joints)
            fastest = np.minimum(self._max_acceleration, [*fastest, np.inf])
            self._posture = {name: values.copy() for name, values in joints.items()}
            self._allowed = (scale, fastest)
        scale, fastest = self._allowed
        event = self._blocked(joints, base_pose, scale * wanted) if self._way else None
        return BaseLimits(0.0 if event else scale, fastest, event)

    def _blocked(
        self, joints: Mapping[str, np.ndarray], base_pose: np.ndarray, velocity: np.ndarray
    ) -> SafetyEvent | None:
        """An event if driving on would bring something into a keep-out, or deeper into it."""
        if self._way is None or not np.any(velocity):
            return None
        velocity = np.clip(velocity, -self._max_velocity, self._max_velocity)
        ahead = self._way.clearance(joints, _driven(base_pose, velocity, _LOOK_AHEAD_S))
        if ahead.distance_m > self._way.config.stop_distance_m:
            return None
        if ahead.distance_m >= self._way.clearance(joints, base_pose).distance_m - _NEARER_M:
            return None
        message = f"driving on would bring {ahead.first} into {ahead.second}; drive another way"
        return SafetyEvent("keep_out", Severity.LIMITED, "base", message)


def _alike(posture: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return bool(other) and all(
        np.abs(values - other[name]).max() < _ALIKE_RAD for name, values in posture.items()
    )


def _driven(pose: np.ndarray, velocity: np.ndarray, duration_s: float) -> np.ndarray:
    """(3,) pose after driving with a velocity in base_link, by its middle heading."""
    yaw = pose[2] + 0.5 * velocity[2] * duration_s
    forward, left = velocity[:2] * duration_s
    moved = np.array(
        [
            np.cos(yaw) * forward - np.sin(yaw) * left,
            np.sin(yaw) * forward + np.cos(yaw) * left,
            velocity[2] * duration_s,
        ]
    )
    after: np.ndarray = pose + moved
    return after
