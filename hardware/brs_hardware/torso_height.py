"""Torso height as one axis: knees and hip move together, the trunk keeps its pitch.

BRS's squat buttons move the two knee joints only, so a full squat pitches the trunk by -0.96 rad
and carries the waist 0.15 m forward. Here both knees and the hip are solved together: the hip
rises and sinks above one place of the base, so the centre of mass stays over the wheels, and
trunk pitch stays what it was. Lengths, turning directions and the side to which the knees bend
come from the robot's description.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

# Knees bent to the wrong side by no more than this are taken for straight.
STRAIGHT_RAD = 0.1
_HALVINGS = 16  # of a step that does not fit whole: the rest is below a micrometre
_SCAN = 200  # heights tried to find how far the torso reaches


@dataclass(frozen=True)
class _Segment:
    """From one torso joint to the next in the plane of walking."""

    length: float  # [m]
    lean: float  # [rad] forward of straight up while all joints are at zero


class TorsoHeight:
    """Height axis of a torso that begins with two knees and a hip pitch, such as the R1's.

    Torso arrays are (n,) [rad] in the embodiment's order; only the first three joints are used
    and changed. Heights are of the waist (origin of joint 4), or of the hip (that of joint 3)
    where the torso ends there, in base_link [m].

    Args:
        embodiment: the robot.

    Raises:
        ConfigError: the URDF is wrong, or its torso is not of this kind.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        description = describe(embodiment)
        joints = [description.joint(name) for name in embodiment.torso.joints[:4]]
        in_plane = [abs(abs(joint.axis[1]) - 1.0) < 1e-6 for joint in joints[:3]]
        if len(in_plane) < 3 or not all(in_plane):
            raise ConfigError(
                "the height axis needs a torso that begins with two knees and hip pitch",
                where=embodiment.name,
                remedy="choose torso_mode: brs",
            )
        self._signs = np.array([joint.axis[1] for joint in joints[:3]])
        self._foot = joints[0].origin[[0, 2]]
        ends = [joint.origin for joint in joints[1:]]
        if len(ends) < 3:
            ends.append(np.zeros(3))  # without a waist the hip takes its place
        self._segments = [_Segment(math.hypot(x, z), math.atan2(x, z)) for x, _, z in ends]
        self._group = embodiment.torso
        # The shank leans further to the side to which the knees are made to bend.
        room = self._signs[0] * (self._group.lower[0] + self._group.upper[0])
        self._usual_side = 1.0 if room >= 0.0 else -1.0

    def pitch_rad(self, torso: np.ndarray) -> float:
        """Trunk pitch, forward positive: q1 + q2 - q3 of the R1 and the R1 Lite."""
        return float(self._signs @ torso[:3])

    def height_m(self, torso: np.ndarray) -> float:
        """Height of the waist, or of the hip if there is none, in base_link."""
        return float(self._hip(torso)[1] + self._trunk(self.pitch_rad(torso))[1])

    def solve(
        self, height_m: float, torso: np.ndarray, pitch_rad: float | None = None
    ) -> np.ndarray | None:
        """Torso at another height, its hip above the same place; None where it does not reach.

        The knees stay bent to the side to which they are; straight ones bend to the usual one.

        Args:
            height_m: wanted height.
            torso: where the torso is.
            pitch_rad: wanted pitch of the trunk; None keeps it.
        """
        pitch = self.pitch_rad(torso) if pitch_rad is None else pitch_rad
        thigh, shank = self._segments[1], self._segments[0]
        hip = np.array([self._hip(torso)[0], height_m - self._trunk(pitch)[1]])
        forward, up = hip - self._foot
        distance = math.hypot(forward, up)
        if distance == 0.0:
            return None
        bend = _cosine_rule(shank.length, thigh.length, distance)
        swing = _cosine_rule(shank.length, distance, thigh.length)
        if bend is None or swing is None:
            return None
        # Knees forward: the shank leans before the line to the hip, and the thigh back from it.
        side = self._side(torso)
        shank_lean = math.atan2(forward, up) + side * swing
        thigh_lean = shank_lean - side * (math.pi - bend)
        turns = np.array([shank_lean - shank.lean, thigh_lean - thigh.lean, pitch])
        solved = np.array(torso, dtype=float)
        solved[:3] = self._signs * np.diff(turns, prepend=0.0)
        within = (solved >= self._group.lower - 1e-9) & (solved <= self._group.upper + 1e-9)
        return solved if np.all(within[:3]) else None

    def reach_m(self, torso: np.ndarray) -> tuple[float, float]:
        """Lowest and highest height to which the torso can go from where it is.

        Both are the present height where the joints are outside of their limits.
        """
        here = self.height_m(torso)
        span = sum(segment.length for segment in self._segments[:2])
        return self._reach(torso, here, -2.0 * span), self._reach(torso, here, 2.0 * span)

    def step(
        self,
        torso: np.ndarray,
        speed_m_s: float,
        dt_s: float,
        lower: np.ndarray | None = None,
        upper: np.ndarray | None = None,
    ) -> np.ndarray:
        """Torso after moving at a height speed for a while, slower where joints allow no more.

        Joints keep to their limits and `max_velocity`. Where one of them cannot go as fast, as
        near stretched knees, all go slower together, so that the trunk never pitches.

        Args:
            torso: where it is commanded to be.
            speed_m_s: upward positive.
            dt_s: time of the step.
            lower: (n,) further bounds of the joints [rad], e.g. near the measured ones.
            upper: (n,) likewise.
        """
        change = self._group.max_velocity * dt_s
        low = torso - change if lower is None else np.maximum(torso - change, lower)
        high = torso + change if upper is None else np.minimum(torso + change, upper)
        here = self.height_m(torso)

        def fits(share: float) -> np.ndarray | None:
            solved = self.solve(here + share * speed_m_s * dt_s, torso)
            if solved is None or np.any(solved[:3] < low[:3]) or np.any(solved[:3] > high[:3]):
                return None
            return solved

        if (whole := fits(1.0)) is not None:
            return whole
        best, below, above = None, 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = 0.5 * (below + above)
            if (solved := fits(middle)) is not None:
                best, below = solved, middle
            else:
                above = middle
        if best is not None:
            return best
        return self._straighten(torso, low, high)

    def _straighten(self, torso: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """A step toward the usual bend from knees a little on the wrong side; else no step.

        Both bends have the same trunk pitch, which is linear in the joints, so every posture on
        the straight line between them has it too.
        """
        goal = self.solve(self.height_m(torso), torso)
        if goal is None or np.any(torso[:3] < low[:3]) or np.any(torso[:3] > high[:3]):
            return np.array(torso, dtype=float)
        move = (goal - torso)[:3]
        room = np.where(move > 0.0, high[:3] - torso[:3], torso[:3] - low[:3])
        goal[:3] = torso[:3] + np.min(room / np.maximum(np.abs(move), room + 1e-12)) * move
        return goal

    def _reach(self, torso: np.ndarray, here: float, span: float) -> float:
        """Last height on the way from here through `span` that can be reached without a gap."""
        if self.solve(here, torso) is None:
            return here
        inside = here
        for height in np.linspace(here, here + span, _SCAN + 1)[1:]:
            if self.solve(height, torso) is None:
                outside = float(height)
                break
            inside = float(height)
        else:
            return inside
        while abs(outside - inside) > 1e-9:
            middle = 0.5 * (inside + outside)
            if self.solve(middle, torso) is None:
                outside = middle
            else:
                inside = middle
        return inside

    def _hip(self, torso: np.ndarray) -> np.ndarray:
        """(2,) x, z of the hip joint in base_link [m]."""
        leans = np.cumsum(self._signs[:2] * torso[:2])
        place = self._foot.copy()
        for segment, lean in zip(self._segments, leans, strict=False):
            place += _ahead(segment, float(lean))
        return place

    def _trunk(self, pitch_rad: float) -> np.ndarray:
        """(2,) x, z from the hip to the waist in base_link [m]; zero where there is none."""
        return _ahead(self._segments[2], pitch_rad)

    def _side(self, torso: np.ndarray) -> float:
        """1 for knees that bend forward, -1 for backward."""
        rest = self._segments[1].lean - self._segments[0].lean
        backward_rad = self._signs[1] * torso[1] + rest
        wrong = self._usual_side * backward_rad > STRAIGHT_RAD
        return -self._usual_side if wrong else self._usual_side


def _ahead(segment: _Segment, turn_rad: float) -> np.ndarray:
    lean = segment.lean + turn_rad
    return segment.length * np.array([math.sin(lean), math.cos(lean)])


def _cosine_rule(one: float, other: float, opposite: float) -> float | None:
    """Angle [rad] between two sides of a triangle; None if there is no such triangle."""
    cosine = (one * one + other * other - opposite * opposite) / (2.0 * one * other)
    if abs(cosine) > 1.0 + 1e-9:
        return None
    return math.acos(max(-1.0, min(1.0, cosine)))
