"""The vendor topics object against the simulated robot: feedback, faults, battery, commands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from harness import Harness
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from brs_hardware.embodiment import load_embodiment
from brs_hardware.types import WholeBodyCommand
from brs_nodes.common import Inbox
from brs_nodes.vendor import VendorTopics

# The ROS 2 SDK, and the ROS 1 SDK behind a bridge with the layout of its guide.
GENERATIONS = {
    "ros2": {},
    "ros1": {"gripper_command": "float32", "base_command": "twist", "base_feedback": "wheels"},
}


@pytest.fixture(params=GENERATIONS)
def robot_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    robot = load_embodiment("r1")
    content = yaml.safe_load(Path(robot.path).read_text())
    content["urdf"] = str(robot.urdf_path)
    content["vendor"] |= GENERATIONS[request.param]
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def vendor(ros: Harness, robot_path: Path) -> Iterator[VendorTopics]:
    inbox = Inbox(ros.node)
    topics = VendorTopics(ros.node, load_embodiment(str(robot_path)), inbox)
    yield topics
    topics.close()
    inbox.close()


def set_parameters(ros: Harness, **values: str | float) -> None:
    request = SetParameters.Request()
    for name, value in values.items():
        kind = ParameterType.PARAMETER_STRING
        if isinstance(value, float):
            kind = ParameterType.PARAMETER_DOUBLE
        content = ParameterValue(type=kind)
        setattr(content, "double_value" if isinstance(value, float) else "string_value", value)
        request.parameters.append(Parameter(name=name, value=content))
    results = ros.call(SetParameters, "r1_sim/set_parameters", request).results
    assert all(result.successful for result in results)


def test_vendor_topics_of_the_simulated_robot(
    ros: Harness, vendor: VendorTopics, robot_path: Path
) -> None:
    assert vendor.look() is None and len(vendor.missing()) == 6
    ros.start_node("r1_sim", {"robot": str(robot_path), "camera_hz": 0.0})
    state = ros.wait_for(vendor.look, "feedback of every part")
    assert vendor.missing() == ()
    # A healthy robot with a full battery has no problems.
    ros.wait_for(vendor.battery, "the battery")
    assert vendor.battery().charge_percent == 100.0 and vendor.problems() == {}

    set_parameters(ros, fault="left_arm:joint3:14", battery_percent=20.0)
    ros.wait_for(lambda: "motor_fault" in vendor.problems(), "the fault")
    assert "left_arm joint3: motor winding too hot" in vendor.problems()["motor_fault"]
    ros.wait_for(lambda: "battery_low" in vendor.problems(), "the low battery")
    set_parameters(ros, fault="", battery_percent=80.0)
    ros.wait_for(lambda: not vendor.problems(), "a robot without problems")

    goal = state.left_arm.position.copy()
    goal[5] += 0.3

    def command() -> None:
        vendor.send(
            WholeBodyCommand(
                stamp_s=time.time(),
                base_velocity=np.array([0.2, 0.0, 0.0]),
                torso=state.torso.position,
                left_arm=goal,
                right_arm=state.right_arm.position,
                left_gripper=1.0,
                right_gripper=0.0,
            )
        )

    def arrived() -> bool:
        now = vendor.look()
        return (
            now is not None
            and abs(now.left_arm.position[5] - goal[5]) < 0.02
            and now.left_gripper > 0.9
            and now.base_pose[0] > state.base_pose[0] + 0.05
        )

    ros.wait_for(arrived, "arm, gripper and base to follow", tick=command)
    vendor.brake(True)
    ros.wait_for(
        lambda: abs(vendor.look().base_velocity[0]) < 1e-3, "the brake to hold", tick=command
    )
