"""Settings of the monitor; the defaults are AnyAnomaly's, config/anomaly/*.yaml holds others."""

from __future__ import annotations

import math
from dataclasses import dataclass

PARTS = ("key_frame", "position", "temporal")
KEY_FRAME_RULES = ("clip_then_group", "group_then_clip", "top", "random")
GRID_RULES = ("whole", "cells")
PROMPTS = ("simple", "consideration", "reasoning", "both")
FRAME_PX = 240  # frames are windowed at this width and height
CELL_PX = 112  # of a grid picture, which has two by two
PICTURE_PX = 2 * CELL_PX  # of what the judge sees of contexts


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"'{name}': '{value}' is none of {', '.join(known)}")


@dataclass(frozen=True)
class SegmentConfig:
    """How a segment becomes scores."""

    frames: int = 24  # N, a multiple of four
    key_frames: str = "clip_then_group"
    windows_px: tuple[int, ...] = (48, 80, 120)  # of a frame scaled to 240 x 240
    half_steps: bool = False  # windows overlap by half
    # Position context: weigh the keyword against all others by softmax, as AnyAnomaly does.
    against_others: bool = True
    grid: str = "whole"  # grids are chosen as pictures; cells: by the best of their four windows
    prompt: str = "both"
    weights: tuple[float, float, float] = (0.6, 0.3, 0.1)  # key frame, position, temporal
    seed: int = 0  # of the rule `random`

    def __post_init__(self) -> None:
        _one_of("key_frames", self.key_frames, KEY_FRAME_RULES)
        _one_of("grid", self.grid, GRID_RULES)
        _one_of("prompt", self.prompt, PROMPTS)
        if self.frames < 4 or self.frames % 4:
            raise ValueError("'frames' must be a multiple of four")
        if not self.windows_px or any(not 1 <= size <= FRAME_PX for size in self.windows_px):
            raise ValueError(f"'windows_px' must lie within 1 and {FRAME_PX}")
        if len(self.weights) != len(PARTS) or not all(0.0 <= w <= 1.0 for w in self.weights):
            raise ValueError("'weights' must be three numbers within 0 and 1")
        if abs(sum(self.weights) - 1.0) > 1e-6:
            raise ValueError("'weights' must add up to 1")


@dataclass(frozen=True)
class CalibrationConfig:
    """What is asked of normal footage, and what is made of it."""

    # Share of normal segments that are kept from the judge; 0: it sees all.
    gate_quantile: float = 0.5
    margin: float = 0.1  # between the highest normal score and the threshold
    held_out: float = 0.3  # share at the end of each video on which alarms are counted
    least_segments: int = 100  # to calibrate on; four minutes of 24 frames at 10 Hz
    most_unknown: float = 0.1  # share of segments that may have a problem
    least_level: float = 12.0  # of 255, mean brightness; less is dark

    def __post_init__(self) -> None:
        shares = (self.gate_quantile, self.margin, self.most_unknown)
        if not all(0.0 <= share <= 1.0 for share in shares) or not 0.0 < self.held_out < 1.0:
            raise ValueError("shares and 'margin' must lie within 0 and 1")
        if self.least_segments < 1 or self.least_level < 0.0:
            raise ValueError("'least_segments' must be positive, 'least_level' from 0 on")


@dataclass(frozen=True)
class MonitorConfig:
    """A monitor."""

    segment: SegmentConfig = SegmentConfig()
    smoothing_frames: float = 15.0  # sigma of the Gaussian over time; 0: none
    most_texts: int = 100
    most_letters: int = 200  # of a text
    # Texts that a segment may ask the judge about: those whose pictures fit best. 0: all.
    judged_texts: int = 4
    calibration: CalibrationConfig = CalibrationConfig()
    largest_px: int = 8192  # width or height of a frame
    least_spread: float = 2.0  # standard deviation of a frame's colours; less is nothing
    longest_gap_s: float = 1.0  # between frames of a segment

    def __post_init__(self) -> None:
        if not 0.0 <= self.smoothing_frames < math.inf:
            raise ValueError("'smoothing_frames' must not be negative")
        if min(self.most_texts, self.most_letters, self.largest_px) < 1 or self.judged_texts < 0:
            raise ValueError("numbers of texts, letters and pixels must be positive")
        if self.longest_gap_s <= 0.0:
            raise ValueError("'longest_gap_s' must be positive")
        if self.least_spread < 0.0:
            raise ValueError("'least_spread' must not be negative")
