"""Node `robot`: the only publisher of vendor command topics.

Takes commands of the selected source, lets the safety supervisor decide, and sends the result at
once. A tick at 100 Hz holds the robot still when commands stop and publishes `robot/state`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from brs_interfaces import msg as brs_msg
from brs_interfaces.srv import Arm, SelectSource
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.feedback import FeedbackAssembler
from brs_hardware.safety import (
    SOURCES,
    Mode,
    SafetyConfig,
    SafetyEvent,
    SafetySupervisor,
    SafetyVerdict,
)
from brs_hardware.types import WholeBodyCommand, WholeBodyState
from brs_nodes import conversions
from brs_nodes.common import (
    COMMAND,
    LATCHED,
    NEWEST,
    SENSOR,
    Diagnostics,
    Inbox,
    Priority,
    declare,
    log,
    now_s,
    parameter,
    run,
)

TICK_HZ = 100.0
SAFETY_HZ = 10.0


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    source: str = parameter("teleop", "whose commands count: teleop, policy or replay")
    command_timeout_s: float = parameter(0.08, "commands older than this are stale", 0.02, 1.0)


class RobotNode(Node):
    """Mux, supervisor and vendor topics. Starts disarmed; a person arms it."""

    def __init__(self) -> None:
        super().__init__("robot")
        parameters = declare(self, Parameters)
        self.embodiment = load_embodiment(parameters.robot)
        self.supervisor = SafetySupervisor(
            self.embodiment, SafetyConfig(command_timeout_s=parameters.command_timeout_s)
        )
        problem = self.supervisor.select_source(parameters.source)
        if problem:
            raise ConfigError(problem, where="parameter source")
        self.feedback = FeedbackAssembler(self.embodiment)
        self._state: WholeBodyState | None = None
        self._feedback_problem = ""
        self._events: dict[str, SafetyEvent] = {}
        self._safety_sent_s = self._stepped_s = self._commanded_s = 0.0
        self._holding = True
        self._mode_sent: tuple[Mode, str, bool] | None = None
        self._open_feedback()
        self._open_commands()
        self.create_timer(1.0 / TICK_HZ, self._tick)
        self.create_timer(1.0, self._look_for_another_robot)
        self.diagnostics = Diagnostics(self, self._summary)

    # -- topics ----------------------------------------------------------------------------

    def _open_feedback(self) -> None:
        robot = self.embodiment
        self._inbox = Inbox(self)
        self._joints_in = {
            name: self._inbox.newest(JointState, robot.group(name).feedback_topic, NEWEST)
            for name in robot.GROUPS
        }
        self._grippers_in = {
            name: self._inbox.newest(JointState, robot.gripper(name).feedback_topic, NEWEST)
            for name in robot.GRIPPERS
        }
        self._chassis_in = self._inbox.newest(JointState, robot.base.feedback_topic, NEWEST)
        self._odometry_in = self._inbox.newest(Odometry, robot.base.odometry_topic, NEWEST)

    def _open_commands(self) -> None:
        robot = self.embodiment
        self._joint_publishers = {
            name: self.create_publisher(JointState, robot.group(name).command_topic, COMMAND)
            for name in robot.GROUPS
        }
        self._gripper_publishers = {
            name: self.create_publisher(JointState, robot.gripper(name).command_topic, COMMAND)
            for name in robot.GRIPPERS
        }
        self._base_publisher = self.create_publisher(
            TwistStamped, robot.base.command_topic, COMMAND
        )
        self._brake_publisher = self.create_publisher(Bool, robot.base.brake_topic, LATCHED)
        self._state_publisher = self.create_publisher(
            brs_msg.WholeBodyState, "robot/state", SENSOR
        )
        self._safety_publisher = self.create_publisher(
            brs_msg.SafetyState, "robot/safety", LATCHED
        )
        for source in SOURCES:
            self.create_subscription(
                brs_msg.WholeBodyCommand,
                f"{source}/command",
                lambda message, source=source: self._on_command(source, message),
                COMMAND,
            )
        self.create_subscription(Bool, "robot/estop_request", self._on_estop_request, COMMAND)
        self.create_service(Arm, "robot/arm", self._on_arm)
        self.create_service(SelectSource, "robot/select_source", self._on_select_source)
        self.create_service(Trigger, "robot/estop", self._on_estop)
        self.create_service(Trigger, "robot/clear_estop", self._on_clear_estop)

    # -- feedback --------------------------------------------------------------------------

    def _look_at_feedback(self) -> None:
        """Assemble the state from the newest message of each feedback topic."""
        for group, newest in self._joints_in.items():
            if message := newest():
                self._take_feedback(
                    self.feedback.joints,
                    group,
                    conversions.to_seconds(message.header.stamp),
                    message.name,
                    np.array(message.position),
                    np.array(message.velocity),
                    np.array(message.effort),
                )
        for name, newest in self._grippers_in.items():
            if message := newest():
                stroke_mm = message.position[0] if message.position else math.nan
                stamp_s = conversions.to_seconds(message.header.stamp)
                self._take_feedback(self.feedback.gripper, name, stamp_s, stroke_mm)
        if message := self._chassis_in():
            stamp_s = conversions.to_seconds(message.header.stamp)
            velocity = np.full(3, np.nan)
            velocity[: len(message.velocity)] = message.velocity[:3]
            self._take_feedback(self.feedback.base_velocity, stamp_s, velocity)
        if odometry := self._odometry_in():
            pose = odometry.pose.pose
            yaw = 2.0 * math.atan2(pose.orientation.z, pose.orientation.w)
            self.feedback.base_pose(np.array([pose.position.x, pose.position.y, yaw]))
        self._state = self.feedback.state()

    def _take_feedback(self, take: Any, *values: Any) -> None:
        """Malformed feedback counts as none; the first of a kind is logged."""
        try:
            take(*values)
        except ConfigError as error:
            if str(error) != self._feedback_problem:
                self._feedback_problem = str(error)
                self.get_logger().error(f"feedback refused: {error}")

    # -- commands --------------------------------------------------------------------------

    def _on_command(self, source: str, message: brs_msg.WholeBodyCommand) -> None:
        command = conversions.command_from_message(message)
        if command.source != source:
            self.get_logger().error(
                f"{source}/command carries a command of '{command.source}'; ignored",
                throttle_duration_sec=1.0,
            )
            return
        if self.supervisor.offer(now_s(self), command):
            self._step()
            self._commanded_s = self._stepped_s
            # After the command is out, not before: and then the tick need not do it.
            self._publish_state()
            self.diagnostics.count("commands")

    def _tick(self) -> None:
        """Act where no command has just done so."""
        if now_s(self) - self._commanded_s > 1.5 / TICK_HZ:
            self._publish_state()
            self._step()

    def _publish_state(self) -> None:
        self._look_at_feedback()
        if self._state is not None:
            self._state_publisher.publish(conversions.state_to_message(self._state))

    def _step(self) -> None:
        self._stepped_s = now_s(self)
        verdict = self.supervisor.step(self._stepped_s, self._state)
        if verdict.command is not None:
            self._send(verdict.command)
        elif not self._holding:
            self._send_base(self._stepped_s, np.zeros(3))
        self._report(verdict)

    def _send(self, command: WholeBodyCommand) -> None:
        """Vendor messages carry the stamp of what caused them, so that latency can be measured."""
        robot, stamp_s = self.embodiment, command.stamp_s
        for name, publisher in self._joint_publishers.items():
            publisher.publish(
                conversions.joint_state(stamp_s, robot.group(name).joints, getattr(command, name))
            )
        for name, publisher in self._gripper_publishers.items():
            stroke_mm = robot.gripper(name).to_stroke_mm(getattr(command, name))
            publisher.publish(conversions.joint_state(stamp_s, (name,), np.array([stroke_mm])))
        self._send_base(stamp_s, command.base_velocity)

    def _send_base(self, stamp_s: float, velocity: np.ndarray) -> None:
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = conversions.to_time(stamp_s), "base_link"
        message.twist.linear.x, message.twist.linear.y = float(velocity[0]), float(velocity[1])
        message.twist.angular.z = float(velocity[2])
        self._base_publisher.publish(message)

    # -- reports ---------------------------------------------------------------------------

    def _report(self, verdict: SafetyVerdict) -> None:
        supervisor = self.supervisor
        self._log_changes(verdict.events)
        mode = (supervisor.mode, supervisor.source, verdict.holding)
        if mode == self._mode_sent and self._stepped_s - self._safety_sent_s < 1.0 / SAFETY_HZ:
            return
        if self._mode_sent is None or mode[0] is not self._mode_sent[0]:
            self._brake_publisher.publish(Bool(data=supervisor.mode is Mode.ESTOP))
        self._mode_sent, self._safety_sent_s = mode, self._stepped_s
        self._holding = verdict.holding
        age_s = self._stepped_s - self._state.stamp_s if self._state else -1.0
        message = brs_msg.SafetyState(
            mode=int(supervisor.mode),
            source=supervisor.source,
            holding=verdict.holding,
            command_age_s=supervisor.command_age_s(self._stepped_s),
            feedback_age_s=age_s,
            events=[
                brs_msg.SafetyEvent(
                    rule=event.rule,
                    severity=int(event.severity),
                    part=event.part,
                    message=event.message,
                )
                for event in verdict.events
            ],
        )
        message.header.stamp = conversions.to_time(self._stepped_s)
        self._safety_publisher.publish(message)

    def _log_changes(self, events: tuple[SafetyEvent, ...]) -> None:
        current = {event.rule: event for event in events}
        for rule, event in current.items():
            if rule not in self._events:
                log(self, int(event.severity) > 0, f"{rule}: {event.message}")
        self._events = current

    def _look_for_another_robot(self) -> None:
        """Two robot nodes on one namespace would fight; hold until one goes."""
        topic = self.embodiment.base.command_topic
        others = self.count_publishers(topic) - 1
        if others > 0:
            self.supervisor.faults["two_robots"] = (
                f"{others} other publisher(s) of {self.resolve_topic_name(topic)}; "
                "stop the other robot node or give this one a namespace"
            )
        else:
            self.supervisor.faults.pop("two_robots", None)

    # -- services --------------------------------------------------------------------------

    def _on_arm(self, request: Arm.Request, response: Arm.Response) -> Arm.Response:
        if request.arm:
            self._look_for_another_robot()
            self._look_at_feedback()
            problem = self.supervisor.arm(now_s(self), self._state)
            if problem and self.feedback.missing():
                problem = f"no feedback on {', '.join(self.feedback.missing())}"
        else:
            problem = ""
            self.supervisor.disarm()
        response.success = not problem
        response.message = problem or ("armed" if request.arm else "disarmed")
        log(self, not response.success, f"arm: {response.message}")
        self._step()
        return response

    def _on_select_source(
        self, request: SelectSource.Request, response: SelectSource.Response
    ) -> SelectSource.Response:
        problem = self.supervisor.select_source(request.source)
        response.success = not problem
        response.message = problem or f"following {request.source}"
        self._step()
        return response

    def _on_estop_request(self, message: Bool) -> None:
        if message.data:
            self.supervisor.estop("pressed on the leader")
            self._step()

    def _on_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.supervisor.estop("requested by service")
        self._step()
        response.success, response.message = True, "e-stop latched"
        return response

    def _on_clear_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.supervisor.clear_estop()
        self._step()
        response.success, response.message = True, "cleared; arm the robot to go on"
        return response

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        supervisor = self.supervisor
        worst = max((event.severity for event in self._events.values()), default=0)
        lines = [event.message for event in self._events.values() if event.severity == worst]
        age_s = now_s(self) - self._state.stamp_s if self._state else -1.0
        values = {"source": supervisor.source, "feedback age [s]": f"{age_s:.3f}"}
        return min(int(worst), 2), f"{supervisor.mode.name.lower()} {'; '.join(lines)}", values

    def close(self) -> None:
        """Leave the base standing."""
        self._send_base(now_s(self), np.zeros(3))
        self._inbox.close()


def main() -> None:
    run(RobotNode, Priority.CONTROL)
