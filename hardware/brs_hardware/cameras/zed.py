"""Stereolabs ZED cameras, through the ZED SDK's `pyzed.sl`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from brs_hardware.cameras.config import CameraConfig
from brs_hardware.cameras.driver import Camera, Clock, register
from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.config import did_you_mean
from brs_hardware.errors import ConfigError, DeviceError

_REMEDY = (
    "install the ZED SDK from stereolabs.com, then run its get_python_api.py "
    "(pip's package `pyzed` is another program)"
)
# (width, height) [px] of one eye -> name of the SDK's resolution.
RESOLUTIONS = {
    (2208, 1242): "HD2K",
    (1920, 1200): "HD1200",
    (1920, 1080): "HD1080",
    (1280, 720): "HD720",
    (960, 600): "SVGA",
    (672, 376): "VGA",
}


def import_zed_sdk() -> Any:
    """The module `pyzed.sl`.

    Raises:
        ConfigError: it is missing, or another package of that name is installed.
    """
    try:
        sdk = importlib.import_module("pyzed.sl")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "pyzed"
        what = "the ZED SDK for Python is not installed"
        if not missing:
            what = f"the installed `pyzed` is not the ZED SDK's ({error})"
        raise ConfigError(what, where="pyzed.sl", remedy=_REMEDY) from None
    if not hasattr(sdk, "Camera") or not hasattr(sdk, "InitParameters"):
        raise ConfigError(
            "the installed `pyzed` is not the ZED SDK's", where="pyzed.sl", remedy=_REMEDY
        )
    return sdk


@register
class ZedCamera(Camera):
    """The rectified left picture, and depth in its frame. Stamps are the host's, by the SDK."""

    kind = "zed"

    def __init__(self, name: str, config: CameraConfig, clock: Clock) -> None:
        super().__init__(name, config, clock)
        self._sl = import_zed_sdk()
        self._resolution = _resolution(name, config)
        self._depth_mode = getattr(self._sl.DEPTH_MODE, config.depth_mode, None)
        if self._depth_mode is None:
            known = [mode for mode in dir(self._sl.DEPTH_MODE) if mode.isupper()]
            raise ConfigError(
                f"unknown depth mode '{config.depth_mode}'",
                where=name,
                remedy=did_you_mean(config.depth_mode, known),
            )
        self._camera: Any = None
        self._number = 0
        self._lost = 0

    def close(self) -> None:
        """See Camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _open(self) -> None:
        sl, config = self._sl, self.config
        self.close()
        wanted = sl.InitParameters()
        wanted.camera_resolution = getattr(sl.RESOLUTION, self._resolution)
        wanted.camera_fps = config.fps
        wanted.depth_mode = self._depth_mode
        wanted.coordinate_units = sl.UNIT.METER
        wanted.depth_minimum_distance, wanted.depth_maximum_distance = map(
            float, config.depth_range
        )
        wanted.sdk_verbose = 0
        if config.serial is not None:
            wanted.set_from_serial_number(int(config.serial))
        camera = sl.Camera()
        status = camera.open(wanted)
        if status != sl.ERROR_CODE.SUCCESS:
            camera.close()
            seen = ", ".join(str(device.serial_number) for device in sl.Camera.get_device_list())
            raise DeviceError(
                f"the ZED does not open: {status} (seen: {seen or 'none'})",
                where=self.name,
                remedy="plug it into USB 3, and check its serial in config/cameras",
            )
        self._camera, self._number, self._lost = camera, 0, 0
        self._image, self._depth = sl.Mat(), sl.Mat()
        self._runtime = sl.RuntimeParameters()
        self._intrinsics = _intrinsics(camera, config)

    def _grab(self, timeout_s: float) -> CameraFrame | None:
        """See Camera. The SDK waits for one frame period, whatever the timeout."""
        sl, camera = self._sl, self._camera
        if camera is None:
            raise DeviceError("is not open", where=self.name, remedy="open it")
        status = camera.grab(self._runtime)
        if status != sl.ERROR_CODE.SUCCESS:
            raise DeviceError(
                f"the ZED gives no frame: {status}", where=self.name, remedy="plug it in again"
            )
        camera.retrieve_image(self._image, sl.VIEW.LEFT)
        camera.retrieve_measure(self._depth, sl.MEASURE.DEPTH)
        stamp = camera.get_timestamp(sl.TIME_REFERENCE.IMAGE)
        # The SDK numbers no frames, but counts those that it lost.
        lost = int(camera.get_frame_dropped_count())
        self._number += 1 + max(lost - self._lost, 0)
        self._lost = lost
        return CameraFrame(
            stamp_s=stamp.get_nanoseconds() * 1e-9,
            color=np.ascontiguousarray(self._image.get_data()[:, :, 2::-1]),  # from BGRA
            depth=self._in_range(self._depth.get_data()),
            intrinsics=self._intrinsics,
            number=self._number,
        )


def _resolution(name: str, config: CameraConfig) -> str:
    size = (config.width, config.height)
    if size not in RESOLUTIONS:
        known = ", ".join(f"{width}x{height}" for width, height in RESOLUTIONS)
        raise ConfigError(
            f"a ZED has no {size[0]}x{size[1]}", where=name, remedy=f"one of {known}"
        )
    if config.serial is not None and not config.serial.isdigit():
        raise ConfigError(
            f"'{config.serial}' is no serial number of a ZED", where=name, remedy="give digits"
        )
    return RESOLUTIONS[size]


def _intrinsics(camera: Any, config: CameraConfig) -> Intrinsics:
    left = camera.get_camera_information().camera_configuration.calibration_parameters.left_cam
    return Intrinsics(config.width, config.height, left.fx, left.fy, left.cx, left.cy)
