"""Where the robot's joints and its base were at a moment of the near past; no clock."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

KEEP_S = 2.0  # no frame is older by the time its cloud is made
_PATIENCE = 3  # refused stamps in a row that are a clock set back, and not stray samples


@dataclass(frozen=True)
class Posture:
    """The robot at one moment."""

    stamp_s: float
    joints: Mapping[str, np.ndarray]  # group -> (n,) [rad]; gripper, if told -> (1,) 0 open..1
    base_pose: np.ndarray | None  # (3,) x, y [m], yaw [rad] in odom; None where nobody tells


@dataclass(frozen=True)
class NoPosture:
    """Why there is none."""

    reason: str
    may_come: bool  # the samples do not reach the moment yet: ask again


class RobotHistory:
    """Remembers measured joints and base poses, and interpolates between neighbours.

    Nothing is extrapolated, so the same samples always give the same posture, however late they
    come.

    Args:
        embodiment: the robot whose joint groups are told.
        max_gap_s: two samples further apart [s] are not interpolated.
        keep_s: how far back [s] it remembers.

    Attributes:
        refused: samples so far that were not finite or came out of order.
    """

    def __init__(self, embodiment: Embodiment, max_gap_s: float, keep_s: float = KEEP_S) -> None:
        self.refused = 0
        self._joints = {
            name: _Series(len(embodiment.group(name).joints), max_gap_s, keep_s)
            for name in embodiment.GROUPS
        }
        self._grippers = {name: _Series(1, max_gap_s, keep_s) for name in embodiment.GRIPPERS}
        self._base = _Series(3, max_gap_s, keep_s, angle=2)

    def add_joints(self, group: str, stamp_s: float, positions: np.ndarray) -> bool:
        """Takes measured positions; False if they are refused.

        Args:
            group: joint group or gripper of the embodiment.
            stamp_s: of the measurement.
            positions: (n,) [rad]; of a gripper (1,), 0 open to 1 closed.

        Refused are numbers that are not finite and stamps that are not newer than the last one.
        A few in a row that are far older mean that the clock was set back: the memory begins anew.

        Raises:
            ConfigError: unknown group, or a wrong number of joints.
        """
        known = self._joints | self._grippers
        if group not in known:
            raise ConfigError(f"unknown joint group '{group}'", remedy=did_you_mean(group, known))
        return self._add(group, known[group], stamp_s, positions)

    def add_base(self, stamp_s: float, pose: np.ndarray) -> bool:
        """Takes a pose (3,) x, y [m], yaw [rad] in odom; see `add_joints`."""
        return self._add("base", self._base, stamp_s, pose)

    def at(self, stamp_s: float) -> Posture | NoPosture:
        """The robot at a moment, or why that is not known.

        Base and grippers are a bonus: where they do not reach the moment, `base_pose` is None and
        the grippers are not among the joints; `is_due` says whether waiting would help.
        """
        joints = {}
        for name, series in self._joints.items():
            value = series.at(stamp_s)
            if isinstance(value, NoPosture):
                return NoPosture(f"{name}: {value.reason}", value.may_come)
            joints[name] = value
        for name, series in self._grippers.items():
            if not isinstance(value := series.at(stamp_s), NoPosture):
                joints[name] = value
        base = self._base.at(stamp_s)
        return Posture(stamp_s, joints, None if isinstance(base, NoPosture) else base)

    def is_due(self, stamp_s: float) -> bool:
        """Whether samples are still to be expected that would make `at` tell more."""
        every = (*self._joints.values(), *self._grippers.values(), self._base)
        answers = [series.at(stamp_s) for series in every]
        return any(isinstance(answer, NoPosture) and answer.may_come for answer in answers)

    def _add(self, name: str, series: _Series, stamp_s: float, value: np.ndarray) -> bool:
        value = np.array(value, dtype=float)
        if value.shape != (series.count,):
            raise ConfigError(f"{name} has {series.count} positions, got {value.size}")
        taken = series.add(float(stamp_s), value)
        self.refused += not taken
        return taken


class _Series:
    """Samples of one thing in the order of their stamps."""

    def __init__(
        self, count: int, max_gap_s: float, keep_s: float, angle: int | None = None
    ) -> None:
        self.count = count
        self._max_gap_s, self._keep_s, self._angle = max_gap_s, keep_s, angle
        self._stamps: list[float] = []
        self._values: list[np.ndarray] = []
        self._refused_in_a_row = 0

    def add(self, stamp_s: float, value: np.ndarray) -> bool:
        if not (math.isfinite(stamp_s) and np.all(np.isfinite(value))):
            return False
        if self._stamps and stamp_s <= self._stamps[-1]:
            self._refused_in_a_row += 1
            is_far_back = stamp_s < self._stamps[-1] - self._max_gap_s
            if not is_far_back or self._refused_in_a_row <= _PATIENCE:
                return False
            self._stamps.clear()
            self._values.clear()
        self._refused_in_a_row = 0
        self._stamps.append(stamp_s)
        self._values.append(value)
        # Trimmed only now and then: it moves all that stays.
        if self._stamps[0] < stamp_s - 2.0 * self._keep_s:
            old = bisect.bisect_left(self._stamps, stamp_s - self._keep_s)
            del self._stamps[:old], self._values[:old]
        return True

    def at(self, stamp_s: float) -> np.ndarray | NoPosture:
        stamps = self._stamps
        after = bisect.bisect_left(stamps, stamp_s)
        if after < len(stamps) and stamps[after] == stamp_s:
            return self._values[after]
        if after == 0:
            reason = f"{stamps[0] - stamp_s:.3f} s before what is known" if stamps else "missing"
            return NoPosture(reason, may_come=False)
        if after == len(stamps):
            late_s = stamp_s - stamps[-1]
            return NoPosture(f"ended {late_s:.3f} s earlier", late_s <= self._max_gap_s)
        gap_s = stamps[after] - stamps[after - 1]
        if gap_s > self._max_gap_s:
            return NoPosture(f"a gap of {gap_s:.3f} s", may_come=False)
        share = (stamp_s - stamps[after - 1]) / gap_s
        return self._between(self._values[after - 1], self._values[after], share)

    def _between(self, first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
        way = second - first
        if self._angle is not None:
            way[self._angle] = math.remainder(way[self._angle], 2.0 * math.pi)
        return np.asarray(first + share * way)
