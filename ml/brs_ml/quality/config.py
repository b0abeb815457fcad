"""Limits of `brs dataset check`; config/quality/default.yaml holds them, too."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from brs_ml.quality.findings import RULES, SEVERITIES


@dataclass(frozen=True)
class FileLimits:
    """How much a file may unpack to; against hostile ones."""

    largest_chunk_mb: float = 256.0  # of one chunk, unpacked: it is held in memory
    largest_bag_gb: float = 500.0  # of all chunks
    largest_text_mb: float = 16.0  # of metadata.yaml and episode.json


@dataclass(frozen=True)
class TimeLimits:
    """Streams over time. Topics are named without their namespace."""

    state_topic: str = "robot/state"
    command_topic: str = "robot/command"
    required: tuple[str, ...] = ()  # topics that must be there beside state, command and cameras
    # Topic -> least rate [Hz]. Their intervals are looked at, too.
    least_hz: dict[str, float] = field(
        default_factory=lambda: {"robot/state": 50.0, "robot/command": 50.0}
    )
    least_camera_hz: float = 10.0
    dropped_share: float = 0.01  # of the messages of a topic
    lost: int = 0  # messages of all topics that the recorder says it lost
    jitter: float = 1.0  # 95th percentile of how far intervals are from their mean, in means
    gap_s: float = 0.3  # of the topics in `least_hz`
    camera_gap_s: float = 0.5
    silence_s: float = 1.0  # of all topics
    skew_s: float = 0.06  # 95th percentile of the distance to the nearest sample of the other
    unpaired_share: float = 0.02  # pictures without depth of the same stamp
    future_s: float = 0.005
    late_s: float = 0.3  # 99th percentile
    # Of state, commands and cameras, which data sets are made of; smaller steps are levelled.
    clock_back_s: float = 0.1
    other_back_s: float = 0.5
    clock_jump_s: float = 0.5


@dataclass(frozen=True)
class PictureLimits:
    """Pictures. What is too dark or blurred is said by the judge of the live cameras."""

    frozen_s: float = 0.3  # the same picture for so long, while the camera was moved
    frozen_motion: float = 0.02  # [rad or m] by more than this
    # Parts that move a camera; of others, all do.
    carried_by: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "head": ("base", "torso"),
            "left_wrist": ("base", "torso", "left_arm"),
            "right_wrist": ("base", "torso", "right_arm"),
        }
    )
    bad_share: float = 0.05  # of an episode's pictures that are dark, blurred ...
    least_depth_share: float = 0.3  # of the pixels, mean of the episode


@dataclass(frozen=True)
class MotionLimits:
    """What the robot does."""

    longest_s: float = 7200.0  # longer episodes have a wrong clock
    frozen_s: float = 0.5  # measurements of a part that do not change at all
    frozen_command: float = 0.05  # while it is told to move by this [rad or m/s]
    limit_margin_rad: float = 0.01  # this close to a limit is at it
    at_limit_share: float = 0.3  # of the time
    beyond_limit_rad: float = 0.05
    speed_ratio: float = 1.2  # of the robot's allowed speed
    speed_share: float = 0.01  # of the time that it may be exceeded
    # Log dimensionless jerk, median of the windows in which the part moves. -5.3 is as smooth as
    # can be (minimum jerk from rest to rest), less is jerkier.
    jerk_window_s: float = 2.0
    least_smoothness: float = -13.0
    idle_rad_s: float = 0.03  # slower joints stand still
    idle_base: float = 0.01  # [m/s, rad/s]
    idle_start_s: float = 5.0
    idle_end_s: float = 5.0
    idle_middle_share: float = 0.4
    base_only_share: float = 0.7
    follow_delay_s: float = 0.4  # the best delay up to this is taken
    follow_rad: float = 0.06  # rms of a part, after that delay
    follow_base: float = 0.06  # [m/s, rad/s]
    chatter_swing: float = 0.2  # of the closing fraction
    chatter_window_s: float = 3.0
    chatter_turns: int = 4  # changes of direction within the window
    invalid_share: float = 0.1  # of a data set's steps


@dataclass(frozen=True)
class SetLimits:
    """All episodes together."""

    least_success: float = 0.5  # of those that were judged
    outlier_z: float = 3.5  # robust z-score
    outlier_share: float = 0.15  # and differs from the median by at least this part of it
    outlier_of: int = 5  # episodes of a task that are needed to tell
    rate_factor: float = 1.5
    overlap_s: float = 0.5
    # Focal lengths, principal points and distortion that differ by less are alike.
    calibration_px: float = 0.5
    calibration_distortion: float = 0.001


@dataclass(frozen=True)
class QualityConfig:
    """All limits, and what a broken rule means."""

    files: FileLimits = FileLimits()
    times: TimeLimits = field(default_factory=TimeLimits)
    pictures: PictureLimits = field(default_factory=PictureLimits)
    motion: MotionLimits = MotionLimits()
    set: SetLimits = SetLimits()
    # Rule -> error, warning, note or ignore, where it is not the usual one.
    severity: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule, severity in self.severity.items():
            if rule not in RULES:
                raise ValueError(f"'severity' names no rule '{rule}' of {', '.join(RULES)}")
            if severity not in SEVERITIES:
                raise ValueError(f"severity '{severity}' is none of {', '.join(SEVERITIES)}")
        for part in (self.files, self.times, self.pictures, self.motion, self.set):
            for entry in fields(part):
                value = getattr(part, entry.name)
                least = -math.inf if entry.name == "least_smoothness" else 0.0
                if isinstance(value, int | float) and not least <= value < math.inf:
                    raise ValueError(f"'{entry.name}' must not be negative")
