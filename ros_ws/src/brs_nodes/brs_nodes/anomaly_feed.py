"""Pictures of several cameras for the monitor: the newest of each, whenever it is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from rclpy.node import Node

from brs_hardware.cameras.pictures import color_of, opencv
from brs_hardware.errors import ConfigError, DeviceError
from brs_ml.anomaly.windows import shrunk
from brs_nodes.camera_topics import camera_topics
from brs_nodes.common import NEWEST, Inbox
from brs_nodes.conversions import to_seconds

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class CameraFeed:
    """Takes and decodes pictures.

    Args:
        node: whose names and context are used.
        cameras: by name.
        transport: raw or compressed.
        largest_px: width or height to which larger pictures are shrunk.

    Attributes:
        problems: camera -> what is wrong with its newest picture, while it is.

    Raises:
        ConfigError: no camera, a name that is none, or an unknown transport.
    """

    def __init__(
        self, node: Node, cameras: Sequence[str], transport: str, largest_px: int
    ) -> None:
        for camera in cameras or [""]:
            if not _NAME.fullmatch(camera):
                raise ConfigError(
                    f"'{camera}' is no name of a camera",
                    where="parameter cameras",
                    remedy="such as [head, left_wrist]",
                )
        self.problems: dict[str, str] = {}
        self._largest_px = largest_px
        self._inbox = Inbox(node)
        topics = {camera: camera_topics(camera, transport)["color"] for camera in cameras}
        self._takes = {
            camera: self._inbox.newest(kind, topic, NEWEST)
            for camera, (kind, topic) in topics.items()
        }

    def frames(self) -> Iterator[tuple[str, np.ndarray | None, float]]:
        """Camera, (h, w, 3) uint8 RGB and stamp [s] of what has come since the last call.

        None stands for a picture that cannot be decoded.
        """
        for camera, take in self._takes.items():
            message = take()
            if message is None:
                continue
            stamp_s = to_seconds(message.header.stamp)
            try:
                frame = shrunk(color_of(message, camera), self._largest_px)
                self.problems.pop(camera, None)
            except (DeviceError, opencv().error, MemoryError) as error:
                frame = None
                self.problems[camera] = " ".join(str(error).split())
            yield camera, frame, stamp_s

    def close(self) -> None:
        """Give up all topics."""
        self._inbox.close()
