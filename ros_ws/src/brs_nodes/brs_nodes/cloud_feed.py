"""What clouds are made of, from messages: the same from the bus and from a bag."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from brs_hardware.cameras import CameraFrame
from brs_hardware.cameras.matching import FrameMatcher
from brs_hardware.cameras.quality import FrameQuality
from brs_hardware.cameras.throttle import Throttle
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_hardware.feedback import joint_order
from brs_hardware.kinematics import optical_frame
from brs_hardware.perception.fuser import CloudFuser
from brs_nodes import conversions
from brs_nodes.camera_topics import camera_topics
from brs_nodes.common import SENSOR

# Every sample counts, as poses are interpolated: half a second of what may wait while one fuses.
_STREAM = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.BEST_EFFORT
)


class CloudFeed:
    """Hands messages of one robot to a CloudFuser, and tells which it had to refuse.

    Args:
        robot: whose joints and cameras they are.
        fuser: that makes clouds of them.
        cameras: that the fuser expects.
        transport: of their pictures, `raw` or `compressed`; None: they come by `add_frame`.
        cloud_hz: frames of each camera a second, at most, that are used.

    Attributes:
        topics: topic -> message and QoS of all that `accept` takes.
        refused: messages so far that were no good.
        cameras: as given.
        problems: source -> what was wrong with its newest message, while it is.

    Raises:
        ConfigError: unknown transport.
    """

    def __init__(
        self,
        robot: Embodiment,
        fuser: CloudFuser,
        cameras: Collection[str],
        transport: str | None,
        cloud_hz: float = math.inf,
    ) -> None:
        self.topics: dict[str, tuple[type[Any], QoSProfile]] = {}
        self.refused = 0
        self.problems: dict[str, str] = {}
        self.cameras = tuple(cameras)
        self._robot, self._fuser = robot, fuser
        self._takes: dict[str, tuple[str, Callable[[Any], None]]] = {}
        self._throttles = {name: Throttle(cloud_hz) for name in cameras}
        # Who owns a camera judges its pictures; those that come by topics are judged here.
        self._qualities = {name: FrameQuality() for name in cameras if transport is not None}
        self._unjudged: dict[str, CameraFrame] = {}
        for group in robot.GROUPS:
            topic = robot.group(group).feedback_topic
            self._open(group, topic, JointState, _STREAM, partial(self._take_joints, group))
        for name in robot.GRIPPERS:
            topic = robot.gripper(name).feedback_topic
            self._open(name, topic, JointState, _STREAM, partial(self._take_gripper, name))
        topic = robot.base.odometry_topic
        self._open("base", topic, Odometry, _STREAM, self._take_odometry)
        if transport is not None:
            for camera in cameras:
                self._open_camera(camera, transport)

    def accept(self, topic: str, message: Any) -> None:
        """Take in a message of one of `topics`; what is no good is refused and counted."""
        source, take = self._takes[topic]
        try:
            take(message)
        except BrsError as error:
            self.refused += 1
            self.problems[source] = str(error)

    def add_frame(self, camera: str, frame: CameraFrame) -> None:
        """Take in a frame of a camera of the robot, if its turn has come."""
        self.problems.pop(camera, None)
        if self._throttles[camera].lets(frame.stamp_s):
            self._fuser.add_frame(camera, frame)

    def _open_camera(self, camera: str, transport: str) -> None:
        matcher = FrameMatcher(camera, optical_frame(camera))
        for part, (kind, topic) in camera_topics(camera, transport).items():
            take = partial(self._take_part, camera, matcher, part)
            self._open(camera, topic, kind, SENSOR, take)

    def _open(
        self,
        source: str,
        topic: str,
        kind: type[Any],
        qos: QoSProfile,
        take: Callable[[Any], None],
    ) -> None:
        self.topics[topic] = (kind, qos)
        self._takes[topic] = (source, take)

    def _take_part(self, camera: str, matcher: FrameMatcher, part: str, message: Any) -> None:
        for frame in matcher.add(part, message):
            self._unjudged[camera] = frame
            self.add_frame(camera, frame)

    def judge(self) -> None:
        """Judge the newest pictures that came by topics; for when no cloud waits for them."""
        while self._unjudged:
            camera, frame = self._unjudged.popitem()
            self._qualities[camera].look(frame)

    def poor_pictures(self) -> list[str]:
        """What is wrong with pictures that came by topics and are used all the same."""
        return [
            f"{camera}: {line}"
            for camera, quality in self._qualities.items()
            for line in quality.problems().values()
        ]

    def _take_joints(self, group: str, message: JointState) -> None:
        order = joint_order(self._robot, group, message.name)
        if len(message.position) <= order.max():
            raise ConfigError(
                f"{len(message.position)} joint positions, {order.max() + 1} expected",
                where=self._robot.group(group).feedback_topic,
                remedy="check the robot:= argument against the robot at hand",
            )
        stamp_s = conversions.to_seconds(message.header.stamp)
        self._fuser.add_joints(group, stamp_s, np.array(message.position)[order])
        self.problems.pop(group, None)

    def _take_gripper(self, name: str, message: JointState) -> None:
        if message.position:
            stamp_s = conversions.to_seconds(message.header.stamp)
            closed = self._robot.gripper(name).to_closed(message.position[0])
            self._fuser.add_joints(name, stamp_s, np.array([closed]))

    def _take_odometry(self, message: Odometry) -> None:
        stamp_s = conversions.to_seconds(message.header.stamp)
        self._fuser.add_base(stamp_s, conversions.planar_pose(message.pose.pose))
