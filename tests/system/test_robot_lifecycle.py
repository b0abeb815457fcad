"""The robot node as a ROS 2 lifecycle node: the doors into and out of the armed state."""

from __future__ import annotations

import numpy as np
from brs_interfaces.msg import SafetyState, WholeBodyCommand, WholeBodyState
from brs_interfaces.srv import Arm, SelectSource
from geometry_msgs.msg import TwistStamped
from harness import LATCHED, Harness
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger


def state_of(ros: Harness) -> str:
    label: str = ros.call(GetState, "robot/get_state", GetState.Request()).current_state.label
    return label


def change(ros: Harness, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    success: bool = ros.call(ChangeState, "robot/change_state", request).success
    return success


def test_arming_is_activating_and_an_estop_deactivates(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 0.0})
    robot = ros.start_node("robot")
    safety = ros.collect(SafetyState, "robot/safety", LATCHED)
    states = ros.collect(WholeBodyState, "robot/state", SENSOR)
    ros.wait_for(lambda: states, "robot/state")
    assert state_of(ros) == "inactive"
    ros.wait_for(lambda: change(ros, Transition.TRANSITION_ACTIVATE), "activation")
    ros.wait_for(lambda: safety and safety[-1].mode == SafetyState.ARMED, "armed")
    assert change(ros, Transition.TRANSITION_DEACTIVATE)
    ros.wait_for(lambda: safety[-1].mode == SafetyState.DISARMED, "disarmed")
    ros.arm()
    assert state_of(ros) == "active"
    ros.call(Trigger, "robot/estop", Trigger.Request())
    ros.wait_for(lambda: safety[-1].mode == SafetyState.ESTOP, "the e-stop")
    assert state_of(ros) == "inactive"
    assert not change(ros, Transition.TRANSITION_ACTIVATE)  # latched
    assert "e-stop is latched" in robot.output
    ros.call(Trigger, "robot/clear_estop", Trigger.Request())
    ros.arm()
    assert ros.call(Arm, "robot/arm", Arm.Request(arm=False)).success
    assert state_of(ros) == "inactive"
    ros.arm()
    hold = ros.node.create_publisher(Bool, "robot/hold_request", 1)
    ros.wait_for(hold.get_subscription_count, "the robot to listen")
    hold.publish(Bool(data=False))
    hold.publish(Bool(data=True))
    ros.wait_for(lambda: safety[-1].mode == SafetyState.DISARMED, "the hold")
    assert state_of(ros) == "inactive" and "a hold was asked for" in robot.output


