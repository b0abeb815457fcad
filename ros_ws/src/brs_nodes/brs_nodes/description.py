"""Node `description`: all that RViz, Foxglove and rerun need to show the robot.

`robot_description` and /tf_static are there for whoever comes later, too. /tf and `joint_states`
carry the stamps of the measurements, and stop where feedback stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from brs_hardware.camera_calibration.mounts import with_measured_mounts
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.robot_frames import ODOMETRY, WHEELS, RobotFrames, urdf_text
from brs_nodes import conversions
from brs_nodes.common import (
    LATCHED,
    NEWEST,
    Diagnostics,
    Inbox,
    Priority,
    declare,
    log,
    now_s,
    parameter,
    run,
)
from brs_nodes.tf_messages import TransformWriter


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    rate_hz: float = parameter(30.0, "rate of /tf and joint_states", 1.0, 200.0)
    timeout_s: float = parameter(0.5, "older feedback is not passed on [s]", 0.02, 10.0)
    measured_mounts: bool = parameter(False, "real cameras: stand where they were measured to")
    frame_prefix: str = parameter("", "put before the name of every frame, such as left/")


class DescriptionNode(Node):
    """Thin shell around RobotFrames."""

    def __init__(self) -> None:
        super().__init__("description")
        self.parameters = declare(self, Parameters)
        self.robot = load_embodiment(self.parameters.robot)
        if self.parameters.measured_mounts:
            self.robot = with_measured_mounts(self.robot)
        self.frames = RobotFrames(self.robot, self.parameters.timeout_s)
        self._inbox = Inbox(self)
        self._sources = self._open_feedback()
        self._refused: dict[str, str] = {}  # part -> what was said of it last
        self._lost = set(self.frames.lost(now_s(self)))
        self._writer = TransformWriter(self.parameters.frame_prefix)
        self._transforms = self.create_publisher(TFMessage, "/tf", 10)
        self._joints = self.create_publisher(JointState, "joint_states", 10)
        self._static = self.create_publisher(TFMessage, "/tf_static", LATCHED)
        self._static.publish(self._writer.message(self.frames.static))
        self._description = self.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=urdf_text(self.robot)))
        self.diagnostics = Diagnostics(self, self._summary)
        self.create_timer(1.0 / self.parameters.rate_hz, self._beat)

    def _open_feedback(self) -> dict[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
        """Part -> where its newest message comes from, and who takes it."""
        robot, newest = self.robot, self._inbox.newest
        topics: dict[str, tuple[str, Callable[[Any], None]]] = {
            name: (robot.group(name).feedback_topic, partial(self._take_joints, name))
            for name in robot.GROUPS
        }
        topics |= {
            name: (robot.gripper(name).feedback_topic, partial(self._take_gripper, name))
            for name in robot.GRIPPERS
        }
        topics[WHEELS] = (robot.base.feedback_topic, self._take_chassis)
        sources = {
            part: (newest(JointState, topic, NEWEST), take)
            for part, (topic, take) in topics.items()
        }
        odometry = newest(Odometry, robot.base.odometry_topic, NEWEST)
        return {**sources, ODOMETRY: (odometry, self._take_odometry)}

    # -- feedback ----------------------------------------------------------------------------

    def _take_joints(self, group: str, message: JointState) -> None:
        stamp_s = conversions.to_seconds(message.header.stamp)
        self.frames.take_joints(group, stamp_s, message.name, np.array(message.position))

    def _take_gripper(self, name: str, message: JointState) -> None:
        stroke_mm = message.position[0] if message.position else math.nan
        self.frames.take_gripper(name, conversions.to_seconds(message.header.stamp), stroke_mm)

    def _take_chassis(self, message: JointState) -> None:
        stamp_s = conversions.to_seconds(message.header.stamp)
        self.frames.take_chassis(stamp_s, np.array(message.position))

    def _take_odometry(self, message: Odometry) -> None:
        point, turn = message.pose.pose.position, message.pose.pose.orientation
        self.frames.take_odometry(
            conversions.to_seconds(message.header.stamp),
            np.array([point.x, point.y, point.z]),
            np.array([turn.x, turn.y, turn.z, turn.w]),
        )

    # -- what is told ------------------------------------------------------------------------

    def _beat(self) -> None:
        for part, (newest, take) in self._sources.items():
            if (message := newest()) is not None:
                self._attempt(part, partial(take, message))
        now = now_s(self)
        told = self.frames.transforms(now)
        if told.children:
            self.diagnostics.count("transforms", len(told.children))
            # Half of the node's work, done only where somebody listens.
            if self._transforms.get_subscription_count():
                self._transforms.publish(self._writer.message(told))
            if self._joints.get_subscription_count():
                self._publish_joints(now)
        self._tell_losses(set(self.frames.lost(now)))

    def _publish_joints(self, now: float) -> None:
        if (joints := self.frames.joint_positions(now)) is not None:
            self._joints.publish(
                conversions.joint_state(joints.stamp_s, joints.names, joints.positions)
            )

    def _attempt(self, part: str, take: Callable[[], None]) -> None:
        """Malformed feedback counts as none; the first of a kind is logged."""
        try:
            take()
        except ConfigError as error:
            self.diagnostics.count("refused")
            if str(error) != self._refused.get(part):
                self._refused[part] = str(error)
                self.get_logger().error(f"feedback refused: {error}")

    def _tell_losses(self, lost: set[str]) -> None:
        if lost != self._lost:
            line = f"no feedback of {', '.join(sorted(lost))}" if lost else "all feedback is there"
            log(self, bool(lost - self._lost), line)
        self._lost = lost

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        lost = self.frames.lost(now_s(self))
        values = {**lost, "not measured": ", ".join(self.frames.unmeasured)}
        if not lost:
            return 0, f"{len(self.frames.joints)} joints", values
        parts = len(self.robot.GROUPS) + len(self.robot.GRIPPERS)
        return (2 if len(lost) >= parts else 1), f"no feedback of {', '.join(lost)}", values

    def close(self) -> None:
        """Give up the polled topics."""
        self._inbox.close()


def main() -> None:
    run(DescriptionNode, Priority.BACKGROUND)
