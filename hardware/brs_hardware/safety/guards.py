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
        ends = self._stability.margin(rest)
        least_m = self._stability.config.min_margin_m
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
        scale = self._stability.base_speed_scale(joints)
        fastest = self._max_acceleration.copy()
        for axis, ways in enumerate((((1, 0), (-1, 0)), ((0, 1), (0, -1)))):
            stable = min(self._stability.max_acceleration(joints, way) for way in ways)
            fastest[axis] = min(fastest[axis], stable)
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
