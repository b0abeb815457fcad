"""How episodes become a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# In place of a topic: of each who drove the topic of his commands.
ASKED = "asked"
# What may differ between the episodes of one data set, if asked for.
DIFFERENCES = ("calibration", "rates")
# Clouds made of the pictures, those that were recorded, or those where all episodes have them.
CLOUD_SOURCES = ("fused", "recorded", "auto")


@dataclass(frozen=True)
class AlignConfig:
    """Which streams are read, and how they are brought to the policy's rate."""

    rate_hz: float = 10.0
    state_topic: str = "robot/state"
    # ASKED: what who drove asked for, which safety will shape again as it did. What the robot node
    # sent after that (robot/command) it would shape twice, and lag behind.
    command_topic: str = ASKED
    cameras: tuple[str, ...] = ("head", "left_wrist", "right_wrist")
    cloud_topic: str = "perception/cloud"  # of recorded clouds
    max_state_gap_s: float = 0.1  # between two samples that are interpolated
    max_command_age_s: float = 0.1  # of the command in force
    max_image_age_s: float = 0.2  # of a picture at its tick
    max_cloud_age_s: float = 0.2  # of a recorded cloud at its tick
    # Moment within the step, 0 to 1, whose command in force is the action of joints and grippers.
    # 0, a point of the commanded path, suits a policy whose actions are interpolated.
    joint_action_phase: float = 0.0
    max_lateness_s: float = 0.5  # between capture and the recorder's clock

    def __post_init__(self) -> None:
        names = ("rate_hz", "max_state_gap_s", "max_command_age_s", "max_image_age_s")
        for name in (*names, "max_cloud_age_s", "max_lateness_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"'{name}' must be positive")
        if not 0.0 <= self.joint_action_phase <= 1.0:
            raise ValueError("'joint_action_phase' must lie within 0 and 1")


@dataclass(frozen=True)
class BuildConfig:
    """A data set's settings; they are stored in it."""

    align: AlignConfig = AlignConfig()
    images: bool = True  # keep pictures of the cameras
    jpeg_quality: int = 90
    cloud_lower: tuple[float, ...] = ()  # box of the clouds [m]; empty: no clouds
    cloud_upper: tuple[float, ...] = ()
    cloud_points: int = 4096
    cloud_level: int = 1  # of zstd
    cloud_source: str = "auto"  # of CLOUD_SOURCES
    # How clouds are made, in the words of who makes them; kept with the data set.
    cloud_recipe: Mapping[str, Any] = field(default_factory=dict)
    validation_share: float = 0.1  # of the episodes
    split_seed: int = 0
    failures: bool = False  # take episodes that are judged to have failed
    differences: tuple[str, ...] = ()  # of DIFFERENCES, that are no error

    def __post_init__(self) -> None:
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError("'jpeg_quality' must lie within 1 and 100")
        if not 0.0 <= self.validation_share < 1.0:
            raise ValueError("'validation_share' must lie within 0 and 1")
        if self.cloud_source not in CLOUD_SOURCES:
            raise ValueError(f"'cloud_source' is none of {', '.join(CLOUD_SOURCES)}")
        if unknown := set(self.differences) - set(DIFFERENCES):
            raise ValueError(f"no such difference: {', '.join(sorted(unknown))}")

    @property
    def clouds(self) -> bool:
        """Whether there are clouds."""
        return bool(self.cloud_lower)

    @property
    def fuses(self) -> bool:
        """Whether clouds are made of the pictures; of `auto` that may still be said."""
        return self.clouds and self.cloud_source != "recorded"

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras whose pictures are needed."""
        return self.align.cameras if self.images or self.fuses else ()
