"""Clouds of an episode that was recorded without any, fused again from its pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brs_cli.view_log import When
from brs_cli.view_routes import Handler, Route
from brs_cli.view_scene import Scene
from brs_hardware.cameras.matching import FrameMatcher
from brs_hardware.cameras.throttle import Throttle
from brs_hardware.kinematics import optical_frame
from brs_hardware.perception.config import load_cloud
from brs_hardware.perception.fuser import CloudFuser

CLOUD_FRAME = "base_link"


class CloudMaker:
    """Makes clouds of a bag's joints and pictures, and shows them.

    Args:
        scene: shows them.
        routes: what of the bag is shown.
        image_hz: clouds a second.
        cloud: how they are made, in config/perception.

    Attributes:
        handlers: topic -> what takes its messages; empty where a part of it all is missing.

    Raises:
        ConfigError: no such configuration, or a package is missing.
    """

    def __init__(self, scene: Scene, routes: list[Route], image_hz: float, cloud: str) -> None:
        self._scene, self._robot = scene, scene.embodiment
        self.handlers: dict[str, Handler] = {}
        parts = {name: camera_parts(routes, name) for name in self._robot.cameras}
        cameras = tuple(name for name, topics in parts.items() if len(topics) == 3)
        state = next((r.topic for r in routes if r.handler == scene.measured), None)
        if state is None or not cameras:
            return
        self._fuser = CloudFuser(self._robot, load_cloud(cloud), cameras)
        self.handlers[state] = self._take_state
        for camera in cameras:
            matcher = FrameMatcher(camera, optical_frame(camera))
            throttle = Throttle(image_hz)
            for part, topic in parts[camera].items():
                self.handlers[topic] = self._taker(camera, part, matcher, throttle)

    def _take_state(self, when: When, message: Any) -> None:
        stamp_s = when.capture_ns * 1e-9
        for name in self._robot.GROUPS:
            self._fuser.add_joints(name, stamp_s, np.array(getattr(message, name).position))
        for name in self._robot.GRIPPERS:
            self._fuser.add_joints(name, stamp_s, np.array([getattr(message, name)]))
        self._fuser.add_base(stamp_s, np.array(message.base_pose))
        self._step(when)

    def _taker(
        self, camera: str, part: str, matcher: FrameMatcher, throttle: Throttle
    ) -> Callable[[When, Any], None]:
        def take(when: When, message: Any) -> None:
            for frame in matcher.add(part, message):
                if throttle.lets(frame.stamp_s):
                    self._fuser.add_frame(camera, frame)
            self._step(when)

        return take

    def _step(self, when: When) -> None:
        fused = self._fuser.step(when.capture_ns * 1e-9)
        if fused is not None:
            seen = when._replace(capture_ns=round(fused.stamp_s * 1e9))
            self._scene.points(seen, CLOUD_FRAME, fused.cloud.points, fused.cloud.colors)


def camera_parts(routes: list[Route], camera: str) -> dict[str, str]:
    """Part (color, depth, info) -> topic of those of a camera's that are shown."""
    parts = {"color/image_raw": "color", "depth/image_raw": "depth", "camera_info": "info"}
    return {
        part: route.topic
        for route in routes
        for name, part in parts.items()
        if f"/camera/{camera}/{name}" in route.topic
    }
