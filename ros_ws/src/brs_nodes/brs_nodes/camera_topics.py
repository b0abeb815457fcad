"""Cameras as topics: their names, and frames onto the bus, raw and compressed.

A camera has `camera/<name>/color/image_raw`, `/depth/image_raw` and `/camera_info`; compressed, as
image_transport names them, `/color/image_raw/compressed` and `/depth/image_raw/compressedDepth`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from brs_hardware.cameras import CameraFrame
from brs_hardware.cameras.pictures import (
    DEPTH_FORMAT,
    JPEG_FORMAT,
    opencv,
    to_compressed_depth,
    to_jpeg,
)
from brs_hardware.cameras.throttle import Throttle
from brs_hardware.config import did_you_mean
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import optical_frame
from brs_nodes import conversions
from brs_nodes.common import SENSOR

# Transport -> part -> message and topic.
TRANSPORTS: dict[str, dict[str, tuple[type[Any], str]]] = {
    "raw": {"color": (Image, "color/image_raw"), "depth": (Image, "depth/image_raw")},
    "compressed": {
        "color": (CompressedImage, "color/image_raw/compressed"),
        "depth": (CompressedImage, "depth/image_raw/compressedDepth"),
    },
}
_INFO = {"info": (CameraInfo, "camera_info")}


def camera_topics(name: str, transport: str) -> dict[str, tuple[type[Any], str]]:
    """Part (color, depth, info) -> message and topic of a camera.

    Raises:
        ConfigError: unknown transport.
    """
    if transport not in TRANSPORTS:
        raise ConfigError(
            f"unknown transport '{transport}'",
            where="parameter transport",
            remedy=did_you_mean(transport, TRANSPORTS),
        )
    parts = {**TRANSPORTS[transport], **_INFO}
    return {part: (kind, f"camera/{name}/{topic}") for part, (kind, topic) in parts.items()}


# What a frame's messages are made of; arguments are (stamp, frame_id), frame, JPEG quality.
_MAKERS: dict[tuple[str, str], Callable[[tuple[float, str], CameraFrame, int], Any]] = {
    ("raw", "color"): lambda place, frame, _: conversions.color_image(*place, frame.color),
    ("raw", "depth"): lambda place, frame, _: conversions.depth_image(
        *place, np.nan_to_num(frame.depth, nan=0.0)
    ),
    ("compressed", "color"): lambda place, frame, quality: conversions.compressed_image(
        *place, JPEG_FORMAT, to_jpeg(frame.color, quality)
    ),
    ("compressed", "depth"): lambda place, frame, _: conversions.compressed_image(
        *place, DEPTH_FORMAT, to_compressed_depth(frame.depth)
    ),
}


@dataclass(frozen=True)
class Rates:
    """What goes out of a camera, and how often at most; 0 is not at all."""

    raw_hz: float = math.inf
    compressed_hz: float = 0.0
    jpeg_quality: int = 85


class CameraPublisher:
    """Publishes the frames of one camera. Pictures that nobody wants are not even made.

    Args:
        node: that publishes.
        name: of the camera.
        rates: see Rates.

    Raises:
        ConfigError: OpenCV is not installed, and compressed pictures are asked for.
    """

    def __init__(self, node: Node, name: str, rates: Rates) -> None:
        self._frame_id, self._quality = optical_frame(name), rates.jpeg_quality
        hz = {"raw": rates.raw_hz, "compressed": rates.compressed_hz}
        self._throttles = {kind: Throttle(rate) for kind, rate in hz.items() if rate > 0.0}
        if "compressed" in self._throttles:
            opencv()  # told now, and not by the thread that codes the first one
        self._pictures: dict[tuple[str, str], Publisher] = {}
        for transport in self._throttles:
            topics = camera_topics(name, transport)
            for part in ("color", "depth"):
                self._pictures[transport, part] = node.create_publisher(*topics[part], SENSOR)
        if self._throttles:
            self._info = node.create_publisher(*camera_topics(name, "raw")["info"], SENSOR)

    def publish(self, frame: CameraFrame) -> bool:
        """Send a frame by those transports whose turn it is; whether there was one."""
        due = [name for name, throttle in self._throttles.items() if throttle.lets(frame.stamp_s)]
        if not due:
            return False
        place = (frame.stamp_s, self._frame_id)
        self._info.publish(conversions.camera_info(*place, frame.intrinsics))
        for key, publisher in self._pictures.items():
            if key[0] in due and publisher.get_subscription_count():
                publisher.publish(_MAKERS[key](place, frame, self._quality))
        return True
