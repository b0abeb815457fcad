"""Where frames were relative to each other over time: a small buffer of transforms.

A transform (4, 4) of `child` in `parent` is its pose there, and takes points from child to parent.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware.config import did_you_mean
from brs_hardware.errors import BrsError

_ROTATION_TOLERANCE = 1e-3


class TransformError(BrsError):
    """A transform is malformed, or not known between these frames at this time."""


@dataclass
class _Link:
    """What is known of a frame in its parent."""

    parent: str
    static: bool
    stamps_s: list[float] = field(default_factory=list)  # rising; none of a static link
    poses: list[np.ndarray] = field(default_factory=list)  # (4, 4) each


class TransformBuffer:
    """Keeps what was measured and answers for the time between.

    Args:
        window_s: samples older than the newest of their link by more are forgotten [s].
        max_gap_s: between two samples farther apart nothing is made up [s].
        hold_s: how far beyond the newest sample of a link that one stands for what is not
            measured yet [s].
    """

    def __init__(
        self, window_s: float = 10.0, max_gap_s: float = 0.5, hold_s: float = 0.0
    ) -> None:
        self.window_s, self.max_gap_s, self.hold_s = window_s, max_gap_s, hold_s
        self._links: dict[str, _Link] = {}  # by child
        self._roots: set[str] = set()  # frames that are nobody's child

    # -- in ----------------------------------------------------------------------------------

    def set_static(self, parent: str, child: str, transform: np.ndarray) -> None:
        """A transform (4, 4) that holds at all times, replacing an earlier one.

        Raises:
            TransformError: like `add`.
        """
        pose = _checked(parent, child, transform)
        self._link(parent, child, static=True).poses = [pose]

    def add(self, parent: str, child: str, stamp_s: float, transform: np.ndarray) -> None:
        """One measurement; samples may come in any order, the last of one stamp counts.

        Args:
            parent: frame in which `child` is given.
            child: frame that has no other parent.
            stamp_s: of the measurement [s].
            transform: (4, 4), see `to_matrix` for a position and a quaternion.

        Raises:
            TransformError: the stamp or a number is not finite, the rotation is none, `child` has
                another parent or is static, or the frames would make a loop.
        """
        if not math.isfinite(stamp_s):
            raise TransformError("the stamp is not a number", where=f"{parent} -> {child}")
        pose = _checked(parent, child, transform)
        link = self._link(parent, child, static=False)
        place = bisect.bisect_left(link.stamps_s, stamp_s)
        if place < len(link.stamps_s) and link.stamps_s[place] == stamp_s:
            link.poses[place] = pose
            return
        link.stamps_s.insert(place, stamp_s)
        link.poses.insert(place, pose)
        expired = bisect.bisect_left(link.stamps_s, link.stamps_s[-1] - self.window_s)
        del link.stamps_s[:expired], link.poses[:expired]

    def clear(self) -> None:
        """Forget all that was measured, as when the clock was set back; static links stay."""
        kept = {child: link for child, link in self._links.items() if link.static}
        self._links, self._roots = kept, {link.parent for link in kept.values()} - set(kept)

    # -- out ---------------------------------------------------------------------------------

    @property
    def frames(self) -> dict[str, str]:
        """Frame -> its parent; "" for the root of a tree."""
        links = {child: link.parent for child, link in self._links.items()}
        return dict.fromkeys(self._roots, "") | links

    def lookup(self, target: str, source: str, stamp_s: float | None = None) -> np.ndarray:
        """Pose (4, 4) of `source` in `target`, interpolated on the way between the frames.

        Args:
            target: frame in which the answer is given.
            source: frame that is asked for.
            stamp_s: when [s]; None takes the newest time that all links between them know.

        Raises:
            TransformError: an unknown frame, frames of different trees, or a link that does not
                know this time; names the link and how far off it is.
        """
        up, down = self._between(target, source)
        if stamp_s is None:
            stamp_s = self._newest(up + down)
        into_target = np.eye(4)
        for child in up:
            into_target = self._pose(child, stamp_s) @ into_target
        of_source = np.eye(4)
        for child in down:
            of_source = self._pose(child, stamp_s) @ of_source
        return invert(into_target) @ of_source

    def newest_s(self, target: str, source: str) -> float:
        """Newest time [s] that `lookup` can answer without holding; inf where all is static.

        Raises:
            TransformError: like `lookup`.
        """
        up, down = self._between(target, source)
        return self._newest(up + down)

    # -- the tree ----------------------------------------------------------------------------

    def _link(self, parent: str, child: str, *, static: bool) -> _Link:
        """The link to write to, made if it is new."""
        where = f"{parent} -> {child}"
        link = self._links.get(child)
        if link is None:
            if not parent or not child or child in self._above(parent):
                raise TransformError("the frames make a loop or have no name", where=where)
            link = self._links[child] = _Link(parent, static)
            self._roots.discard(child)
            if parent not in self._links:
                self._roots.add(parent)
        if link.parent != parent:
            raise TransformError(
                f"'{child}' has the parent '{link.parent}' already",
                where=where,
                remedy="find out who else publishes it",
            )
        if link.static != static:
            raise TransformError("both static and measured", where=where)
        return link

    def _above(self, frame: str) -> list[str]:
        """The frame and what it hangs on, up to the root."""
        chain = [frame]
        while (link := self._links.get(chain[-1])) is not None:
            chain.append(link.parent)
        return chain

    def _between(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Frames below the nearest common ancestor: on the target's side, on the source's."""
        known = self.frames
        for frame in (target, source):
            if frame not in known:
                raise TransformError(
                    f"no frame '{frame}'",
                    remedy=did_you_mean(frame, known) if known else "wait for transforms",
                )
        above_target, above_source = self._above(target), self._above(source)
        common = next((frame for frame in above_target if frame in above_source), None)
        if common is None:
            raise TransformError(
                f"'{target}' hangs on '{above_target[-1]}' and '{source}' on '{above_source[-1]}'",
                where=f"{target} -> {source}",
                remedy="publish what links these trees",
            )
        return (
            above_target[: above_target.index(common)],
            above_source[: above_source.index(common)],
        )

    def _newest(self, children: list[str]) -> float:
        links = [self._links[child] for child in children]
        return min((link.stamps_s[-1] for link in links if not link.static), default=math.inf)

    def _pose(self, child: str, stamp_s: float) -> np.ndarray:
        """Pose (4, 4) of a frame in its parent at a time."""
        link = self._links[child]
        stamps_s, where = link.stamps_s, f"{link.parent} -> {child}"
        if link.static:
            return link.poses[0]
        after = bisect.bisect_left(stamps_s, stamp_s)
        if after < len(stamps_s) and stamps_s[after] == stamp_s:
            return link.poses[after]
        if after == len(stamps_s):
            late_s = stamp_s - stamps_s[-1]
            if late_s <= self.hold_s:
                return link.poses[-1]
            raise TransformError(f"the newest is {late_s:.3f} s older than asked for", where=where)
        if after == 0:
            early_s = stamps_s[0] - stamp_s
            raise TransformError(
                f"the oldest is {early_s:.3f} s newer than asked for", where=where
            )
        gap_s = stamps_s[after] - stamps_s[after - 1]
        if gap_s > self.max_gap_s:
            raise TransformError(f"nothing came for {gap_s:.3f} s around that time", where=where)
        share = (stamp_s - stamps_s[after - 1]) / gap_s
        return interpolate(link.poses[after - 1], link.poses[after], share)


