"""The pictures of one camera, judged one by one while a bag is read; none is kept."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

_WAITING = 8  # pictures that may wait for the depth of their stamp, or depth for its picture


@dataclass(frozen=True)
class Picture:
    """Colour and depth of one moment."""

    stamp_ns: int
    color: np.ndarray  # (h, w, 3) uint8 RGB
    depth: np.ndarray | None  # (h, w) float32 [m], NaN where unknown; None: the camera has none
    info: Any  # sensor_msgs/CameraInfo, or None


class PictureJudge(Protocol):
    """Tells what is wrong with the pictures of one camera, shown in the order of time."""

    def __call__(self, picture: Picture) -> Mapping[str, str]:
        """Rule (exposure, blur, depth, intrinsics) -> one line, as of this picture."""
        ...


# Makes the judge of a camera, in whatever process needs one.
JudgeFactory = Callable[[str], PictureJudge]


@dataclass
class CameraTrack:
    """What is remembered of a camera's pictures.

    Args:
        judge: looks at each picture; None: none does.
        has_depth: whether the bag has depth pictures of this camera.
        has_info: whether it has camera_info; pictures before the first one are not judged.
    """

    judge: PictureJudge | None = None
    has_depth: bool = True
    has_info: bool = True
    stamps_ns: list[int] = field(default_factory=list)  # of the colour pictures
    digests: list[int] = field(default_factory=list)  # of their pixels
    depth_shares: list[float] = field(default_factory=list)  # of pixels that have depth
    unpaired: int = 0  # colour pictures without depth
    judged_ns: list[int] = field(default_factory=list)
    problems: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # by rule
    calibration: dict[str, Any] | None = None  # the first one
    info: Any = None  # the newest sensor_msgs/CameraInfo
    _colors: dict[int, np.ndarray] = field(default_factory=dict)
    _depths: dict[int, np.ndarray] = field(default_factory=dict)

    def add_info(self, info: Any) -> None:
        """A sensor_msgs/CameraInfo."""
        self.info = info
        if self.calibration is None:
            self.calibration = calibration_of(info)

    def add_color(self, stamp_ns: int, color: np.ndarray) -> None:
        """(h, w, 3) uint8 RGB."""
        self.stamps_ns.append(stamp_ns)
        self.digests.append(zlib.crc32(np.ascontiguousarray(color).data))
        self._colors[stamp_ns] = color
        if not self.has_depth:
            self._look(stamp_ns, self._colors.pop(stamp_ns), None)
        elif stamp_ns in self._depths:
            self._pair(stamp_ns)
        elif len(self._colors) > _WAITING:
            del self._colors[min(self._colors)]
            self.unpaired += 1

    def add_depth(self, stamp_ns: int, depth: np.ndarray) -> None:
        """(h, w) float32 [m]; 0 or NaN where unknown."""
        unknown = ~(depth > 0.0)
        depth = np.where(unknown, np.float32(np.nan), depth)
        self.depth_shares.append(1.0 - float(unknown.mean()))
        self._depths[stamp_ns] = depth
        if stamp_ns in self._colors:
            self._pair(stamp_ns)
        elif len(self._depths) > _WAITING:
            del self._depths[min(self._depths)]

    def finish(self) -> None:
        """No more pictures come."""
        # The episode may end between the newest picture and its depth.
        self.unpaired += sum(stamp != self.stamps_ns[-1] for stamp in self._colors)
        self._colors.clear()
        self._depths.clear()

    def _pair(self, stamp_ns: int) -> None:
        self._look(stamp_ns, self._colors.pop(stamp_ns), self._depths.pop(stamp_ns))

    def _look(self, stamp_ns: int, color: np.ndarray, depth: np.ndarray | None) -> None:
        if self.judge is None or (self.has_info and self.info is None):
            return
        self.judged_ns.append(stamp_ns)
        for rule, line in self.judge(Picture(stamp_ns, color, depth, self.info)).items():
            self.problems.setdefault(rule, []).append((stamp_ns, line))


def calibration_of(info: Any) -> dict[str, Any]:
    """Size and intrinsics of a sensor_msgs/CameraInfo in plain numbers [px]."""
    return {
        "height": int(info.height),
        "width": int(info.width),
        "matrix": [float(value) for value in info.k],
        "distortion": [float(value) for value in info.d],
    }
