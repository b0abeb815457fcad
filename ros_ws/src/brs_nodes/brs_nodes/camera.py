"""Node `camera`: all cameras of one machine onto the bus of topics.

Each camera has two threads: one reads the device and brings it back when it went away, one
publishes the newest frame, so that neither a slow device nor a slow network holds up another.
"""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from brs_hardware.cameras import CameraFrame, CameraStream, load_cameras, make_camera
from brs_hardware.kinematics import optical_frame
from brs_nodes import conversions
from brs_nodes.common import SENSOR, Diagnostics, declare, log, now_s, parameter, run

# Ours, but not of brs_hardware, which knows no simulator.
SIMULATED = {"sim": "brs_sim.emulators.cameras"}


@dataclass(frozen=True)
class Parameters:
    cameras: str = parameter("r1", "cameras of this machine, in config/cameras")


class CameraNode(Node):
    """Thin shell around a CameraStream for each camera."""

    def __init__(self) -> None:
        super().__init__("camera")
        self.parameters = declare(self, Parameters)
        rig = load_cameras(self.parameters.cameras)
        for driver in {config.driver for config in rig.cameras.values()} & SIMULATED.keys():
            importlib.import_module(SIMULATED[driver])
        self.streams = {
            name: CameraStream(make_camera(name, config, partial(now_s, self)), partial(log, self))
            for name, config in rig.cameras.items()
        }
        self._topics = {
            name: (
                self.create_publisher(Image, f"camera/{name}/color/image_raw", SENSOR),
                self.create_publisher(Image, f"camera/{name}/depth/image_raw", SENSOR),
                self.create_publisher(CameraInfo, f"camera/{name}/camera_info", SENSOR),
            )
            for name in rig.cameras
        }
        self.diagnostics = Diagnostics(self, self._summary)
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._publish_all, args=(name,), daemon=True)
            for name in rig.cameras
        ]
        for stream in self.streams.values():
            stream.start()
        for thread in self._threads:
            thread.start()

    def _publish_all(self, name: str) -> None:
        while not self._closing.is_set():
            frame = self.streams[name].take(0.2)
            if frame is not None and not self._closing.is_set():
                self._publish(name, frame)

    def _publish(self, name: str, frame: CameraFrame) -> None:
        color, depth, info = self._topics[name]
        place, pinhole = (frame.stamp_s, optical_frame(name)), frame.intrinsics
        described = conversions.camera_info(
            *place,
            pinhole.width,
            pinhole.height,
            pinhole.fx,
            pinhole.fy,
            pinhole.cx,
            pinhole.cy,
        )
        described.d = conversions.doubles(np.array(pinhole.distortion))
        info.publish(described)
        color.publish(conversions.color_image(*place, frame.color))
        depth.publish(conversions.depth_image(*place, np.nan_to_num(frame.depth, nan=0.0)))
        self.diagnostics.count(name)

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        now = now_s(self)
        health = {name: stream.health(now) for name, stream in self.streams.items()}
        values: dict[str, Any] = {}
        for name, camera in health.items():
            values[f"{name} age [s]"] = f"{camera.age_s:.3f}"
            values[f"{name} frozen"] = camera.frozen
            values[f"{name} dropped"] = camera.dropped
            values[f"{name} came back"] = self.streams[name].reopened
        wrong = [f"{name}: {camera.problem}" for name, camera in health.items() if camera.problem]
        # Without any picture nothing can be seen; with some, a person should look.
        level = 0 if not wrong else 2 if len(wrong) == len(health) else 1
        return level, "; ".join(wrong) or f"{len(health)} cameras stream", values

    def close(self) -> None:
        """Stop the threads before the publishers go."""
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=2.0)
        for stream in self.streams.values():
            stream.stop()


def main() -> None:
    run(CameraNode)
