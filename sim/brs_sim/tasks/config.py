"""What every task's file in config/tasks/ says; see each task for the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_hardware.config import positive


@dataclass(frozen=True)
class RoomConfig:
    """What a room is drawn from."""

    brightness: np.ndarray  # (2,) least and greatest, 1 is usual
    warmth: np.ndarray  # (2,) of the light, 0 neutral, 1 a candle's
    wall_colours: np.ndarray  # (n, 3) RGB 0..1, one is chosen
    floor_colours: np.ndarray  # (n, 3)
    distractors: tuple[int, int]  # fewest and most things that do not matter

    def __post_init__(self) -> None:
        positive(self, "brightness")
        if not 0 <= self.distractors[0] <= self.distractors[1]:
            raise ValueError("'distractors' needs a fewest and a most, from 0 on")


@dataclass(frozen=True)
class ViolationConfig:
    """What counts as a breach of safety; the paper counts collisions and motors that give up."""

    collision_force_n: float  # of the robot against anything, beyond which it is a collision
    separate_s: float  # breaches of a kind that are nearer in time are one
    overload_share: float  # of a motor's greatest effort
    overload_s: float  # for so long, and the motor would switch off

    def __post_init__(self) -> None:
        positive(self, "collision_force_n", "separate_s", "overload_share", "overload_s")


@dataclass(frozen=True)
class TaskConfig:
    """Common to all tasks. A range is its lowest and its highest value (or row)."""

    start: np.ndarray  # (2, 3) range of the base's x, y [m] and yaw [rad]
    room: RoomConfig
    violations: ViolationConfig
