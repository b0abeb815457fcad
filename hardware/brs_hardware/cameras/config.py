"""The cameras of one machine: read from config/cameras/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from brs_hardware import config
from brs_hardware.cameras.quality import QualityConfig


@dataclass(frozen=True)
class CameraConfig:
    """One camera."""

    driver: str  # realsense, zed, folder, bag or sim
    width: int  # [px] of the frames; a recording must have this size too
    height: int  # [px]
    fps: int  # [Hz]
    depth_range: np.ndarray  # (2,) [m], readings outside are none
    serial: str | None = None  # None takes the only one that is plugged in
    source: str = ""  # folder or bag of a recording, task of the simulator
    topic: str = ""  # of a bag: the part before /color/image_raw
    loop: bool = False  # begin a recording anew when it ends
    paced: bool = True  # play a recording as fast as it was taken, with stamps of now
    depth_mode: str = "PERFORMANCE"  # of a ZED: how the SDK matches left and right
    silent_after_s: float = 1.0  # without a good frame for this long, the device is reopened
    quality: QualityConfig = field(default_factory=QualityConfig)  # when its pictures are poor

    def __post_init__(self) -> None:
        if self.depth_range.shape != (2,) or not 0 <= self.depth_range[0] < self.depth_range[1]:
            raise ValueError("'depth_range' needs nearest and farthest, in metres")
        for name in ("width", "height", "fps", "silent_after_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"'{name}' must be positive")


@dataclass(frozen=True)
class CameraRig:
    """Cameras by the names that the embodiment gives them."""

    cameras: dict[str, CameraConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ValueError("'cameras' is empty")
        serials = [c.serial for c in self.cameras.values() if c.serial is not None]
        doubled = {serial for serial in serials if serials.count(serial) > 1}
        if doubled:
            raise ValueError(f"serial {', '.join(sorted(doubled))} is named twice")


def load_cameras(name: str) -> CameraRig:
    """The rig `name` (a file in config/cameras, or a path to a YAML file).

    Raises:
        ConfigError: unknown rig, malformed YAML, unknown keys, impossible values.
    """
    return config.load_named(CameraRig, "cameras", name, "cameras")