def to_matrix(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """Transform (4, 4) from a position (3,) [m] and a quaternion (4,) x, y, z, w of any length.

    Raises:
        TransformError: a wrong count, a number that is not finite, or a quaternion of zeros.
    """
    position, quaternion = np.asarray(position, float), np.asarray(quaternion, float)
    if position.shape != (3,) or quaternion.shape != (4,):
        raise TransformError("a transform needs 3 numbers of position and 4 of a quaternion")
    length = float(np.linalg.norm(quaternion))
    if not (np.all(np.isfinite(position)) and math.isfinite(length) and length > 1e-9):
        raise TransformError("a position or quaternion is not a number, or all zero")
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_quat(quaternion / length).as_matrix()
    transform[:3, 3] = position
    return transform


def to_quaternion(transforms: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) x, y, z, w of transforms (..., 4, 4)."""
    quaternions: np.ndarray = Rotation.from_matrix(
        transforms[..., :3, :3].reshape(-1, 3, 3)
    ).as_quat()
    return quaternions.reshape(*transforms.shape[:-2], 4)


def invert(transform: np.ndarray) -> np.ndarray:
    """Inverse of a transform (4, 4)."""
    inverse = np.eye(4)
    inverse[:3, :3] = transform[:3, :3].T
    inverse[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return inverse


def interpolate(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Transform (4, 4) a share 0..1 of the way: straight in position, evenly in rotation."""
    start = Rotation.from_matrix(first[:3, :3])
    turn = (start.inv() * Rotation.from_matrix(second[:3, :3])).as_rotvec()
    between = np.eye(4)
    between[:3, :3] = (start * Rotation.from_rotvec(share * turn)).as_matrix()
    between[:3, 3] = (1.0 - share) * first[:3, 3] + share * second[:3, 3]
    return between


def _checked(parent: str, child: str, transform: np.ndarray) -> np.ndarray:
    """A copy that nobody else changes. Raises TransformError if it is no transform."""
    pose = np.array(transform, dtype=float)
    where = f"{parent} -> {child}"
    if pose.shape != (4, 4) or not np.all(np.isfinite(pose)):
        raise TransformError("not 4 by 4 finite numbers", where=where)
    rotation = pose[:3, :3]
    off = np.abs(rotation.T @ rotation - np.eye(3)).max()
    if off > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0 or np.any(pose[3] != (0, 0, 0, 1)):
        raise TransformError("its rotation is none", where=where)
    return pose
