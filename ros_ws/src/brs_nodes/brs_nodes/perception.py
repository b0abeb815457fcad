"""Node `perception`: the cameras of one machine onto the bus, and one cloud of what all see.

own cameras -> [reading threads] -+-> [publishing threads] -> raw and compressed pictures
                                  |
pictures of others, joints, odom -+-> [fusion thread] -> perception/cloud, perception/state

Pictures of own cameras are fused where they are; none crosses the bus for it. Without own cameras
(simulator, bag, another machine's) they are taken from their topics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from brs_hardware.camera_calibration.mounts import mount_sources, with_measured_mounts
from brs_hardware.cameras import CameraFrame, CameraRig, load_cameras
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.perception.config import load_cloud
from brs_hardware.perception.fuser import CloudFuser
from brs_nodes.camera_server import CameraServer
from brs_nodes.camera_topics import Rates
from brs_nodes.cloud_feed import CloudFeed
from brs_nodes.cloud_worker import CloudWorker
from brs_nodes.common import Diagnostics, declare, now_s, parameter, run


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    cameras: str = parameter(
        "", "cameras of this machine, in config/cameras; empty: pictures come by topics"
    )
    raw_hz: float = parameter(60.0, "raw pictures of each own camera; 0: none", 0.0, 240.0)
    compressed_hz: float = parameter(15.0, "JPEG and PNG, where wanted; 0: none", 0.0, 240.0)
    jpeg_quality: int = parameter(85, "of compressed colour", 1, 100)
    fuse: bool = parameter(True, "make clouds")
    cloud: str = parameter("default", "how clouds are made, in config/perception")
    cloud_hz: float = parameter(30.0, "clouds a second, at most", 0.1, 240.0)
    transport: str = parameter("raw", "of pictures that come by topics: raw or compressed")
    measured_mounts: bool = parameter(False, "real cameras: stand where they were measured to")


class PerceptionNode(Node):
    """Wires a CameraServer and a CloudWorker, as far as they are wanted."""

    def __init__(self) -> None:
        super().__init__("perception")
        chosen = self.parameters = declare(self, Parameters)
        if not chosen.cameras and not chosen.fuse:
            raise ConfigError("nothing to do", where="perception", remedy="set cameras or fuse")
        self.diagnostics = Diagnostics(self, self._summary)
        self.worker: CloudWorker | None = None
        self.server: CameraServer | None = None
        self._mounts: dict[str, str] = {}  # camera -> how it was measured, if it was
        rig = load_cameras(chosen.cameras) if chosen.cameras else None
        if chosen.fuse:
            self.worker = self._make_worker(rig)
            self.worker.start()
        if rig:
            rates = Rates(chosen.raw_hz, chosen.compressed_hz, chosen.jpeg_quality)
            self.server = CameraServer(self, rig, rates, self._hand_on, self.diagnostics.count)
            self.server.start()

    def _make_worker(self, rig: CameraRig | None) -> CloudWorker:
        chosen = self.parameters
        robot = load_embodiment(chosen.robot)
        self._mounts = dict.fromkeys(robot.cameras, "")
        if chosen.measured_mounts:
            self._mounts = mount_sources(robot)
            serials = {name: camera.serial for name, camera in rig.cameras.items()} if rig else {}
            robot = with_measured_mounts(robot, serials)
        cameras = tuple(rig.cameras if rig else robot.cameras)
        fuser = CloudFuser(robot, load_cloud(chosen.cloud), cameras)
        transport = None if rig else chosen.transport
        feed = CloudFeed(robot, fuser, cameras, transport, chosen.cloud_hz)
        return CloudWorker(self, fuser, feed, self.diagnostics.count)

    def _hand_on(self, camera: str, frame: CameraFrame) -> None:
        if self.worker:
            self.worker.add_frame(camera, frame)

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        parts = [self.server.summary(now_s(self))] if self.server else []
        parts += [self.worker.summary()] if self.worker else []
        values = {name: value for _, _, found in parts for name, value in found.items()}
        values |= {f"{name} mount": text or "as described" for name, text in self._mounts.items()}
        return max(level for level, _, _ in parts), "; ".join(p[1] for p in parts), values

    def close(self) -> None:
        """Stop the threads before their topics go."""
        if self.server:
            self.server.close()
        if self.worker:
            self.worker.close()


def main() -> None:
    run(PerceptionNode)
