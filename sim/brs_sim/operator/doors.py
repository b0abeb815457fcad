"""Doors on hinges: where their handles go, and hands that go with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from brs_sim.geometry import shifted
from brs_sim.operator.hands import Hands, Motion
from brs_sim.operator.motions import yaw_of
from brs_sim.operator.surfaces import trace
from brs_sim.tasks.registry import Pose


@dataclass(frozen=True)
class Door:
    """A door with an upright hinge, as a person sees it.

    Attributes:
        name: of its body, whose origin lies on the hinge.
        sense: 1.0 if it opens counter-clockwise seen from above, else -1.0.
    """

    name: str
    sense: float

    def angle(self, objects: dict[str, Pose]) -> float:
        """How far it is open [rad]."""
        return self.sense * yaw_of(objects[self.name][1])

    def point(
        self, objects: dict[str, Pose], place: np.ndarray, angle: float | None = None
    ) -> np.ndarray:
        """(3,) in the world of a place (3,) in the door's frame, open as it is or so far [rad]."""
        turn = self.sense * (self.angle(objects) if angle is None else angle)
        cosine, sine = np.cos(turn), np.sin(turn)
        x, y, z = place
        hinge = objects[self.name][0]
        return shifted(hinge, cosine * x - sine * y, sine * x + cosine * y, z)


def swing(
    hands: Hands,
    arm: str,
    tool_at: Callable[[float], np.ndarray],
    begin_rad: float,
    end_rad: float,
    speed_rad_s: float,
    goes_on: Callable[[], bool] = lambda: True,
) -> Motion:
    """Lead the tool along a door's way, whatever the base does meanwhile.

    Args:
        hands: of the person.
        arm: whose tool.
        tool_at: pose (4, 4) in the world of the tool for an angle of the door [rad].
        begin_rad, end_rad: from where to where.
        speed_rad_s: mean speed at the usual pace.
        goes_on: asked at every moment; the motion ends when it says no, say of a lost handle.
    """

    def path(share: float) -> np.ndarray:
        return tool_at(begin_rad + share * (end_rad - begin_rad))

    for _ in trace(hands, arm, path, abs(end_rad - begin_rad), speed_rad_s):
        if not goes_on():
            return
        yield
