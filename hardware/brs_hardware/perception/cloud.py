"""What the policy sees: coloured points, and when and by whom they were seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class PointCloud:
    """Coloured points."""

    points: np.ndarray  # (n, 3) float32 [m]
    colors: np.ndarray  # (n, 3) uint8 RGB

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class FusedCloud:
    """One cloud of all cameras, in base_link as it stood at `stamp_s`."""

    cloud: PointCloud
    stamp_s: float  # of the newest frame in it [s]
    oldest_s: float  # of the oldest frame in it [s]
    cameras: tuple[str, ...]  # whose frames are in it
    left_out: Mapping[str, str] = field(default_factory=dict)  # camera -> why it is not in it
    dropped: int = 0  # frames so far that got into no cloud
    held: int = 0  # points, at the end of the cloud, that were seen earlier and are not in view
