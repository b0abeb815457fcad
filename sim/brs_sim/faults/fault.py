"""What a fault is: how it begins, how it ends, and what the stack shall do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Sign(Enum):
    """Where the stack tells of a fault."""

    TELEOP = "teleop/state"
    SAFETY = "robot/safety"
    RECORDER = "episode/state"
    CAMERA = "the camera's driver"
    LOG = "the log"
    NOWHERE = "nowhere: it goes on"


def nothing() -> None:
    """The inject or heal of a fault that has none."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Raises (from `inject`): PermissionError or OSError where the system does not allow it.
    """

    name: str
    title: str  # as in the table
    reaction: str  # what the stack shall do, in words
    inject: Callable[[], object]
    heal: Callable[[], object] = nothing
    sign: Sign = Sign.NOWHERE  # who tells of it ...
    text: str = ""  # ... and what its message holds
    stops: bool = True  # whether the robot shall stand still
    # How rest is told: the command is zero (unless nobody commands any more), and the robot is
    # measured to stand (unless it is frozen itself).
    commanded: bool = True
    measured: bool = True
    lasts_s: float = 0.5  # how long it is left in place once the robot stands
    records: bool = True  # whether the recorder lives through it
    restarts: bool = False  # whether a node begins anew
    loses: str = ""  # topic of which the fault itself costs messages; `*` for all
    prepare: Callable[[], object] = nothing  # what takes time before it can be injected at once
