"""What the vendor's drivers and controllers tell and listen to, in place of a real robot's."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float32

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_nodes import conversions
from brs_nodes.common import LATCHED, NEWEST, SENSOR, Inbox
from brs_nodes.vendor import BASE_COMMAND_TYPES, GRIPPER_COMMAND_TYPES
from brs_sim.world import VendorFeedback


class Follower(Protocol):
    """Whoever does what the commands say, such as a World."""

    def command_joints(self, group: str, positions: np.ndarray) -> None:
        """Position targets (n,) [rad] of a group."""

    def command_gripper(self, name: str, stroke_mm: float) -> None:
        """Opening [mm] of a gripper."""

    def command_base(self, vx: float, vy: float, wz: float) -> None:
        """Velocity in base_link [m/s, m/s, rad/s]."""

    def brake(self, on: bool) -> None:
        """The chassis brake."""


class DriverTopics:
    """Publishes feedback, and hands commands on.

    Args:
        node: owns the publishers.
        robot: names the topics and their types.
    """

    def __init__(self, node: Node, robot: Embodiment) -> None:
        self._node, self._robot = node, robot
        self._open_feedback()
        self._open_commands()

    def close(self) -> None:
        """Give up the commands' topics."""
        self._inbox.close()

    def _open_feedback(self) -> None:
        node, robot = self._node, self._robot
        self._joints = {
            name: node.create_publisher(JointState, robot.group(name).feedback_topic, SENSOR)
            for name in robot.GROUPS
        }
        self._grippers = {
            name: node.create_publisher(JointState, robot.gripper(name).feedback_topic, SENSOR)
            for name in robot.GRIPPERS
        }
        self._chassis = node.create_publisher(JointState, robot.base.feedback_topic, SENSOR)
        self._odometry = node.create_publisher(Odometry, robot.base.odometry_topic, SENSOR)

    def _open_commands(self) -> None:
        robot = self._robot
        gripper_type = GRIPPER_COMMAND_TYPES[robot.vendor.gripper_command]
        base_type = BASE_COMMAND_TYPES[robot.vendor.base_command]
        self._inbox = Inbox(self._node)
        self._joints_in = {
            name: self._inbox.newest(JointState, robot.group(name).command_topic, NEWEST)
            for name in robot.GROUPS
        }
        self._grippers_in = {
            name: self._inbox.newest(gripper_type, robot.gripper(name).command_topic, NEWEST)
            for name in robot.GRIPPERS
        }
        self._base_in = self._inbox.newest(base_type, robot.base.command_topic, NEWEST)
        if topic := robot.vendor.acceleration_limit_topic:
            # Listened to, as the vendor's controller does; the simulated base keeps its own limit.
            self._inbox.newest(base_type, topic, NEWEST)
        self._brake_in = self._inbox.newest(Bool, robot.base.brake_topic, LATCHED)

    def publish(self, stamp_s: float, feedback: VendorFeedback) -> None:
        """Tell what joints, grippers and chassis measure."""
        for name, publisher in self._joints.items():
            state, group = feedback.joints[name], self._robot.group(name)
            names = self._robot.vendor.feedback_names.get(name, group.joints)
            # Some drivers send more entries than there are joints.
            spare = self._robot.vendor.feedback_counts.get(name, len(names)) - len(names)
            values = [
                np.pad(value, (0, spare)) if spare else value
                for value in (state.position, state.velocity, state.effort)
            ]
            publisher.publish(conversions.joint_state(stamp_s, () if spare else names, *values))
        for name, publisher in self._grippers.items():
            gripper = feedback.grippers[name]
            stroke, speed, effort = (
                np.array([value])
                for value in (gripper.stroke_mm, gripper.velocity, gripper.effort)
            )
            publisher.publish(conversions.joint_state(stamp_s, (name,), stroke, speed, effort))
        if self._robot.vendor.base_feedback == "wheels":
            rim_speed = feedback.wheel_speed * self._robot.base.wheel_radius
            velocity = np.concatenate([rim_speed, np.zeros(3)])
        else:  # vx, vy, wz first; we add the wheels' rolling speeds
            velocity = np.concatenate([feedback.base_velocity, feedback.wheel_speed])
        self._chassis.publish(
            conversions.joint_state(stamp_s, ("chassis",), feedback.wheel_angle, velocity)
        )

    def publish_odometry(self, stamp_s: float, feedback: VendorFeedback) -> None:
        """Tell where the base is, in `odom`, and how it moves."""
        message = Odometry(child_frame_id="base_link")
        message.header.stamp, message.header.frame_id = conversions.to_time(stamp_s), "odom"
        x, y, yaw = map(float, feedback.base_pose)
        message.pose.pose.position.x, message.pose.pose.position.y = x, y
        message.pose.pose.orientation.z = math.sin(yaw / 2)
        message.pose.pose.orientation.w = math.cos(yaw / 2)
        vx, vy, wz = map(float, feedback.base_velocity)
        message.twist.twist.linear.x, message.twist.twist.linear.y = vx, vy
        message.twist.twist.angular.z = wz
        self._odometry.publish(message)

    def hand_on(self, follower: Follower) -> None:
        """Hand the newest command of each topic on, as the vendor's trackers do."""
        for name, newest in self._joints_in.items():
            if message := newest():
                self._command(follower.command_joints, name, np.array(message.position))
        for name, newest in self._grippers_in.items():
            if message := newest():
                stroke = [message.data] if isinstance(message, Float32) else message.position[:1]
                self._command(follower.command_gripper, name, *stroke)
        if message := self._base_in():
            twist: Twist = message.twist if isinstance(message, TwistStamped) else message
            self._command(follower.command_base, twist.linear.x, twist.linear.y, twist.angular.z)
        if brake := self._brake_in():
            follower.brake(brake.data == self._robot.vendor.brake_value)

    def _command(self, apply: Any, *values: Any) -> None:
        """Like the vendor's driver, a malformed command is dropped with a line in the log."""
        try:
            apply(*values)
        except (BrsError, TypeError) as error:
            self._node.get_logger().error(f"command refused: {error}", throttle_duration_sec=1.0)
