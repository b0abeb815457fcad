"""Makes clouds in a thread of its own and publishes them with what they were made of."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from brs_interfaces.msg import CloudState
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from brs_hardware.cameras import CameraFrame
from brs_hardware.errors import BrsError
from brs_hardware.perception.cloud import FusedCloud
from brs_hardware.perception.fuser import CloudFuser
from brs_nodes.cloud_feed import CloudFeed
from brs_nodes.cloud_messages import cloud_state, cloud_to_message, no_cloud_state
from brs_nodes.common import LATCHED, SENSOR, Inbox, log, now_s

_POLL_S = 0.004
_SILENT_S = 1.0  # without a cloud for so long, that is told, and again as often


class CloudWorker:
    """Looks at topics, fuses and publishes `perception/cloud` and `perception/state`.

    Args:
        node: that publishes.
        fuser: used by the worker's thread alone from `start` on.
        feed: to that fuser.
        count: told `clouds` for each one.
    """

    def __init__(
        self, node: Node, fuser: CloudFuser, feed: CloudFeed, count: Callable[[str], None]
    ) -> None:
        self._node, self._fuser, self._feed, self._count = node, fuser, feed, count
        self._inbox = Inbox(node)
        self._takes = {
            topic: self._inbox.all(kind, topic, qos) for topic, (kind, qos) in feed.topics.items()
        }
        self._frames: queue.SimpleQueue[tuple[str, CameraFrame]] = queue.SimpleQueue()
        self._cloud = node.create_publisher(PointCloud2, "perception/cloud", SENSOR)
        self._state_topic = node.create_publisher(CloudState, "perception/state", LATCHED)
        self._state = CloudState()
        self._reasons = fuser.left_out
        self._told: dict[str, str] = {}
        self._failure = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fusion", daemon=True)

    def start(self) -> None:
        """Begin to fuse."""
        self._thread.start()

    def add_frame(self, camera: str, frame: CameraFrame) -> None:
        """Take in a frame from any thread; returns at once."""
        self._frames.put((camera, frame))

    def _run(self) -> None:
        try:
            self._fuser.warm_up()
            told_s = time.monotonic()
            while not self._closing.is_set():
                self._look()
                began_s = time.perf_counter()
                fused = self._fuser.step(now_s(self._node))
                if fused is not None:
                    self._publish(fused, time.perf_counter() - began_s)
                    self._feed.judge()
                    told_s = time.monotonic()
                elif time.monotonic() - told_s > _SILENT_S:
                    self._feed.judge()
                    self._tell_silence()
                    told_s += _SILENT_S
                self._tell_problems()
                self._closing.wait(_POLL_S)
        except BrsError as error:
            self._failure = str(error)
            self._node.get_logger().fatal(f"no clouds: {error}")

    def _look(self) -> None:
        while not self._frames.empty():
            self._feed.add_frame(*self._frames.get())
        for topic, take in self._takes.items():
            for message in take():
                self._feed.accept(topic, message)

    def _publish(self, fused: FusedCloud, fusion_s: float) -> None:
        self._cloud.publish(cloud_to_message(fused.stamp_s, fused.cloud))
        self._state = cloud_state(fused, self._feed.problems, fusion_s, now_s(self._node))
        self._state_topic.publish(self._state)
        self._reasons = self._fuser.left_out
        self._count("clouds")

    def _tell_silence(self) -> None:
        # Reasons of an earlier round are no reasons of now.
        reasons = self._fuser.left_out if self._fuser.left_out is not self._reasons else {}
        self._reasons = self._fuser.left_out
        left_out = {
            camera: self._feed.problems.get(camera, reasons.get(camera, "no usable frame"))
            for camera in self._feed.cameras
        }
        self._state = no_cloud_state(left_out, self._fuser.dropped, now_s(self._node))
        self._state_topic.publish(self._state)

    def _tell_problems(self) -> None:
        """One line when a source goes wrong, one when it is well again."""
        if self._feed.problems == self._told:
            return
        for source, problem in self._feed.problems.items():
            if source not in self._told:
                log(self._node, True, f"refused: {problem}")
        for source in self._told.keys() - self._feed.problems.keys():
            log(self._node, False, f"{source}: well again")
        self._told = dict(self._feed.problems)

    def summary(self) -> tuple[int, str, dict[str, Any]]:
        """Level, line and values for /diagnostics."""
        state = self._state
        values = {
            "points": state.points,
            "held points": state.held,
            "frames in no cloud": state.dropped,
            "messages refused": self._feed.refused,
            "fusion [ms]": f"{1e3 * state.fusion_s:.1f}",
            "age of the cloud [ms]": f"{1e3 * state.age_s:.1f}",
        }
        if self._failure or not self._thread.is_alive():
            return 2, self._failure or "fusing has stopped", values
        wrong = [
            f"{camera}: {reason}"
            for camera, reason in zip(state.left_out, state.reasons, strict=True)
        ]
        wrong += [line for source, line in self._told.items() if source not in state.left_out]
        wrong += self._feed.poor_pictures()
        line = f"a cloud of {', '.join(state.cameras)}" if state.cameras else "no cloud"
        level = 2 if not state.cameras else int(bool(wrong))
        return level, "; ".join([line, *wrong]), values

    def close(self) -> None:
        """Stop the thread before its topics go."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        self._inbox.close()
