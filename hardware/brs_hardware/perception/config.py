"""How clouds are made; read from config/perception/*.yaml."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from brs_hardware import config

SAMPLINGS = ("farthest", "random", "none")


@dataclass(frozen=True)
class CropBox:
    """What a cloud is about: lower <= point < upper."""

    lower: np.ndarray  # (3,) x, y, z [m] in base_link
    upper: np.ndarray  # (3,) [m]

    def __post_init__(self) -> None:
        if self.lower.shape != (3,) or self.upper.shape != (3,):
            raise ValueError("'lower' and 'upper' need x, y, z")
        if not np.all(np.isfinite([self.lower, self.upper])) or np.any(self.lower >= self.upper):
            raise ValueError("'lower' must be below 'upper' along x, y and z")


@dataclass(frozen=True)
class CloudConfig:
    """One way of making clouds."""

    crop: CropBox
    voxel_m: float = 0.015  # points within a cube of this edge become one, in their middle
    points: int = 4096  # at most so many
    sampling: str = "farthest"  # or random; none leaves all
    min_neighbours: int = 2  # a point with fewer of the 26 cubes around it filled is an outlier
    # A pixel is joined to the next one if their depths differ by no more than this share of the
    # depth, or if both lie on one plane that is seen at no flatter angle than `min_grazing_rad`.
    # One that is joined to neither side of its row, or of its column, hangs between two things.
    edge_step: float = 0.01
    min_grazing_rad: float = 0.2
    self_filter_padding_m: float | None = 0.01  # around the robot's shapes; none: it is left in
    max_joint_gap_s: float = 0.1  # between two samples that are interpolated
    max_skew_s: float = 0.1  # a frame that is older than the newest by more is left out
    max_age_s: float = 0.5  # so is one that is older than this when its cloud is made
    # For frames and joints that are missing, from the first frame on. Cameras that are not
    # triggered together need one frame period to be all in one cloud.
    wait_s: float = 0.04
    hold_s: float = 0.0  # how long points stay that are not in view any more; 0: not at all

    def __post_init__(self) -> None:
        positive = ("voxel_m", "points", "edge_step", "max_joint_gap_s", "max_skew_s", "max_age_s")
        for name in positive:
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"'{name}' must be positive")
        for name in ("wait_s", "hold_s", "self_filter_padding_m"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < math.inf:
                raise ValueError(f"'{name}' must not be negative")
        if self.sampling not in SAMPLINGS:
            raise ValueError(f"'sampling' is '{self.sampling}', none of {', '.join(SAMPLINGS)}")
        if not 0 <= self.min_neighbours <= 26:
            raise ValueError("'min_neighbours' must lie within 0 and 26")
        if not 0.0 < self.min_grazing_rad < math.pi / 2:
            raise ValueError("'min_grazing_rad' must lie within 0 and a right angle")


def load_cloud(name: str = "default") -> CloudConfig:
    """The configuration `name` (a file in config/perception, or a path to a YAML file).

    Raises:
        ConfigError: no such file, malformed YAML, unknown keys, impossible values.
    """
    return config.load_named(CloudConfig, "perception", name, "cloud")
