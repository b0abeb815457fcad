"""Node `leader_gamepad`: a gamepad on the topic `joy` leads the robot, without a JoyLo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import Joy

from brs_hardware.leaders import GamepadLeader
from brs_nodes import direct_leader
from brs_nodes.common import SENSOR, Priority, now_s, parameter, run


@dataclass(frozen=True)
class Parameters(direct_leader.Parameters):
    leader: str = parameter("gamepad", "leader description in config/leaders, of kind gamepad")


class LeaderGamepadNode(direct_leader.DirectLeaderNode):
    """Thin shell around GamepadLeader."""

    def __init__(self) -> None:
        super().__init__("leader_gamepad", Parameters, GamepadLeader)
        self.create_subscription(Joy, "joy", self._on_joy, SENSOR)

    def _on_joy(self, message: Joy) -> None:
        self.leader.gamepad.hear(now_s(self), np.array(message.axes), np.array(message.buttons))


def main() -> None:
    run(LeaderGamepadNode, Priority.CONTROL)
