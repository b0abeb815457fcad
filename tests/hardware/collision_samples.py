"""Postures of the R1 near a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from brs_hardware.collision import KeepOut
from brs_hardware.embodiment import Embodiment

# Both arms stretched forward, level, a few centimetres above the (tall) table.
FORWARD = {
    "torso": np.zeros(4),
    "left_arm": np.array([0.0, np.pi, -np.pi, 0.0, 0.0, 0.0]),
    "right_arm": np.array([0.0, np.pi, -np.pi, 0.0, 0.0, 0.0]),
}
TABLE = KeepOut("table", np.array([0.8, 0.0, 0.67]), np.array([0.3, 0.8, 0.67]))
Posture = dict[str, np.ndarray]


def posture(robot: Embodiment, pose: str = "ready", **changes: Sequence[float]) -> Posture:
    start = {name: np.array(values) for name, values in robot.poses[pose].items()}
    return start | {name: np.array(values, dtype=float) for name, values in changes.items()}


def random_posture(robot: Embodiment, random: np.random.Generator) -> Posture:
    return {n: random.uniform(robot.group(n).lower, robot.group(n).upper) for n in robot.GROUPS}
