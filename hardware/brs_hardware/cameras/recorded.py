"""What recordings have in common: playing stamped frames at the pace at which they were taken."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator

import numpy as np

from brs_hardware.cameras.config import CameraConfig
from brs_hardware.cameras.driver import Camera, Clock
from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.errors import DeviceError


class RecordedCamera(Camera):
    """Plays frames. Paced, they carry stamps of now; otherwise those of the recording.

    Args:
        name, config, clock: see Camera.
        wait: sleeps for so many seconds.
    """

    noisy = False  # recordings of a simulator, or of a scene at rest, may repeat

    def __init__(
        self,
        name: str,
        config: CameraConfig,
        clock: Clock,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(name, config, clock)
        self._wait = wait
        self._frames: Iterator[CameraFrame] | None = None
        self._next: CameraFrame | None = None
        self._shift_s = 0.0  # host time minus recorded time
        self._number = 0

    @abstractmethod
    def _recorded(self) -> Iterator[CameraFrame]:
        """The recording's frames from its beginning, in order; raises DeviceError."""

    def close(self) -> None:
        """See Camera."""
        self._frames = self._next = None

    def _open(self) -> None:
        self._frames = self._recorded()
        self._next = next(self._frames, None)
        if self._next is None:
            raise DeviceError(
                "the recording has no frames", where=self.config.source, remedy="give another"
            )
        self._shift_s = self.clock() - self._next.stamp_s if self.config.paced else 0.0

    def _grab(self, timeout_s: float) -> CameraFrame | None:
        if self._frames is None or self._next is None:
            raise DeviceError(
                "the recording is over", where=self.config.source, remedy="set `loop: true`"
            )
        frame = self._next
        early_s = frame.stamp_s + self._shift_s - self.clock() if self.config.paced else 0.0
        if early_s > 0.0:
            self._wait(min(early_s, timeout_s))
        if early_s > timeout_s:
            return None
        stamp_s = frame.stamp_s + self._shift_s
        self._next = next(self._frames, None)
        if self._next is None and self.config.loop:
            self._begin_again(frame)
        self._number += 1
        return CameraFrame(
            stamp_s,
            frame.color,
            self._in_range(frame.depth),
            frame.intrinsics,
            self._number,
        )

    def _begin_again(self, last: CameraFrame) -> None:
        """The first frame follows the last one by a frame's time."""
        self._frames = self._recorded()
        self._next = next(self._frames, None)
        if self._next is not None:
            self._shift_s += last.stamp_s + 1.0 / self.config.fps - self._next.stamp_s


def pinhole(values: Intrinsics, shape: tuple[int, ...], where: str) -> Intrinsics:
    """The intrinsics, if they are those of a picture of this shape (H, W, ...).

    Raises:
        DeviceError: they are not.
    """
    if shape[:2] != (values.height, values.width) or not np.isfinite(values.matrix).all():
        raise DeviceError(
            f"its intrinsics are of {values.width}x{values.height}, its pictures "
            f"{shape[1]}x{shape[0]}",
            where=where,
            remedy="record it anew",
        )
    return values
