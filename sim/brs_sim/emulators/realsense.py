"""A RealSense made of the SDK's software device: frames enter the real pipeline from here."""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.cameras import Intrinsics
from brs_hardware.native import import_with_libusb


class EmulatedRealSense:
    """Depth and colour sensor at one place, with pinholes of their own as on the real one.

    Args:
        serial: number by which it is chosen.
        color, depth: pinholes; undistorted.
        depth_unit_m: step of depth.
        fps: rate that both streams claim.

    Attributes:
        plugged_in: False hides it from `devices`; frames cease by not calling `give`.
    """

    def __init__(
        self,
        serial: str,
        color: Intrinsics,
        depth: Intrinsics,
        depth_unit_m: float = 0.001,
        fps: int = 30,
    ) -> None:
        rs = self._rs = import_with_libusb("pyrealsense2")
        self.plugged_in = True
        self._unit_m = depth_unit_m
        self._device = rs.software_device()
        self._device.register_info(rs.camera_info.serial_number, serial)
        self._device.register_info(rs.camera_info.name, "Emulated RealSense")
        self._depth_sensor = self._device.add_sensor("Stereo Module")
        self._depth_sensor.add_read_only_option(rs.option.depth_units, depth_unit_m)
        self._color_sensor = self._device.add_sensor("RGB Camera")
        self._depth = self._depth_sensor.add_video_stream(
            self._stream(rs.stream.depth, rs.format.z16, 2, depth, fps, 1), True
        )
        self._color = self._color_sensor.add_video_stream(
            self._stream(rs.stream.color, rs.format.rgb8, 3, color, fps, 2), True
        )
        same_place = rs.extrinsics()
        same_place.rotation = np.eye(3).ravel().tolist()
        same_place.translation = [0.0, 0.0, 0.0]
        self._depth.register_extrinsics_to(self._color, same_place)
        self._device.create_matcher(rs.matchers.default)

    def devices(self) -> list[Any]:
        """What the SDK would list."""
        return [self._device] if self.plugged_in else []

    def give(
        self,
        color: np.ndarray,
        depth: np.ndarray,
        number: int,
        stamp_s: float,
        hardware_clock: bool = True,
    ) -> None:
        """Inject one pair of frames.

        Args:
            color: (H, W, 3) uint8.
            depth: (H, W) [m], 0 where there is no reading.
            number: of both frames.
            stamp_s: of the device's clock, or of the host's ("global time").
            hardware_clock: which of them.
        """
        units = np.round(depth / self._unit_m).astype(np.uint16)
        for sensor, profile, pixels in (
            (self._depth_sensor, self._depth, units),
            (self._color_sensor, self._color, color),
        ):
            frame = self._rs.software_video_frame()
            frame.pixels = np.ascontiguousarray(pixels)
            frame.bpp = pixels.nbytes // (pixels.shape[0] * pixels.shape[1])
            frame.stride = frame.bpp * pixels.shape[1]
            frame.timestamp = stamp_s * 1000.0
            domain = self._rs.timestamp_domain
            frame.domain = domain.hardware_clock if hardware_clock else domain.global_time
            frame.frame_number = number
            frame.profile = profile.as_video_stream_profile()
            frame.depth_units = self._unit_m
            sensor.on_video_frame(frame)

    def _stream(
        self, kind: Any, pixel: Any, size: int, pinhole: Intrinsics, fps: int, uid: int
    ) -> Any:
        stream = self._rs.video_stream()
        stream.type, stream.fmt, stream.bpp = kind, pixel, size
        stream.index, stream.uid, stream.fps = 0, uid, fps
        stream.width, stream.height = pinhole.width, pinhole.height
        inner = self._rs.intrinsics()
        inner.width, inner.height = pinhole.width, pinhole.height
        inner.fx, inner.fy, inner.ppx, inner.ppy = pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy
        inner.model, inner.coeffs = self._rs.distortion.brown_conrady, list(pinhole.distortion)
        stream.intrinsics = inner
        return stream
