"""What the numbers of proprioception and action mean: parts of a robot, in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Order of the parts in both vectors (BRS's proprioception; 21 numbers for an R1).
PARTS = ("base", "torso", "left_arm", "left_gripper", "right_arm", "right_gripper")
# Parts whose numbers are positions; the base is told a velocity.
POSITION_PARTS = ("torso", "left_arm", "left_gripper", "right_arm", "right_gripper")


@dataclass(frozen=True)
class Part:
    """One part of the robot."""

    name: str  # one of PARTS
    names: tuple[str, ...]  # of its numbers
    units: tuple[str, ...]  # one a number
    lower: tuple[float, ...]  # limits that a policy may normalise by
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.units) == len(self.lower) == len(self.upper):
            raise ValueError(f"{self.name}: names, units and limits differ in length")


@dataclass(frozen=True)
class RobotLayout:
    """Proprioception and action of one robot; both have the same numbers in the same order."""

    robot: str
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if tuple(part.name for part in self.parts) != PARTS:
            raise ValueError(f"the parts must be {', '.join(PARTS)}, in this order")

    @property
    def size(self) -> int:
        """Numbers of proprioception, and of an action."""
        return sum(len(part.names) for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each number."""
        return tuple(name for part in self.parts for name in part.names)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each number."""
        return tuple(unit for part in self.parts for unit in part.units)

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower limit of each number."""
        return tuple(value for part in self.parts for value in part.lower)

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper limit of each number."""
        return tuple(value for part in self.parts for value in part.upper)

    def slice_of(self, part: str) -> slice:
        """Where a part's numbers stand in the vectors."""
        start = 0
        for known in self.parts:
            if known.name == part:
                return slice(start, start + len(known.names))
            start += len(known.names)
        raise KeyError(part)

    def vector(self, message: Any) -> np.ndarray:
        """(size,) float64 of a WholeBodyState or WholeBodyCommand message.

        Raises:
            ValueError: the message has another number of joints.
        """
        values = [np.asarray(message.base_velocity, dtype=np.float64)]
        for part in self.parts[1:]:
            value = getattr(message, part.name)
            values.append(np.atleast_1d(getattr(value, "position", value)))
        for part, value in zip(self.parts, values, strict=True):
            if len(value) != len(part.names):
                raise ValueError(
                    f"{part.name} has {len(value)} numbers, {self.robot} has {len(part.names)}"
                )
        return np.concatenate(values)
