"""What the nodes of all leaders but JoyLo share: JoyLo's topics at a steady beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brs_interfaces.msg import WholeBodyState
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.leaders import DirectLeader, make_leader
from brs_hardware.types import WholeBodyState as State
from brs_nodes import conversions
from brs_nodes.common import NEWEST, SENSOR, Diagnostics, Inbox, declare, log, now_s, parameter


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots; its joints are led")
    leader: str = parameter("", "leader description in config/leaders")
    rate_hz: float = parameter(100.0, "rate of leader samples", 10.0, 500.0)


class DirectLeaderNode(Node):
    """Publishes what a `DirectLeader` says; a subclass tells the leader what its device says.

    Args:
        name: of the node.
        parameters: dataclass with at least the fields of `Parameters`.
        kind: class that the leader must have.
    """

    def __init__(self, name: str, parameters: type[Parameters], kind: type[DirectLeader]) -> None:
        super().__init__(name)
        self.parameters = declare(self, parameters)
        robot = load_embodiment(self.parameters.robot)
        made = make_leader(self.parameters.leader, robot)
        if not isinstance(made, kind):
            raise ConfigError(
                f"leader '{self.parameters.leader}' is of another kind",
                where=f"node {name}",
                remedy="choose the node that its file names",
            )
        self.leader: Any = made
        self._joints = (*robot.left_arm.joints, *robot.right_arm.joints)
        self._state: State | None = None
        self._told = ""
        self.arms = self.create_publisher(JointState, "joylo/joint_states", SENSOR)
        self.joys = {
            side: self.create_publisher(Joy, f"joylo/joy_{side}", SENSOR)
            for side in ("left", "right")
        }
        self._inbox = Inbox(self)
        self._state_in = self._inbox.newest(WholeBodyState, "robot/state", NEWEST)
        self.create_timer(1.0 / self.parameters.rate_hz, self._tick)
        self.diagnostics = Diagnostics(self, self._summary)

    def hear(self) -> None:
        """Tell the leader what came since the last tick; for devices without a callback."""

    def _tick(self) -> None:
        self.hear()
        if message := self._state_in():
            self._state = conversions.state_from_message(message)
        samples = self.leader.update(now_s(self), self._state)
        if self.leader.problem != self._told:
            self._told = self.leader.problem
            log(self, bool(self._told), self._told or "ready")
        if samples is None:
            return
        # Buttons first: arms make teleop look at them.
        self.joys["left"].publish(conversions.joycon_to_message("left", samples.left))
        self.joys["right"].publish(conversions.joycon_to_message("right", samples.right))
        self.arms.publish(conversions.leader_to_message(samples.arms, self._joints))
        self.diagnostics.count("samples")

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        return (1, self.leader.problem, {}) if self.leader.problem else (0, "leading", {})

    def close(self) -> None:
        """Give up the topics."""
        self._inbox.close()
