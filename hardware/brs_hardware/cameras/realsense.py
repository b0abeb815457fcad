"""Intel RealSense depth cameras, through pyrealsense2."""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.cameras.clock import ClockMap
from brs_hardware.cameras.config import CameraConfig
from brs_hardware.cameras.driver import Camera, Clock, register
from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.native import import_with_libusb


@register
class RealSenseCamera(Camera):
    """Colour, and depth aligned with it.

    Stamps of the SDK's "global time" (or of a host driver) are the host's already; stamps of the
    device's own clock are mapped by `ClockMap`. The SDK's distortion coefficients are passed on
    as they are; most D400 colour streams are rectified to all but zero.

    Args:
        name, config, clock: see Camera.
        find_devices: gives the SDK's devices; None asks the SDK what is plugged in.
    """

    kind = "realsense"

    def __init__(
        self, name: str, config: CameraConfig, clock: Clock, find_devices: Any = None
    ) -> None:
        super().__init__(name, config, clock)
        self._rs = import_with_libusb("pyrealsense2")
        self._find_devices = find_devices or self._plugged_in
        self._pipeline: Any = None
        self._align = self._rs.align(self._rs.stream.color)
        self._clock_map = ClockMap()

    def close(self) -> None:
        """See Camera."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            try:
                pipeline.stop()
            except RuntimeError:  # it is gone, which is why it is closed
                return

    def _open(self) -> None:
        rs, config = self._rs, self.config
        self.close()
        wanted, pipeline = rs.config(), rs.pipeline()
        size = (config.width, config.height)
        wanted.enable_stream(rs.stream.depth, *size, rs.format.z16, config.fps)
        wanted.enable_stream(rs.stream.color, *size, rs.format.rgb8, config.fps)
        try:
            device = self._select()
            self._use_global_time(device)
            pipeline.set_device(device)
            pipeline.start(wanted)
        except RuntimeError as error:
            raise DeviceError(
                f"the RealSense does not start: {error}",
                where=self.name,
                remedy=f"ask `rs-enumerate-devices` whether it has {size[0]}x{size[1]} at "
                f"{config.fps} Hz in colour and depth on this USB port",
            ) from None
        self._pipeline, self._clock_map = pipeline, ClockMap()

    def _grab(self, timeout_s: float) -> CameraFrame | None:
        if self._pipeline is None:
            raise DeviceError("is not open", where=self.name, remedy="open it")
        try:
            there, frames = self._pipeline.try_wait_for_frames(round(timeout_s * 1000))
            if not there:
                return None
            arrival_s = self.clock()
            aligned = self._align.process(frames)
        except RuntimeError as error:
            raise DeviceError(str(error), where=self.name, remedy="plug it in again") from None
        color, depth = aligned.get_color_frame(), aligned.get_depth_frame()
        if not color or not depth:
            return None
        return CameraFrame(
            stamp_s=self._host_stamp(color, arrival_s),
            # Copies: the SDK reuses its few buffers.
            color=np.array(color.get_data(), dtype=np.uint8),
            depth=self._in_range(np.asarray(depth.get_data()) * np.float32(depth.get_units())),
            intrinsics=_intrinsics(color.profile.as_video_stream_profile().intrinsics),
            number=int(color.get_frame_number()),
        )

    def _plugged_in(self) -> list[Any]:
        return list(self._rs.context().query_devices())

    def _select(self) -> Any:
        """The device of the configured serial number, or the only one."""
        devices = list(self._find_devices())
        info = self._rs.camera_info.serial_number
        by_serial = {device.get_info(info): device for device in devices}
        if self.config.serial is None and len(by_serial) == 1:
            return devices[0]
        if self.config.serial in by_serial:
            return by_serial[self.config.serial]
        seen = ", ".join(sorted(by_serial)) or "none"
        wanted = "RealSense" if self.config.serial is None else f"RealSense {self.config.serial}"
        if self.config.serial is None and by_serial:
            raise ConfigError(
                f"several RealSense are plugged in: {seen}",
                where=self.name,
                remedy="give its serial in config/cameras",
            )
        raise DeviceError(
            f"no {wanted} is plugged in (seen: {seen})",
            where=self.name,
            remedy="plug it into USB 3, and see docs/hardware.md for its udev rules",
        )

    def _use_global_time(self, device: Any) -> None:
        option = self._rs.option.global_time_enabled
        for sensor in device.query_sensors():
            if sensor.supports(option) and not sensor.is_option_read_only(option):
                sensor.set_option(option, 1.0)

    def _host_stamp(self, frame: Any, arrival_s: float) -> float:
        device_s = frame.get_timestamp() * 1e-3
        if frame.get_frame_timestamp_domain() == self._rs.timestamp_domain.hardware_clock:
            return self._clock_map.to_host(device_s, arrival_s)
        return float(device_s)


def _intrinsics(given: Any) -> Intrinsics:
    return Intrinsics(
        given.width,
        given.height,
        given.fx,
        given.fy,
        given.ppx,
        given.ppy,
        tuple(float(value) for value in given.coeffs),
    )
