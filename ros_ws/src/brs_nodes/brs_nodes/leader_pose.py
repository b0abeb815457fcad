"""Node `leader_pose`: poses of two hands lead the robot, such as a headset's controllers.

For each side: geometry_msgs/PoseStamped on `vr/pose_SIDE`, sensor_msgs/Joy on `vr/joy_SIDE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Joy

from brs_hardware.leaders import PoseLeader
from brs_nodes import direct_leader
from brs_nodes.common import SENSOR, Priority, now_s, parameter, run


@dataclass(frozen=True)
class Parameters(direct_leader.Parameters):
    leader: str = parameter("vr", "leader description in config/leaders, of kind poses")


class LeaderPoseNode(direct_leader.DirectLeaderNode):
    """Thin shell around PoseLeader. Messages count from their arrival: the headset has a clock of
    its own."""

    def __init__(self) -> None:
        super().__init__("leader_pose", Parameters, PoseLeader)
        for side in ("left", "right"):
            self.create_subscription(
                PoseStamped, f"vr/pose_{side}", partial(self._on_pose, side), SENSOR
            )
            self.create_subscription(Joy, f"vr/joy_{side}", partial(self._on_joy, side), SENSOR)

    def _on_pose(self, side: str, message: PoseStamped) -> None:
        point, turn = message.pose.position, message.pose.orientation
        self.leader.hear_pose(
            now_s(self),
            side,
            np.array([point.x, point.y, point.z]),
            np.array([turn.x, turn.y, turn.z, turn.w]),
        )

    def _on_joy(self, side: str, message: Joy) -> None:
        axes, buttons = np.array(message.axes), np.array(message.buttons)
        self.leader.hear_buttons(now_s(self), side, axes, buttons)


def main() -> None:
    run(LeaderPoseNode, Priority.CONTROL)
