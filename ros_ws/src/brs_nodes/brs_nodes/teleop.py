"""Node `teleop`: leader arms and Joy-Cons in, whole-body commands out.

Event-driven: each leader sample is mapped and sent at once. A watchdog at 50 Hz lets go when
samples stop coming.
"""

from __future__ import annotations

import dataclasses

from brs_interfaces.msg import TeleopState, WholeBodyCommand, WholeBodyState
from brs_interfaces.srv import Engage
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool

from brs_hardware import types
from brs_hardware.embodiment import load_embodiment
from brs_hardware.teleop import Engagement, TeleopConfig, TeleopMapper, TeleopOutput
from brs_hardware.types import JoyConSample, LeaderSample
from brs_nodes import conversions
from brs_nodes.common import (
    COMMAND,
    COMMAND_DEADLINE,
    LATCHED,
    NEWEST,
    SENSOR,
    Diagnostics,
    Inbox,
    Priority,
    declare,
    now_s,
    parameter,
    run,
)
from brs_nodes.report_messages import teleop_message

WATCHDOG_HZ = 50.0
STATE_HZ = 10.0
# What the robot node sent longer ago is not where the robot is led now.
SENT_TIMEOUT_S = 0.05


@dataclasses.dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    align_limit_rad: float = parameter(
        0.6, "leader farther than this from the robot cannot engage", 0.05, 3.2
    )
    ramp_s: float = parameter(1.0, "time to lead the robot to the leader [s]", 0.1, 10.0)
    leader_timeout_s: float = parameter(0.1, "leader samples older than this are lost", 0.02, 1.0)
    joycon_timeout_s: float = parameter(0.25, "Joy-Con reports older are lost", 0.05, 2.0)
    torso_mode: str = parameter("brs", "up and down: `brs` stand and squat, `height` level trunk")
    gripper_mode: str = parameter("hold", "`hold`, `toggle` or `proportional`")


class TeleopNode(Node):
    """Thin shell around TeleopMapper."""

    def __init__(self) -> None:
        super().__init__("teleop")
        parameters = declare(self, Parameters)
        self.robot = load_embodiment(parameters.robot)
        chosen = dataclasses.asdict(parameters)
        del chosen["robot"]
        self.mapper = TeleopMapper(self.robot, TeleopConfig(**chosen))
        self._left_joints = len(self.robot.left_arm.joints)
        self._leader: LeaderSample | None = None
        self._joycons: dict[str, JoyConSample | None] = {"left": None, "right": None}
        self._state: types.WholeBodyState | None = None
        self._sent: types.WholeBodyCommand | None = None
        self._sent_seen_s = 0.0
        self._reported: tuple[Engagement, str] | None = None
        self._state_sent_s = 0.0
        self._updated_s = 0.0
        self.command = self.create_publisher(WholeBodyCommand, "teleop/command", COMMAND_DEADLINE)
        self.state = self.create_publisher(TeleopState, "teleop/state", LATCHED)
        self.estop = self.create_publisher(Bool, "robot/estop_request", COMMAND)
        self.hand_back = self.create_publisher(Bool, "robot/hand_back_request", COMMAND)
        self.create_subscription(JointState, "joylo/joint_states", self._on_leader, SENSOR)
        self._inbox = Inbox(self)
        self._joycons_in = {
            side: self._inbox.newest(Joy, f"joylo/joy_{side}", NEWEST) for side in self._joycons
        }
        self._state_in = self._inbox.newest(WholeBodyState, "robot/state", NEWEST)
        self._sent_in = self._inbox.newest(WholeBodyCommand, "robot/command", NEWEST)
        self.create_service(Engage, "teleop/engage", self._on_engage)
        self.create_timer(1.0 / WATCHDOG_HZ, self._watch)
        self.diagnostics = Diagnostics(self, self._summary)

    def _on_leader(self, message: JointState) -> None:
        self._leader = conversions.leader_from_message(message, self._left_joints)
        self._update()

    def _watch(self) -> None:
        if now_s(self) - self._updated_s > 1.0 / WATCHDOG_HZ:
            self._update()

    def _update(self) -> None:
        self._updated_s = now_s(self)
        for side, newest in self._joycons_in.items():
            if joy := newest():
                self._joycons[side] = conversions.joycon_from_message(side, joy)
        if state := self._state_in():
            self._state = conversions.state_from_message(state)
        if sent := self._sent_in():
            self._sent = conversions.command_from_message(sent)
            self._sent_seen_s = self._updated_s
        recent = 0.0 <= self._updated_s - self._sent_seen_s < SENT_TIMEOUT_S
        output = self.mapper.update(
            self._updated_s,
            self._leader,
            self._joycons["left"],
            self._joycons["right"],
            self._state,
            self._sent if recent else None,
        )
        if output.command is not None:
            self.command.publish(conversions.command_to_message(output.command))
            self.diagnostics.count("commands")
        if output.estop:
            self.estop.publish(Bool(data=True))
        if output.hand_back:
            self.hand_back.publish(Bool(data=True))
        self._report(output)

    def _report(self, output: TeleopOutput) -> None:
        current = (output.engagement, output.message)
        changed = self._reported is None or output.engagement is not self._reported[0]
        if not changed and self._updated_s - self._state_sent_s < 1.0 / STATE_HZ:
            return
        if changed:
            line = f"{output.engagement.name.lower()}: {output.message or 'robot follows'}"
            self.get_logger().info(line)
        self._reported, self._state_sent_s = current, self._updated_s
        self.state.publish(teleop_message(self._updated_s, output))

    def _on_engage(self, request: Engage.Request, response: Engage.Response) -> Engage.Response:
        self.mapper.allow(request.engage)
        response.success = True
        response.message = "hold l or r to drive" if request.engage else "let go"
        return response

    def _summary(self) -> tuple[int, str, dict[str, str]]:
        engagement = self.mapper.engagement
        level = 1 if engagement is Engagement.REFUSED else 0
        return level, f"{engagement.name.lower()} {self.mapper.message}".strip(), {}

    def close(self) -> None:
        """Give up the topics."""
        self._inbox.close()


def main() -> None:
    run(TeleopNode, Priority.CONTROL)
