"""The interface of every camera, and the register of its kinds."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeVar

import numpy as np

from brs_hardware.cameras.config import CameraConfig
from brs_hardware.cameras.frame import CameraFrame, CameraHealth
from brs_hardware.cameras.watch import FrameWatch
from brs_hardware.config import did_you_mean
from brs_hardware.errors import ConfigError

Clock = Callable[[], float]  # host time [s]

# Imported when wanted, as each has an SDK of its own.
DRIVER_MODULES = {
    "realsense": "brs_hardware.cameras.realsense",
    "zed": "brs_hardware.cameras.zed",
    "folder": "brs_hardware.cameras.folder",
    "bag": "brs_hardware.cameras.bag",
}


class Camera(ABC):
    """One RGB-D camera. Used by one thread, but for `health`.

    Args:
        name: by which the embodiment knows it.
        config: what to open.
        clock: the host's time, asked when a frame arrives [s].
    """

    kind: ClassVar[str]  # `driver` in config/cameras
    noisy: ClassVar[bool] = True  # no two of its frames have equal pixels

    def __init__(self, name: str, config: CameraConfig, clock: Clock) -> None:
        self.name, self.config, self.clock = name, config, clock
        self.watch = FrameWatch(name, config, self.noisy)

    def open(self) -> None:
        """Connect and begin to stream.

        Raises:
            DeviceError: it is not there, or refuses.
            ConfigError: the SDK is missing, or the configuration asks for the impossible.
        """
        self._open()
        self.watch.opened(self.clock())

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next good frame; None if none came in time, or what came was no good.

        Raises:
            DeviceError: it is gone, gives the wrong thing, or nothing good for too long.
        """
        frame = self._grab(timeout_s)
        return self.watch.admit(frame, self.clock())

    def health(self, now_s: float) -> CameraHealth:
        """How it is doing."""
        return self.watch.health(now_s)

    @abstractmethod
    def close(self) -> None:
        """Let go of the device; may be called at any time, more than once."""

    @abstractmethod
    def _open(self) -> None:
        """Connect; raises like `open`."""

    @abstractmethod
    def _grab(self, timeout_s: float) -> CameraFrame | None:
        """The next frame as the device gives it, stamped in host time; raises DeviceError."""

    def _in_range(self, depth: np.ndarray) -> np.ndarray:
        """Depth (H, W) [m] as float32, with NaN where it is not within the camera's range."""
        near, far = self.config.depth_range
        with np.errstate(invalid="ignore"):
            inside = (depth >= near) & (depth <= far)
        return np.where(inside, depth, np.nan).astype(np.float32)


_DRIVERS: dict[str, type[Camera]] = {}
CameraClass = TypeVar("CameraClass", bound=type[Camera])


def register(cls: CameraClass) -> CameraClass:
    """Class decorator: makes the driver known by its `kind`."""
    if cls.kind in _DRIVERS:
        raise ValueError(f"two camera drivers are named '{cls.kind}'")
    _DRIVERS[cls.kind] = cls
    return cls


def camera_drivers() -> tuple[str, ...]:
    """Names of all drivers that can be asked for now, sorted."""
    return tuple(sorted({*_DRIVERS, *DRIVER_MODULES}))


def make_camera(name: str, config: CameraConfig, clock: Clock) -> Camera:
    """A camera of the kind that its configuration names, not yet open.

    Raises:
        ConfigError: unknown driver; names the nearest.
    """
    if config.driver not in _DRIVERS and config.driver in DRIVER_MODULES:
        importlib.import_module(DRIVER_MODULES[config.driver])
    if config.driver not in _DRIVERS:
        raise ConfigError(
            f"unknown camera driver '{config.driver}'",
            where=name,
            remedy=did_you_mean(config.driver, camera_drivers()),
        )
    return _DRIVERS[config.driver](name, config, clock)
