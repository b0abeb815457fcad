"""The numbers of a described robot; only the shape of the description is asked for here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from brs_ml.dataset.layout import Part, RobotLayout


class RobotDescription(Protocol):
    """What `brs_hardware.embodiment.Embodiment` tells of a robot; libraries do not import it."""

    GROUPS: Any
    GRIPPERS: Any

    @property
    def name(self) -> str:
        """Of the robot."""

    @property
    def base(self) -> Any:
        """With `max_velocity` (3,) [m/s, m/s, rad/s]."""

    def group(self, name: str) -> Any:
        """With `joints`, their names, and their limits `lower` and `upper`, (n,) [rad]."""


def layout_of(robot: RobotDescription) -> RobotLayout:
    """Proprioception and action of a robot, with its limits."""
    speed = _numbers(robot.base.max_velocity)
    slowest = tuple(-value for value in speed)
    base = Part("base", ("vx", "vy", "wz"), ("m/s", "m/s", "rad/s"), slowest, speed)
    groups = {}
    for name in robot.GROUPS:
        group = robot.group(name)
        units = ("rad",) * len(group.joints)
        groups[name] = Part(
            name, group.joints, units, _numbers(group.lower), _numbers(group.upper)
        )
    grippers = {name: Part(name, (name,), ("1",), (0.0,), (1.0,)) for name in robot.GRIPPERS}
    parts = (
        base,
        groups["torso"],
        groups["left_arm"],
        grippers["left_gripper"],
        groups["right_arm"],
        grippers["right_gripper"],
    )
    return RobotLayout(robot.name, parts)


def _numbers(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
