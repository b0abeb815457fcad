"""Tells good frames from those that a broken camera or clock gives; no device, no clock."""

from __future__ import annotations

from collections import deque

import numpy as np

from brs_hardware.cameras.config import CameraConfig
from brs_hardware.cameras.frame import CameraFrame, CameraHealth
from brs_hardware.errors import DeviceError

_FUTURE_S = 0.1  # a frame from later than that is of another clock
_PATIENCE = 3  # refused stamps in a row that are a jump of the clock, and not a stray frame
_RATE_WINDOW = 30  # frames


class FrameWatch:
    """Judges the frames of one camera in the order in which they come.

    Args:
        name: of the camera, for messages.
        config: what its frames shall look like.
        noisy: its pixels never repeat exactly, so that equal pictures are one frozen picture.
    """

    def __init__(self, name: str, config: CameraConfig, noisy: bool = True) -> None:
        self._name, self._config, self._noisy = name, config, noisy
        self._last: CameraFrame | None = None
        self._stamps: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._received = self._frozen = self._dropped = self._refused_in_a_row = 0
        self._good_s: float | None = None  # arrival of the newest good frame, or of the opening
        self.problem = ""

    def opened(self, now_s: float) -> None:
        """A device was (re)opened: it counts anew, and its first frame may take a while."""
        self._last, self._good_s, self._refused_in_a_row = None, now_s, 0
        self._stamps.clear()

    def admit(self, frame: CameraFrame | None, now_s: float) -> CameraFrame | None:
        """The frame if it is good; None if it is none, repeats the last, or has a stray stamp.

        Raises:
            DeviceError: wrong size, a clock that is ahead, or nothing good for too long.
        """
        problem = self._fault(frame, now_s) if frame is not None else "is silent"
        if frame is None or problem:
            self._complain(problem, now_s)
            return None
        if self._last is not None:
            self._dropped += max(frame.number - self._last.number - 1, 0)
        self._last, self._good_s, self._refused_in_a_row = frame, now_s, 0
        self._received += 1
        self._stamps.append(frame.stamp_s)
        self.problem = "" if np.isfinite(frame.depth).any() else "has no depth reading at all"
        return frame

    def health(self, now_s: float) -> CameraHealth:
        """Figures as of now."""
        last, stamps = self._last, self._stamps
        span_s = stamps[-1] - stamps[0] if len(stamps) > 1 else 0.0
        age_s = now_s - stamps[-1] if stamps else float("inf")
        # A camera that fell silent has no rate any more.
        alive = span_s > 0.0 and age_s < self._config.silent_after_s
        return CameraHealth(
            rate_hz=(len(stamps) - 1) / span_s if alive else 0.0,
            age_s=age_s,
            received=self._received,
            frozen=self._frozen,
            dropped=self._dropped,
            blind=last is not None and not np.isfinite(last.depth).any(),
            problem=self.problem,
        )

    def _fault(self, frame: CameraFrame, now_s: float) -> str:
        size = (self._config.height, self._config.width)
        if frame.color.shape != (*size, 3) or frame.depth.shape != size:
            raise DeviceError(
                f"gives {frame.color.shape[1]}x{frame.color.shape[0]} colour and "
                f"{frame.depth.shape[1]}x{frame.depth.shape[0]} depth, not {size[1]}x{size[0]}",
                where=self._name,
                remedy="correct its width and height in config/cameras",
            )
        if self._repeats(frame):
            self._frozen += 1
            return "is frozen: it repeats one picture"
        if frame.stamp_s - now_s > _FUTURE_S:
            return self._refuse(f"stamps {frame.stamp_s - now_s:.2f} s ahead of the host's clock")
        if self._last is not None and frame.stamp_s <= self._last.stamp_s:
            if self._refused_in_a_row < _PATIENCE:
                return self._refuse("stamps run backwards")
            # The clock was set back; what it says now is the time.
            self._stamps.clear()
        return ""

    def _refuse(self, problem: str) -> str:
        self._dropped += 1
        self._refused_in_a_row += 1
        return problem

    def _repeats(self, frame: CameraFrame) -> bool:
        last = self._last
        if last is None:
            return False
        if frame.number == last.number:
            return True
        return (
            self._noisy
            and np.array_equal(frame.color, last.color)
            and np.array_equal(frame.depth, last.depth, equal_nan=True)
        )

    def _complain(self, problem: str, now_s: float) -> None:
        """Bear a fault for a while, then have the device reopened."""
        if self._good_s is None or now_s < self._good_s:
            self._good_s = now_s  # the host's clock was set back
        if now_s - self._good_s <= self._config.silent_after_s:
            return
        self.problem = problem
        raise DeviceError(
            f"{problem} for {now_s - self._good_s:.1f} s",
            where=self._name,
            remedy="check its cable and power, and that the host's clock is set",
        )
