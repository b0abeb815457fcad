"""What simulators tell and hear is one contract: r1_sim on the bus, and external_sim's relay."""

from __future__ import annotations

from typing import Any

import pytest
from geometry_msgs.msg import TwistStamped
from harness import Harness
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from brs_hardware.embodiment import load_embodiment
from brs_nodes.robot_topics import command_topics, sensor_topics
from brs_sim.external import contract
from brs_sim.model import BASE_JOINTS

R1 = load_embodiment("r1")
DRIVER, STATUS = contract.driver_topics(R1), contract.status_topics(R1)


def offered(ros: Harness, topic: contract.Topic) -> list[Any]:
    """Publishers of what is told, or listeners to what is heard."""
    name = "/" + topic.name
    if topic.told:
        return list(ros.node.get_publishers_info_by_topic(name))
    return list(ros.node.get_subscriptions_info_by_topic(name))


def check(ros: Harness, topics: tuple[contract.Topic, ...]) -> None:
    """Type and QoS of every topic, in its direction."""
    ros.wait_for(lambda: all(offered(ros, topic) for topic in topics), "all topics")
    for topic in topics:
        (end,) = offered(ros, topic)
        assert end.topic_type == topic.kind, topic.name
        qos = end.qos_profile
        assert (qos.reliability == ReliabilityPolicy.RELIABLE) == topic.latched, topic.name
        kept = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert kept == topic.latched, topic.name


@pytest.mark.parametrize("robot", ["r1", "r1_pro", "r1_lite"])
def test_names_are_those_that_brs_records(robot: str) -> None:
    embodiment = load_embodiment(robot)
    driver = contract.driver_topics(embodiment)
    others = (*contract.camera_topics(embodiment), *contract.status_topics(embodiment))
    told = {topic.name for topic in (*driver, *others) if topic.told}
    assert told == set(sensor_topics(embodiment))
    assert {t.name for t in driver if not t.told} == set(command_topics(embodiment))


def test_r1_sim_keeps_the_contract(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 1.0})
    check(ros, (*DRIVER, *STATUS, *contract.camera_topics(R1)))


def test_external_sim_keeps_it_and_relays(ros: Harness) -> None:
    ros.start_node("external_sim")
    check(ros, (*DRIVER, *STATUS))
    joints = (*BASE_JOINTS, *contract.servo_joints(R1))
    states = ros.node.create_publisher(JointState, contract.JOINT_STATES, 10)
    drive = ros.node.create_publisher(TwistStamped, R1.base.command_topic, 10)
    arms = ros.collect(JointState, R1.left_arm.feedback_topic, SENSOR)
    odometry = ros.collect(Odometry, R1.base.odometry_topic, SENSOR)
    targets = ros.collect(Float64, contract.single_joint_topics(R1)["base_y"].name)
    state = JointState(name=[*joints], position=[0.01] * len(joints))
    state.position[2] = 1.5707963  # heading along y
    twist = TwistStamped()
    twist.twist.linear.x = 0.2

    def simulate() -> None:
        states.publish(state)
        drive.publish(twist)

    told = lambda: arms and odometry and targets and targets[-1].data > 0.15  # noqa: E731
    ros.wait_for(told, "feedback and targets", tick=simulate)
    assert list(arms[-1].name) == list(R1.left_arm.joints)
    assert arms[-1].position[0] == pytest.approx(0.01)
    assert odometry[-1].pose.pose.position.x == pytest.approx(0.01)
    assert targets[-1].data <= 0.2 + 1e-9


def test_unknown_kind_of_targets_ends_the_node_in_one_line(ros: Harness) -> None:
    node = ros.start_node("external_sim", {"targets": "many"})
    assert node.wait() != 0
    assert "one of arrays, single" in node.output
    assert "Traceback" not in node.output
