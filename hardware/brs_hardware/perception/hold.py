"""Remembers for a while what cameras have turned away from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brs_hardware.camera_calibration.board import project
from brs_hardware.cameras.frame import CameraFrame
from brs_hardware.odometry.motion import to_matrix
from brs_hardware.perception.cloud import PointCloud
from brs_hardware.transforms import invert

# A reading this far [share of the distance, and m] around a point is that point seen again.
_SAME_SHARE, _SAME_M = 0.01, 0.01


@dataclass(frozen=True)
class Sight:
    """One frame, and from where it was taken."""

    frame: CameraFrame
    pose: np.ndarray  # (4, 4) of the optical frame in the cloud's frame


class PointMemory:
    """Points seen of late, kept where they are in odom. See `CloudConfig.hold_s`.

    Args:
        hold_s: how long [s] a point is remembered after it was seen last.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self.forget()

    def forget(self) -> None:
        """Empties the memory."""
        self._points = np.zeros((0, 3))  # in odom
        self._colors = np.zeros((0, 3), np.uint8)
        self._seen_s = np.zeros(0)

    def recall(
        self, stamp_s: float, base_pose: np.ndarray | None, sights: Sequence[Sight]
    ) -> PointCloud:
        """What is remembered but not in view, in base_link at `stamp_s`.

        Points that one of the frames sees again, or sees through, are forgotten. So is everything
        where the base's pose is unknown, as nobody can tell where it is now.
        """
        if base_pose is None:
            self.forget()
        self._keep((self._seen_s <= stamp_s) & (self._seen_s >= stamp_s - self._hold_s))
        if not len(self._points) or base_pose is None:
            return PointCloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
        points = _moved(invert(to_matrix(base_pose)), self._points)
        unseen = np.ones(len(points), bool)
        for sight in sights:
            unseen &= ~_is_seen(points, sight)
        self._keep(unseen)
        return PointCloud(points[unseen].astype(np.float32), self._colors)

    def remember(
        self, stamp_s: float, base_pose: np.ndarray | None, seen: PointCloud, kept: np.ndarray
    ) -> None:
        """Takes a cloud in view, and which (n,) bool of the recalled points are still of use."""
        self._keep(kept)
        if base_pose is None:
            return
        self._points = np.concatenate([self._points, _moved(to_matrix(base_pose), seen.points)])
        self._colors = np.concatenate([self._colors, seen.colors])
        self._seen_s = np.concatenate([self._seen_s, np.full(len(seen), stamp_s)])

    def _keep(self, which: np.ndarray) -> None:
        self._points, self._colors = self._points[which], self._colors[which]
        self._seen_s = self._seen_s[which]


def _moved(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points @ pose[:3, :3].T + pose[:3, 3])


def _is_seen(points: np.ndarray, sight: Sight) -> np.ndarray:
    """(n,) bool: whether the frame has a reading at a point, or behind it."""
    local = _moved(invert(sight.pose), points)
    seen = np.zeros(len(points), bool)
    ahead = np.flatnonzero(local[:, 2] > 0.0)
    if not ahead.size:
        return seen
    column, row = np.rint(project(local[ahead], sight.frame.intrinsics)).T
    height, width = sight.frame.depth.shape
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    ahead, column, row = ahead[inside], column[inside].astype(int), row[inside].astype(int)
    reading, distance = sight.frame.depth[row, column], local[ahead, 2]
    seen[ahead] = reading >= distance * (1.0 - _SAME_SHARE) - _SAME_M  # NaN is not
    return seen
