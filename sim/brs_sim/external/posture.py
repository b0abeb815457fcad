"""How the joints stand when an episode begins."""

from __future__ import annotations

from brs_hardware.embodiment import Embodiment
from brs_sim.tasks.registry import Start


def start_positions(embodiment: Embodiment, start: Start) -> dict[str, float]:
    """Joint -> [rad] or [m]: the task's posture, grippers open."""
    positions: dict[str, float] = {}
    for name in embodiment.GROUPS:
        group = embodiment.group(name)
        positions |= dict(zip(group.joints, map(float, start.joints[name]), strict=True))
    for name in embodiment.GRIPPERS:
        gripper = embodiment.gripper(name)
        share = gripper.stroke_open_mm / 1000.0 / len(gripper.joints)
        positions |= dict.fromkeys(gripper.joints, share)
    return positions
