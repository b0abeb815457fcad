"""A whole-body command as one row of numbers, in BRS's order, and the measured robot likewise.

base vx, vy [m/s], wz [rad/s]; torso, left arm [rad]; left gripper, 0 open .. 1 closed; right arm
[rad]; right gripper: 21 numbers for an R1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.types import WholeBodyCommand, WholeBodyState

PARTS = ("torso", "left_arm", "left_gripper", "right_arm", "right_gripper")  # behind the base
BASE = slice(0, 3)


def action_limits(robot: Embodiment) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each number, (n,) float64."""
    low, high = [-robot.base.max_velocity], [robot.base.max_velocity]
    for part in PARTS:
        gripper = part in robot.GRIPPERS
        low.append(np.zeros(1) if gripper else robot.group(part).lower)
        high.append(np.ones(1) if gripper else robot.group(part).upper)
    return np.concatenate(low), np.concatenate(high)


def command_of(
    robot: Embodiment, action: np.ndarray, stamp_s: float, source: str = "policy"
) -> WholeBodyCommand:
    """The command that (n,) numbers stand for."""
    sizes = [3, *(_size(robot, part) for part in PARTS)]
    base, *parts = np.split(np.asarray(action, dtype=float), np.cumsum(sizes)[:-1])
    named: dict[str, Any] = dict(zip(PARTS, parts, strict=True))
    for gripper in robot.GRIPPERS:
        named[gripper] = float(named[gripper][0])
    return WholeBodyCommand(stamp_s, base, **named, source=source)


def proprioception(state: WholeBodyState) -> np.ndarray:
    """(n,) float32: base velocity, then positions, as measured."""
    parts = [state.base_velocity]
    for name in PARTS:
        part = getattr(state, name)
        parts.append(np.atleast_1d(part) if isinstance(part, float) else part.position)
    return np.concatenate(parts).astype(np.float32)


def _size(robot: Embodiment, part: str) -> int:
    return 1 if part in robot.GRIPPERS else len(robot.group(part).joints)
