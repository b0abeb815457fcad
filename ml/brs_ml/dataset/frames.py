"""Pictures of one camera, waiting for the ticks that choose them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from brs_ml.episode.reader import BagMessage


@dataclass(frozen=True)
class Frame:
    """Colour and depth of one camera, and where the robot was when they were taken."""

    camera: str
    stamp_ns: int
    color: np.ndarray  # (h, w, 3) uint8 RGB
    depth: np.ndarray  # (h, w) float32 [m], 0 or NaN where unknown
    matrix: np.ndarray  # (3, 3) camera matrix [px]
    distortion: tuple[float, ...]  # k1, k2, p1, p2, k3
    # At the stamp: torso, left_arm, right_arm -> (n,) [rad]; grippers -> (1,) 0 open .. 1 closed.
    joints: Mapping[str, np.ndarray]
    base_pose: np.ndarray  # (3,) x, y [m], yaw [rad] in odom at the stamp


class CloudMaker(Protocol):
    """Makes one cloud of the frames of a tick."""

    def __call__(self, frames: list[Frame]) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3) float32 points [m] in base_link and (n, 3) uint8 colours, n > 0."""
        ...


@dataclass
class FrameQueue:
    """Undecoded pictures of one camera, in the order of their stamps.

    Args:
        with_depth: a picture counts only together with the depth of the same stamp.
    """

    with_depth: bool
    info: Any = None  # the newest sensor_msgs/CameraInfo
    colors: dict[int, BagMessage] = field(default_factory=dict)  # stamp [ns] -> message
    depths: dict[int, BagMessage] = field(default_factory=dict)

    def newest(self, tick_ns: int, oldest_ns: int) -> int | None:
        """Stamp of the newest picture at or before a tick, unless it is older than allowed.

        Older ones are forgotten: no later tick can choose them.
        """
        stamps = self.colors.keys() & self.depths.keys() if self.with_depth else self.colors.keys()
        chosen = max((stamp for stamp in stamps if oldest_ns <= stamp <= tick_ns), default=None)
        for held in (self.colors, self.depths):
            for stamp in [stamp for stamp in held if stamp < (chosen or oldest_ns)]:
                del held[stamp]
        return chosen
