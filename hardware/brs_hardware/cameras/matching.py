"""Messages of one camera, which come one by one and in any order, as frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.cameras.pictures import color_of, depth_of
from brs_hardware.errors import DeviceError

_MEMORY = 8  # pictures of one kind that wait for their partner


class FrameMatcher:
    """Makes frames of colour and depth with equal stamps, and the newest camera_info.

    Takes anything with the fields of sensor_msgs/Image, CompressedImage and CameraInfo.

    Args:
        name: of the camera, for messages.
        frame_id: that all its messages must carry; empty takes any.
    """

    def __init__(self, name: str, frame_id: str = "") -> None:
        self._name, self._frame_id = name, frame_id
        self._waiting: dict[str, dict[int, Any]] = {"color": {}, "depth": {}}
        self._intrinsics: Intrinsics | None = None
        self._count = 0
        self.lonely = 0  # pictures whose partner never came

    def add(self, part: str, message: Any) -> list[CameraFrame]:
        """Take in a message.

        Args:
            part: `color`, `depth` or `info`.
            message: its content.

        Returns:
            Frames that are whole now: mostly one or none.

        Raises:
            DeviceError: it is of another camera, malformed, or of another size than its partner
                or camera_info say. It is left out; the next may be good.
        """
        if self._frame_id and message.header.frame_id != self._frame_id:
            raise DeviceError(
                f"has {part} in frame '{message.header.frame_id}', not '{self._frame_id}'",
                where=self._name,
                remedy="correct frame_id or the topic's name where it is sent",
            )
        if part == "info":
            self._intrinsics = intrinsics_of(message, self._name)
        else:
            self._wait(self._waiting[part], message)
        return self._whole()

    def _wait(self, waiting: dict[int, Any], message: Any) -> None:
        stamp = message.header.stamp
        waiting[stamp.sec * 1_000_000_000 + stamp.nanosec] = message
        if len(waiting) > _MEMORY:
            del waiting[next(iter(waiting))]
            self.lonely += 1

    def _whole(self) -> list[CameraFrame]:
        if self._intrinsics is None:
            return []
        color, depth = self._waiting["color"], self._waiting["depth"]
        return [
            self._frame(color.pop(stamp), depth.pop(stamp), self._intrinsics)
            for stamp in sorted(color.keys() & depth.keys())
        ]

    def _frame(self, color: Any, depth: Any, intrinsics: Intrinsics) -> CameraFrame:
        pixels, metres = color_of(color, self._name), depth_of(depth, self._name)
        size = (intrinsics.height, intrinsics.width)
        if pixels.shape[:2] != size or metres.shape != size:
            raise DeviceError(
                f"has {pixels.shape[1]}x{pixels.shape[0]} colour and "
                f"{metres.shape[1]}x{metres.shape[0]} depth, its camera_info is of "
                f"{size[1]}x{size[0]}",
                where=self._name,
                remedy="correct the settings of that camera",
            )
        self._count += 1
        stamp = color.header.stamp
        return CameraFrame(
            stamp.sec + stamp.nanosec * 1e-9, pixels, metres, intrinsics, self._count
        )


def intrinsics_of(info: Any, where: str) -> Intrinsics:
    """The pinhole of a camera_info.

    Raises:
        DeviceError: it describes no camera.
    """
    values = np.array([info.k[0], info.k[4], info.k[2], info.k[5]])
    if not (np.isfinite(values).all() and (values[:2] > 0.0).all() and info.width and info.height):
        raise DeviceError(
            "has a camera_info without focal lengths or size",
            where=where,
            remedy="calibrate that camera, or look at who sends it",
        )
    fx, fy, cx, cy = (float(value) for value in values)
    distortion = tuple(float(value) for value in info.d) or (0.0,) * 5
    return Intrinsics(int(info.width), int(info.height), fx, fy, cx, cy, distortion)
