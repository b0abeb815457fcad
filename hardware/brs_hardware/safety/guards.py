"""Rules on the next posture, for the supervisor: collisions."""

from __future__ import annotations

import numpy as np

from brs_hardware.collision import CollisionGuard
from brs_hardware.safety.verdict import SafetyEvent, Severity


class CollisionRule:
    """The collision guard in the supervisor's words."""

    def __init__(self, guard: CollisionGuard) -> None:
        self._guard = guard

    def limit(
        self,
        position: dict[str, np.ndarray],
        velocity: dict[str, np.ndarray],
        wanted: dict[str, np.ndarray],
        dt_s: float,
        base_pose: np.ndarray,
    ) -> tuple[dict[str, np.ndarray], tuple[SafetyEvent, ...]]:
        """See `brs_hardware.safety.PostureGuard`."""
        result = self._guard.limit(position, velocity, wanted, dt_s, base_pose)
        events = tuple(
            SafetyEvent(event.rule, Severity.LIMITED, event.first, event.message)
            for event in result.events
        )
        return result.position, events
