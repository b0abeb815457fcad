"""All vendor topics of one embodiment behind one object, used by the robot node.

Everything that differs between SDK generations is data of the embodiment file; here is only the
choice of message types that it names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist, TwistStamped
from hdas_msg.msg import Bms, FeedbackStatus
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float32

from brs_hardware.embodiment import Embodiment
from brs_hardware.end_effectors import ParallelJaw
from brs_hardware.errors import ConfigError
from brs_hardware.feedback import FeedbackAssembler
from brs_hardware.galaxea.battery import Battery, battery_problem
from brs_hardware.galaxea.faults import Fault, FaultSeverity, decode
from brs_hardware.types import WholeBodyCommand, WholeBodyState
from brs_nodes import conversions
from brs_nodes.common import COMMAND, LATCHED, NEWEST, SENSOR, Inbox

GRIPPER_COMMAND_TYPES = {"joint_state": JointState, "float32": Float32}
BASE_COMMAND_TYPES = {"twist_stamped": TwistStamped, "twist": Twist}
# The chassis controller forgets its acceleration limit when it is restarted.
LIMIT_EVERY = 100  # base commands


def faults_from_message(part: str, message: FeedbackStatus) -> list[Fault]:
    """What the motors of a part report; empty where all are well."""
    entries = [
        decode(part, error.name or message.name_id, error.error_code, error.error_description)
        for error in message.errors
    ]
    return [fault for fault in entries if fault is not None]


def battery_from_message(message: Bms) -> Battery:
    return Battery(message.voltage, message.current, message.capital)


class VendorTopics:
    """Publishers and polled subscriptions with the types of this SDK generation.

    Args:
        node: owns the publishers and the slow subscriptions (status, battery).
        embodiment: the robot.
        inbox: polls the fast feedback.
        needs_pose: whether odometry counts as feedback that must not be missing or old.
    """

    def __init__(
        self, node: Node, embodiment: Embodiment, inbox: Inbox, needs_pose: bool = False
    ) -> None:
        self._node, self._robot = node, embodiment
        self._assembler = FeedbackAssembler(embodiment, needs_pose)
        self._refused = ""
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._battery: Battery | None = None
        self._base_commands = 0
        self._sources: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []
        self._owned: list[Any] = []  # of the node, to be destroyed by close()
        self._open_feedback(inbox)
        self._open_status()
        self._open_commands()

    # -- feedback --------------------------------------------------------------------------

    def _open_feedback(self, inbox: Inbox) -> None:
        robot = self._robot
        for name in robot.GROUPS:
            newest = inbox.newest(JointState, robot.group(name).feedback_topic, NEWEST)
            self._sources.append((newest, partial(self._take_joints, name)))
        for name in robot.GRIPPERS:
            newest = inbox.newest(JointState, robot.gripper(name).feedback_topic, NEWEST)
            self._sources.append((newest, partial(self._take_gripper, name)))
        newest = inbox.newest(JointState, robot.base.feedback_topic, NEWEST)
        self._sources.append((newest, self._take_chassis))
        odometry = inbox.newest(Odometry, robot.base.odometry_topic, NEWEST)
        self._sources.append((odometry, self._take_odometry))
        if robot.vendor.chassis_speed_topic:
            # Only that somebody listens matters; what comes is dropped by its queue of one.
            inbox.newest(TwistStamped, robot.vendor.chassis_speed_topic, NEWEST)

    def look(self) -> WholeBodyState | None:
        """Take the newest messages and assemble them; None until every part came.

        Malformed feedback counts as none; the first of a kind is logged.
        """
        for newest, take in self._sources:
            if (message := newest()) is None:
                continue
            try:
                take(message)
            except ConfigError as error:
                if str(error) != self._refused:
                    self._refused = str(error)
                    self._node.get_logger().error(f"feedback refused: {error}")
        return self._assembler.state()

    def missing(self) -> tuple[str, ...]:
        """Feedback topics that never delivered."""
        return tuple(self._assembler.missing())

    def _take_joints(self, group: str, message: JointState) -> None:
        self._assembler.joints(
            group,
            conversions.to_seconds(message.header.stamp),
            message.name,
            np.array(message.position),
            np.array(message.velocity),
            np.array(message.effort),
        )

    def _take_gripper(self, name: str, message: JointState) -> None:
        stroke_mm = message.position[0] if message.position else math.nan
        stamp_s = conversions.to_seconds(message.header.stamp)
        self._assembler.gripper(name, stamp_s, stroke_mm)

    def _take_chassis(self, message: JointState) -> None:
        stamp_s = conversions.to_seconds(message.header.stamp)
        self._assembler.chassis(stamp_s, np.array(message.position), np.array(message.velocity))

    def _take_odometry(self, message: Odometry) -> None:
        stamp_s = conversions.to_seconds(message.header.stamp)
        self._assembler.base_pose(stamp_s, conversions.planar_pose(message.pose.pose))

    # -- status ----------------------------------------------------------------------------

    def _open_status(self) -> None:
        """Faults and battery come a few times a second, so the node's executor may wake for them.

        A driver may send one message a motor: none may be skipped, as polling the newest would.
        """
        vendor = self._robot.vendor
        for part, topic in vendor.status_topics.items():
            self._subscribe(FeedbackStatus, topic, partial(self._on_status, part))
        if vendor.battery is not None:
            self._subscribe(Bms, vendor.battery.topic, self._on_battery)

    def _subscribe(self, kind: Any, topic: str, callback: Callable[[Any], None]) -> None:
        self._owned.append(self._node.create_subscription(kind, topic, callback, SENSOR))

    def _on_status(self, part: str, message: FeedbackStatus) -> None:
        self._faults[part, message.name_id] = faults_from_message(part, message)

    def _on_battery(self, message: Bms) -> None:
        self._battery = battery_from_message(message)

    def faults(self) -> tuple[Fault, ...]:
        """What the motors report now."""
        return tuple(fault for faults in self._faults.values() for fault in faults)

    def problems(self) -> dict[str, str]:
        """Rule -> message of what is wrong with the hardware now.

        Rules: `motor_fault` (stop), `motor_warning`, `battery_critical`, `battery_low`,
        `battery_unreadable`.
        """
        problems: dict[str, str] = {}
        for rule, severity in (
            ("motor_fault", FaultSeverity.ERROR),
            ("motor_warning", FaultSeverity.WARNING),
        ):
            faults = [str(fault) for fault in self.faults() if fault.severity is severity]
            if faults:
                problems[rule] = "; ".join(faults)
        levels = self._robot.vendor.battery
        if levels is not None and (found := battery_problem(self._battery, levels)):
            problems[found[0]] = found[1]
        return problems

    def battery(self) -> Battery | None:
        """The battery as last reported; None if it never was."""
        return self._battery

    # -- commands --------------------------------------------------------------------------

    def _open_commands(self) -> None:
        robot, vendor = self._robot, self._robot.vendor
        self._joint_publishers = {
            name: self._publisher(JointState, robot.group(name).command_topic)
            for name in robot.GROUPS
        }
        gripper_type = GRIPPER_COMMAND_TYPES[vendor.gripper_command]
        self._jaws = {}
        for name in robot.GRIPPERS:
            publisher = self._publisher(gripper_type, robot.gripper(name).command_topic)
            self._jaws[name] = ParallelJaw(
                robot.gripper(name), partial(self._send_stroke, name, publisher)
            )
        self._base_type = BASE_COMMAND_TYPES[vendor.base_command]
        self._base_publisher = self._publisher(self._base_type, robot.base.command_topic)
        self._brake_publisher = self._publisher(Bool, robot.base.brake_topic, LATCHED)
        self._limit_publisher: Publisher | None = None
        if vendor.acceleration_limit_topic:
            topic = vendor.acceleration_limit_topic
            self._limit_publisher = self._publisher(self._base_type, topic, LATCHED)

    def _publisher(self, kind: Any, topic: str, qos: QoSProfile | None = None) -> Publisher:
        if qos is None:
            transient = self._robot.vendor.command_durability == "transient_local"
            qos = LATCHED if transient else COMMAND
        publisher = self._node.create_publisher(kind, topic, qos)
        self._owned.append(publisher)
        return publisher

    def send(self, command: WholeBodyCommand) -> None:
        """Publish a whole-body command.

        Messages carry the stamp of what caused them, so that latency can be measured from bags.
        The base comes first: it alone must not be told to move by what has grown old.
        """
        robot, stamp_s = self._robot, command.stamp_s
        self.send_base(stamp_s, command.base_velocity)
        for name, publisher in self._joint_publishers.items():
            publisher.publish(
                conversions.joint_state(stamp_s, robot.group(name).joints, getattr(command, name))
            )
        for name, jaw in self._jaws.items():
            jaw.act(stamp_s, getattr(command, name))

    def _send_stroke(
        self, name: str, publisher: Publisher, stamp_s: float, stroke_mm: float
    ) -> None:
        if self._robot.vendor.gripper_command == "float32":
            publisher.publish(Float32(data=stroke_mm))
        else:
            publisher.publish(conversions.joint_state(stamp_s, (name,), np.array([stroke_mm])))

    def send_base(self, stamp_s: float, velocity: np.ndarray) -> None:
        """Publish a base velocity (3,) vx, vy [m/s], wz [rad/s] in base_link alone."""
        if self._limit_publisher is not None and self._base_commands % LIMIT_EVERY == 0:
            limit = self._robot.vendor.acceleration_limit
            self._limit_publisher.publish(self._twist(stamp_s, limit))
        self._base_commands += 1
        self._base_publisher.publish(self._twist(stamp_s, velocity))

    def _twist(self, stamp_s: float, values: np.ndarray) -> Twist | TwistStamped:
        message = self._base_type()
        twist = message
        if isinstance(message, TwistStamped):
            message.header.stamp = conversions.to_time(stamp_s)
            message.header.frame_id = "base_link"
            twist = message.twist
        twist.linear.x, twist.linear.y = float(values[0]), float(values[1])
        twist.angular.z = float(values[2])
        return message

    def brake(self, on: bool) -> None:
        """Set or release the chassis brake."""
        self._brake_publisher.publish(Bool(data=on == self._robot.vendor.brake_value))

    def close(self) -> None:
        """Give up the node's publishers and subscriptions; the inbox is the caller's."""
        for entity in self._owned:
            destroy = (
                self._node.destroy_publisher
                if isinstance(entity, Publisher)
                else self._node.destroy_subscription
            )
            destroy(entity)
        self._owned.clear()