def test_cleaning_up_gives_up_every_topic_and_configuring_takes_them_again(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 0.0})
    robot = ros.start_node("robot", {"autostart": False})
    topic = "motion_target/target_speed_chassis"
    assert state_of(ros) == "unconfigured"
    assert not ros.node.get_publishers_info_by_topic("/" + topic)
    for _ in range(2):
        assert change(ros, Transition.TRANSITION_CONFIGURE)
        states = ros.collect(WholeBodyState, "robot/state", SENSOR)
        ros.wait_for(lambda states=states: states, "robot/state")
        assert change(ros, Transition.TRANSITION_CLEANUP)
        ros.wait_for(
            lambda: not ros.node.get_publishers_info_by_topic("/" + topic), "its topics to go"
        )
    assert change(ros, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert robot.running and "Traceback" not in robot.output


def test_it_ends_without_a_word_when_interrupted_and_in_one_line_when_misled(
    ros: Harness,
) -> None:
    """No traceback, and nothing of native libraries about objects that nobody gave back."""
    robot = ros.start_node("robot")
    ros.wait_for(lambda: "robot" in ros.node.get_node_names(), "the node")
    assert robot.stop() == 0
    assert all("feedback_stale" in line for line in robot.output.splitlines())
    misled = ros.start_node("robot", {"source": "nobody"})
    assert misled.wait() == 1
    (line,) = misled.output.splitlines()
    assert "[fatal] parameter source: unknown source 'nobody'" in line
    blind = ros.start_node("teleop", {"leader_timeout_s": float("nan")})
    assert blind.wait() == 1
    (line,) = blind.output.splitlines()
    assert "[fatal] parameter leader_timeout_s" in line and "nan" in line


def test_a_keep_out_in_odom_is_not_armed_without_odometry(ros: Harness) -> None:
    """Nobody would know where the box is."""
    safety = ros.folder / "safety.yaml"
    safety.write_text(
        "keep_outs: [{name: table, centre: [3, 0, 1], half_size: [1, 1, 1], frame: odom}]"
    )
    ros.start_node("r1_sim", {"camera_hz": 0.0}, remap={"odom": "lost"})
    robot = ros.start_node("robot", {"safety": str(safety)})
    chassis = ros.collect(JointState, "hdas/feedback_chassis", SENSOR)
    ros.wait_for(lambda: len(chassis) > 100, "feedback")

    def refusal() -> str:
        answer: str = ros.call(Arm, "robot/arm", Arm.Request(arm=True)).message
        return answer

    ros.wait_for(lambda: refusal() == "no feedback on odom", "the refusal")
    assert robot.running


def test_a_person_takes_over_from_a_policy_on_the_running_robot(ros: Harness) -> None:
    """Commands of both sources come; the first of teleop changes the driver, without a jump."""
    ros.start_node("r1_sim", {"camera_hz": 0.0})
    ros.start_node("robot")
    states = ros.collect(WholeBodyState, "robot/state", SENSOR)
    sent = ros.collect(WholeBodyCommand, "robot/command", SENSOR)
    ros.wait_for(lambda: states, "robot/state")
    assert ros.call(
        SelectSource, "robot/select_source", SelectSource.Request(source="policy")
    ).success
    ros.arm()
    publishers = {
        source: ros.node.create_publisher(WholeBodyCommand, f"{source}/command", 1)
        for source in ("policy", "teleop")
    }
    start = states[-1]

    def lead(source: str, raised_rad: float) -> None:
        message = WholeBodyCommand(source=source, torso=list(start.torso.position))
        message.header.stamp = ros.node.get_clock().now().to_msg()
        raised = np.array([0, 0, 0, raised_rad, 0, 0])
        message.left_arm = (np.array(start.left_arm.position) + raised).tolist()
        message.right_arm = list(start.right_arm.position)
        publishers[source].publish(message)

    ros.wait_for(
        lambda: sent and sent[-1].left_arm[3] > start.left_arm.position[3] + 0.1,
        "the policy to move the arm",
        tick=lambda: lead("policy", 0.3),
    )

    def both() -> None:
        lead("policy", 0.3)
        lead("teleop", -0.3)

    ros.wait_for(
        lambda: sent[-1].source == "teleop" and sent[-1].left_arm[3] < start.left_arm.position[3],
        "the person to lead",
        tick=both,
    )
    drivers = [command.source for command in sent]
    change_at = drivers.index("teleop")
    assert "policy" not in drivers[change_at:]
    arms = np.array([command.left_arm for command in sent])
    assert np.max(np.abs(arms[change_at] - arms[change_at - 1])) < 0.02


def test_a_flood_of_commands_does_not_reach_the_robot(ros: Harness) -> None:
    """However fast commands come, the robot gets a steady stream, and services still answer."""
    ros.start_node("r1_sim", {"camera_hz": 0.0})
    ros.start_node("robot")
    states = ros.collect(WholeBodyState, "robot/state", SENSOR)
    twists = ros.collect(TwistStamped, "motion_target/target_speed_chassis", SENSOR)
    ros.wait_for(lambda: states, "robot/state")
    ros.arm()
    publisher = ros.node.create_publisher(WholeBodyCommand, "teleop/command", 1)
    start = states[-1]
    message = WholeBodyCommand(source="teleop", torso=list(start.torso.position))
    message.left_arm, message.right_arm = start.left_arm.position, start.right_arm.position
    message.base_velocity = [0.1, 0.0, 0.0]
    count = 0

    def flood() -> None:
        nonlocal count
        message.header.stamp = ros.node.get_clock().now().to_msg()
        for _ in range(100):
            publisher.publish(message)
            count += 1

    began = len(twists)
    ros.wait_for(lambda: count >= 20_000, "the flood", tick=flood)
    assert began < len(twists) < count / 4
    assert ros.call(Trigger, "robot/estop", Trigger.Request()).success
    ros.wait_for(lambda: twists[-1].twist.linear.x == 0.0, "the base to stand")
