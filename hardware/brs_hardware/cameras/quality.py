"""Tells whether the pictures of a camera are fit to be used; no device, no clock.

FrameWatch refuses frames that must not be used at all, such as frozen ones. Here a camera is
judged by frames that pass: a person should look at it, while its frames still go on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from brs_hardware.cameras.frame import CameraFrame, Intrinsics

_GRID = 60  # rows and columns of pixels that are looked at, or nearly twice as many
_LINES = 30  # rows and columns along which edges are, likewise
_ROWS, _COLUMNS = 6, 8  # of parts of a picture
_COARSE = 4  # [px], the edges of a blurred picture are as high as a sharp one's over so many
_LEAST_SIDE = 64  # [px], smaller pictures are not judged by what they show
_DARKEST = 10.0  # grey level added to brightness, so that ratios of near nothing are near one


@dataclass(frozen=True)
class QualityConfig:
    """When a picture is not as it should be. Shares are of pixels, 0..1; brightness is 0..255."""

    black_below: int = 10
    black_share: float = 0.8  # more black pixels than that: a covered lens, or no light
    white_above: int = 250
    white_share: float = 0.5  # more white pixels than that: overexposed
    # Most parts of the picture brighter or darker by this factor in one step: a move of the camera
    # changes some parts up and some down.
    jump_ratio: float = 1.35
    jump_gap_s: float = 0.3  # frames further apart are not one step
    jump_told_s: float = 3.0
    missing_share: float = 0.25  # more pixels without depth than normally by this (and ...
    missing_deviations: float = 5.0  # ... by so many mean deviations of the normal)
    hole_share: float = 0.1  # holes between pixels with depth, more than normally by this
    # Edges over 1 px against those over 4 px: 0.25 of a sharp picture, more where there is noise.
    least_sharpness: float = 0.02  # below this it is blurred,
    sharpness_ratio: float = 0.3  # and also below this part of the normal
    least_contrast: float = 20.0  # variance [grey levels^2] over 4 px, with less there is no edge
    least_step_s: float = 0.05  # between two frames that are judged: faster cameras cost no more
    lasting_s: float = 2.0  # what moves or passes by is not told
    learning_s: float = 5.0  # of good frames make the first normal
    memory_s: float = 60.0  # and it follows the good frames this slowly
    # Of the pinhole.
    least_view_rad: float = 0.35  # 20 degrees, across the picture
    greatest_view_rad: float = 2.6  # 150 degrees
    centre_off: float = 0.15  # of the principal point from the middle, of width or height
    pixel_aspect: float = 1.1  # fx against fy or fy against fx

    def __post_init__(self) -> None:
        for name in ("black_share", "white_share", "missing_share", "hole_share", "centre_off"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"'{name}' must lie within 0 and 1")
        for name in ("jump_ratio", "pixel_aspect"):
            if not getattr(self, name) > 1.0:
                raise ValueError(f"'{name}' must be above 1")
        for name in ("lasting_s", "learning_s", "memory_s", "jump_gap_s", "jump_told_s"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"'{name}' must be positive")


class FrameQuality:
    """Judges the frames of one camera in the order in which they come.

    One thread looks; another may ask for `problems`.
    """

    def __init__(self, config: QualityConfig | None = None) -> None:
        self.config = config or QualityConfig()
        self._first: Intrinsics | None = None
        self._stamp_s = -math.inf
        self._brightness: np.ndarray | None = None  # of the parts of the last picture
        self._jump, self._jumped_s = "", -math.inf
        self._missing, self._holes, self._sharpness = (_Normal(self.config) for _ in range(3))
        self._lasting = _Lasting(self.config.lasting_s)
        self._problems: dict[str, str] = {}

    def look(self, frame: CameraFrame) -> None:
        """Judge a frame; its stamp is the time. One that follows too soon is passed over."""
        elapsed_s = frame.stamp_s - self._stamp_s
        if 0.0 <= elapsed_s < self.config.least_step_s:
            return
        grey = frame.color[:, :, 1]  # green has most of the light
        found = {"intrinsics": self._pinhole(frame)}
        if min(grey.shape) >= _LEAST_SIDE:
            step_s = elapsed_s if 0.0 < elapsed_s < 1.0 else 0.0
            found["exposure"] = self._exposure(grey, frame.stamp_s, elapsed_s)
            found["depth"] = self._depth(frame.depth, frame.stamp_s, step_s)
            found["blur"] = self._blur(grey, frame.stamp_s, step_s)
        self._stamp_s = frame.stamp_s
        self._problems = {rule: line for rule, line in found.items() if line}

    def problems(self) -> dict[str, str]:
        """What is wrong as of the last frame: `exposure`, `depth`, `blur` or `intrinsics` -> one
        line with figures.
        """
        return dict(self._problems)

    def _exposure(self, grey: np.ndarray, now_s: float, elapsed_s: float) -> str:
        config, some = self.config, _thinned(grey)
        black, white = (some < config.black_below).mean(), (some > config.white_above).mean()
        rows, columns = some.shape[0] // _ROWS, some.shape[1] // _COLUMNS  # of one part
        whole = some[: rows * _ROWS, : columns * _COLUMNS]
        parts = whole.reshape(_ROWS, rows, _COLUMNS, columns).mean(axis=(1, 3))
        last, self._brightness = self._brightness, parts
        if last is not None and 0.0 < elapsed_s <= config.jump_gap_s:
            ratio = float(np.median((parts + _DARKEST) / (last + _DARKEST)))
            if not 1.0 / config.jump_ratio < ratio < config.jump_ratio:
                self._jumped_s = now_s
                self._jump = f"brightness jumped from {last.mean():.0f} to {parts.mean():.0f}"
        if self._lasting.holds("black", black > config.black_share, now_s):
            return f"is dark: {black:.0%} of its pixels are black"
        if self._lasting.holds("white", white > config.white_share, now_s):
            return f"is overexposed: {white:.0%} of its pixels are white"
        return self._jump if 0.0 <= now_s - self._jumped_s < config.jump_told_s else ""

    def _depth(self, depth: np.ndarray, now_s: float, step_s: float) -> str:
        config = self.config
        known = np.isfinite(_thinned(depth))
        across = known[1:-1, :-2] & known[1:-1, 2:]
        along = known[:-2, 1:-1] & known[2:, 1:-1]
        inner = known[1:-1, 1:-1]
        holes = int(np.count_nonzero(~inner & (across | along)))
        hole_share = holes / max(holes + int(np.count_nonzero(inner)), 1)
        missing = 1.0 - float(known.mean())
        normal = self._holes
        usual = normal.mean if normal.is_known else 0.0
        bad = hole_share > usual + config.hole_share
        normal.learn(hole_share, 0.0 if bad else step_s)
        if self._lasting.holds("holes", bad, now_s):
            return f"{hole_share:.0%} of its depth is holes, normally {usual:.0%}"
        normal = self._missing
        allowed = max(config.missing_share, config.missing_deviations * normal.deviation)
        bad = normal.is_known and missing > normal.mean + allowed
        normal.learn(missing, 0.0 if bad else step_s)
        if self._lasting.holds("missing", bad, now_s):
            return f"{missing:.0%} of its pixels have no depth, normally {normal.mean:.0%}"
        return ""

    def _blur(self, grey: np.ndarray, now_s: float, step_s: float) -> str:
        """The variance of second differences over one pixel, against that over a few.

        Alone the former tells more of what is in view than of how sharply it is drawn.
        """
        config, normal = self.config, self._sharpness
        lines = [part[:: max(len(part) // _LINES, 1)].astype(np.int16) for part in (grey, grey.T)]
        fine, coarse = (sum(_edges(part, step) for part in lines) / 2 for step in (1, _COARSE))
        if coarse < config.least_contrast:
            self._lasting.holds("blur", False, now_s)
            return ""
        sharpness = float(fine / coarse)
        least = config.least_sharpness
        if normal.is_known:
            least = max(least, config.sharpness_ratio * normal.mean)
        bad = sharpness < least
        normal.learn(sharpness, 0.0 if bad else step_s)
        if self._lasting.holds("blur", bad, now_s):
            usual = f", normally {normal.mean:.3f}" if normal.is_known else ""
            return f"is blurred: sharpness {sharpness:.3f}{usual}"
        return ""

    def _pinhole(self, frame: CameraFrame) -> str:
        config, pinhole = self.config, frame.intrinsics
        height, width = frame.color.shape[:2]
        numbers = (pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy)
        if self._first is None:
            self._first = pinhole
        if (pinhole.width, pinhole.height) != (width, height):
            return f"intrinsics are of {pinhole.width}x{pinhole.height}, not {width}x{height}"
        if not all(map(math.isfinite, numbers)) or min(pinhole.fx, pinhole.fy) <= 0.0:
            return f"intrinsics are no pinhole: fx, fy, cx, cy are {_written(pinhole)}"
        if not config.least_view_rad < _view_rad(pinhole) < config.greatest_view_rad:
            degrees = math.degrees(_view_rad(pinhole))
            return f"a focal length of {pinhole.fx:.0f} px would see {degrees:.0f} degrees"
        aspect = max(pinhole.fx / pinhole.fy, pinhole.fy / pinhole.fx)
        if aspect > config.pixel_aspect:
            return (
                f"focal lengths {pinhole.fx:.0f} and {pinhole.fy:.0f} px are of no square pixels"
            )
        off = (pinhole.cx / (width - 1) - 0.5, pinhole.cy / (height - 1) - 0.5)
        if max(map(abs, off)) > config.centre_off:
            return f"principal point {pinhole.cx:.0f}, {pinhole.cy:.0f} px is far from the middle"
        if pinhole != self._first:
            return f"intrinsics changed from {_written(self._first)} to {_written(pinhole)}"
        return ""


class _Lasting:
    """Since when each rule has been broken without a pause."""

    def __init__(self, needed_s: float) -> None:
        self._needed_s = needed_s
        self._since_s: dict[str, float] = {}

    def holds(self, rule: str, bad: bool, now_s: float) -> bool:
        """Whether it has been for long enough."""
        if not bad:
            self._since_s.pop(rule, None)
            return False
        since_s = min(self._since_s.setdefault(rule, now_s), now_s)  # clocks may be set back
        self._since_s[rule] = since_s
        return now_s - since_s >= self._needed_s


class _Normal:
    """A slow mean of good values, and how far they lie from it on average."""

    def __init__(self, config: QualityConfig) -> None:
        self._config = config
        self._learned_s = 0.0
        self.mean = self.deviation = 0.0

    @property
    def is_known(self) -> bool:
        """Whether enough was seen."""
        return self._learned_s >= self._config.learning_s

    def learn(self, value: float, step_s: float) -> None:
        """A value that stood for `step_s`; nothing is learned from 0 s."""
        if step_s <= 0.0:
            return
        self._learned_s = min(self._learned_s + step_s, self._config.memory_s)
        weight = step_s / self._learned_s
        self.deviation += weight * (abs(value - self.mean) - self.deviation)
        self.mean += weight * (value - self.mean)


def _thinned(picture: np.ndarray) -> np.ndarray:
    """Every so many pixels of a picture (height, width), as many along both sides."""
    stride = max(min(picture.shape) // _GRID, 1)
    return picture[::stride, ::stride]


def _edges(lines: np.ndarray, step: int) -> float:
    """Variance of second differences along lines (n, length) int16 of a picture."""
    return float(np.var(lines[:, : -2 * step] - 2 * lines[:, step:-step] + lines[:, 2 * step :]))


def _view_rad(pinhole: Intrinsics) -> float:
    """Angle across the picture [rad]."""
    return 2.0 * math.atan(pinhole.width / 2.0 / pinhole.fx)


def _written(pinhole: Intrinsics) -> str:
    return f"{pinhole.fx:.1f}, {pinhole.fy:.1f}, {pinhole.cx:.1f}, {pinhole.cy:.1f}"
