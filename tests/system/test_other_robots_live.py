"""The other generations through real nodes: simulator and robot node, armed and commanded."""

from __future__ import annotations

import numpy as np
import pytest
from brs_interfaces.msg import WholeBodyCommand, WholeBodyState
from harness import Harness
from rclpy.qos import qos_profile_sensor_data as SENSOR

from brs_hardware.embodiment import load_embodiment

pytestmark = pytest.mark.system


@pytest.mark.parametrize("name", ["r1_lite", "r1_pro"])
def test_armed_robot_moves_the_last_joints_as_commanded(ros: Harness, name: str) -> None:
    robot = load_embodiment(name)
    ros.start_node("r1_sim", {"camera_hz": 0.0, "robot": name})
    ros.start_node("robot", {"robot": name})
    states = ros.collect(WholeBodyState, "robot/state", SENSOR)
    ros.wait_for(lambda: states, "robot/state")
    ros.arm()
    publisher = ros.node.create_publisher(WholeBodyCommand, "teleop/command", 1)
    start = states[-1]
    goals = {group: np.array(getattr(start, group).position) for group in robot.GROUPS}
    for group in robot.GROUPS:
        goals[group][-1] += 0.2
        assert goals[group][-1] < robot.group(group).upper[-1]
    command = WholeBodyCommand(source="teleop", **{n: g.tolist() for n, g in goals.items()})

    def send() -> None:
        command.header.stamp = ros.node.get_clock().now().to_msg()
        publisher.publish(command)

    def arrived() -> bool:
        return all(
            np.allclose(getattr(states[-1], group).position, goal, atol=0.03)
            for group, goal in goals.items()
        )

    ros.wait_for(arrived, "the joints to arrive", tick=send)
