"""Faults of a camera, seen by the same watcher thread that keeps real ones streaming."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from brs_hardware.cameras.config import CameraConfig
from brs_hardware.cameras.frame import CameraFrame
from brs_hardware.cameras.stream import CameraStream
from brs_sim.emulators.cameras import ScriptedCamera
from brs_sim.faults.fault import Fault, Sign

_FPS = 15


class FaultyCamera:
    """A small camera at its own pace, with whatever fault is asked for.

    Attributes:
        said: what its stream reported, newest last.
    """

    def __init__(self) -> None:
        config = CameraConfig("scripted", 32, 24, _FPS, np.array([0.2, 3.0]), silent_after_s=0.5)
        self._camera = ScriptedCamera("head", config, time.time)
        self._camera.fault = self._paced
        self._frozen: CameraFrame | None = None
        self._last: CameraFrame | None = None
        self.said: list[str] = []
        self.stream = CameraStream(self._camera, lambda bad, line: self.said.append(line))

    def _paced(self, frame: CameraFrame) -> CameraFrame:
        time.sleep(1.0 / _FPS)
        if self._frozen is not None:
            still = self._frozen
            return dataclasses.replace(frame, color=still.color, depth=still.depth)
        self._last = frame
        return frame

    def plug(self, plugged_in: bool) -> None:
        """Pull its cable, or put it back."""
        self._camera.plugged_in = plugged_in

    def freeze(self, frozen: bool) -> None:
        """Repeat one picture under new numbers and stamps, or go on."""
        self._frozen = self._last if frozen else None


def camera_faults(camera: FaultyCamera) -> list[Fault]:
    """Unplugged and frozen."""
    return [
        Fault(
            "camera_unplugged",
            "camera unplugged and replugged",
            "robot goes on; the driver says so and reopens it",
            lambda: camera.plug(False),
            lambda: camera.plug(True),
            Sign.CAMERA,
            "is unplugged",
            stops=False,
        ),
        Fault(
            "camera_frozen",
            "frozen camera (same picture)",
            "robot goes on; repeated pictures are not passed on",
            lambda: camera.freeze(True),
            lambda: camera.freeze(False),
            Sign.CAMERA,
            "is frozen",
            stops=False,
        ),
    ]
