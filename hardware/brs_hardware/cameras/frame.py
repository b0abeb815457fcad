"""What a camera gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole of the colour picture; the depth picture is aligned with it."""

    width: int  # [px]
    height: int  # [px]
    fx: float  # [px]
    fy: float  # [px]
    cx: float  # [px], the middle of the first pixel is 0
    cy: float  # [px]
    distortion: tuple[float, ...] = (0.0,) * 5  # k1, k2, p1, p2, k3; zeros once rectified

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) camera matrix."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class CameraFrame:
    """Colour and depth of one camera at one moment, pixel for pixel the same view."""

    stamp_s: float  # when it was taken [s, host clock]
    color: np.ndarray  # (height, width, 3) uint8 RGB
    depth: np.ndarray  # (height, width) float32 [m] along the optical axis, NaN = no reading
    intrinsics: Intrinsics
    number: int  # the device's own count


@dataclass(frozen=True)
class CameraHealth:
    """How one camera has been doing since it was made."""

    rate_hz: float  # good frames a second, of late
    age_s: float  # since the newest good frame was taken; infinite before the first
    received: int  # good frames
    frozen: int  # frames that were the one before again
    dropped: int  # frames lost on the way, or refused for their stamp
    blind: bool  # the newest frame has no depth at all
    problem: str  # what is wrong now in one line; empty if nothing is
