"""Pictures and joints for the calibration of a camera: from the running stack or from a bag."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brs_hardware.camera_calibration.views import Remark, ViewCollector
from brs_hardware.cameras.frame import Intrinsics
from brs_hardware.cameras.matching import intrinsics_of
from brs_hardware.cameras.pictures import color_of
from brs_hardware.errors import BrsError, DeviceError
from brs_ml.episode import EpisodeReader

STATE = "robot/state"
REFRESH_S = 0.1
_PINHOLES = ("", "plumb_bob", "rational_polynomial")


class MessageFeed:
    """Hands messages of one camera, and of the robot's state, to a collector."""

    def __init__(self, camera: str, collector: ViewCollector) -> None:
        base = f"camera/{camera}"
        self.color_topic, self.info_topic = f"{base}/color/image_raw", f"{base}/camera_info"
        self.topics = (self.color_topic, self.info_topic, STATE)
        self._collector = collector
        self._intrinsics: Intrinsics | None = None
        self.seen: set[str] = set()  # topics

    def take(self, topic: str, message: Any) -> Remark | None:
        """One message; what became of a picture, once that is known.

        Raises:
            DeviceError: pictures that cannot be read, or of a lens that is no pinhole.
        """
        self.seen.add(topic)
        if topic == self.info_topic:
            if message.distortion_model not in _PINHOLES:
                raise DeviceError(
                    f"is of a lens '{message.distortion_model}'",
                    where=topic,
                    remedy="publish rectified pictures",
                )
            self._intrinsics = intrinsics_of(message, topic)
        elif topic == STATE:
            from brs_nodes.conversions import state_from_message

            return self._collector.add_state(state_from_message(message))
        elif self._intrinsics is not None:
            stamp = message.header.stamp
            self._collector.add_picture(
                stamp.sec + 1e-9 * stamp.nanosec, color_of(message, topic), self._intrinsics
            )
        return None


def watch(
    namespace: str, camera: str, collector: ViewCollector, show: Callable[[str], None]
) -> None:
    """Listen to the running stack until the collector has what it wants.

    Args:
        namespace: of the robot's nodes.
        camera: whose topics to listen to.
        collector: gets what comes.
        show: told what became of the newest picture, ten times a second.

    Raises:
        BrsError: the workspace is not built, or pictures cannot be read.
    """
    try:
        import rclpy
        from brs_interfaces.msg import WholeBodyState
        from rclpy.node import Node
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from rclpy.signals import SignalHandlerOptions
        from sensor_msgs.msg import CameraInfo, Image

        from brs_nodes.common import NEWEST
    except ImportError as error:
        raise BrsError(
            f"the workspace is not built ({error})", remedy="run `make setup`"
        ) from None
    feed = MessageFeed(camera, collector)
    remarks: list[Remark] = []

    def take(topic: str, message: Any) -> None:
        if remark := feed.take(topic, message):
            remarks.append(remark)

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C stays Python's
    try:
        node = Node("calibrate_cameras", namespace=namespace, start_parameter_services=False)
        for topic, kind, qos in (
            (feed.color_topic, Image, NEWEST),
            (feed.info_topic, CameraInfo, NEWEST),
            # States go on while the board is searched for in a picture.
            (
                STATE,
                WholeBodyState,
                QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT),
            ),
        ):
            node.create_subscription(kind, topic, lambda m, t=topic: take(t, m), qos)
        shown_s = 0.0
        while collector.lack:
            rclpy.spin_once(node, timeout_sec=REFRESH_S)
            if time.monotonic() - shown_s >= REFRESH_S:
                silent = [topic for topic in feed.topics if topic not in feed.seen]
                newest = remarks[-1].text if remarks else "waiting for the robot to stand still"
                show(f"nothing comes on {', '.join(silent)}" if silent else newest)
                shown_s = time.monotonic()
        show(remarks[-1].text if remarks else "")
    finally:
        rclpy.try_shutdown()


def read_bag(path: Path, camera: str, collector: ViewCollector) -> list[Remark]:
    """Hand all of a recording to the collector; what became of its pictures.

    Raises:
        BrsError: a topic is missing, or pictures cannot be read.
        EpisodeError: no recording, or a damaged one.
    """
    reader, feed = EpisodeReader(path), MessageFeed(camera, collector)
    names = {reader.topic_named(topic).name: topic for topic in feed.topics}
    remarks = []
    for message, content in reader.decoded(names):
        if remark := feed.take(names[message.topic], content):
            remarks.append(remark)
    return remarks
