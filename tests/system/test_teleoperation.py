"""The path of a command through real nodes over DDS; faults on it are in test_faults.py."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from brs_interfaces.msg import SafetyState, TeleopState, WholeBodyCommand, WholeBodyState
from brs_interfaces.srv import Arm
from geometry_msgs.msg import TwistStamped
from harness import LATCHED, Harness, Process
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from brs_hardware.embodiment import load_embodiment
from brs_hardware.joylo import load_leader
from brs_sim.emulators.joylo import EmulatedJoyLo

ROBOT = load_embodiment("r1")


class Stack:
    """Simulator, robot, teleop and joylo nodes, with the test's hands on the emulated leader."""

    def __init__(self, ros: Harness, runtime: Path) -> None:
        self.ros = ros
        self.held: frozenset[str] = frozenset()
        self.leader = EmulatedJoyLo(load_leader("joylo_emulated", runtime=runtime))
        self.leader.start()
        self.sim = ros.start_node("r1_sim", {"camera_hz": 0.0})
        self.robot = ros.start_node("robot")
        self.teleop = ros.start_node("teleop")
        self.joylo = ros.start_node("joylo", {"leader": "joylo_emulated"})
        self.states = ros.collect(WholeBodyState, "robot/state", SENSOR)
        self.safety = ros.collect(SafetyState, "robot/safety", LATCHED)
        self.engagement = ros.collect(TeleopState, "teleop/state", LATCHED)
        self.twists = ros.collect(TwistStamped, "motion_target/target_speed_chassis", SENSOR)
        ros.wait_for(lambda: self.states, "robot/state")
        ros.wait_for(
            lambda: self.engagement and self.engagement[-1].state == TeleopState.IDLE,
            "all inputs of teleop",
        )

    def wait(self, what: str, holds: Callable[[], object]) -> None:
        """Like a person, press the dead-man anew whenever teleop asks for it."""
        self.ros.wait_for(holds, what, tick=self._press_again)

    def _press_again(self) -> None:
        asked = "press again" in self.engagement[-1].message
        self.leader.set_buttons("left", frozenset() if asked else self.held)

    def hold(self, *buttons: str) -> None:
        """Hold exactly these buttons of the left Joy-Con."""
        self.held = frozenset(buttons)
        self.leader.set_buttons("left", self.held)

    def hold_where_the_robot_is(self) -> None:
        """Bring the leader to the robot's pose."""
        state = self.states[-1]
        self.leader.move_hand(
            np.array(state.left_arm.position), np.array(state.right_arm.position)
        )

    def engage(self) -> None:
        self.ros.arm()
        self.hold_where_the_robot_is()
        self.hold("l")
        self.wait("engagement", lambda: self.engagement[-1].state == TeleopState.ENGAGED)

    def drive(self) -> None:
        """Engage and drive forward until the base moves."""
        self.engage()
        self.leader.set_stick("left", (0.0, 1.0))
        self.wait("the base to drive", lambda: self.states[-1].base_velocity[0] > 0.2)

    def wait_still(self) -> None:
        """Until the base is told to stand and stands."""
        self.ros.wait_for(
            lambda: (
                self.twists[-1].twist.linear.x == 0.0
                and abs(self.states[-1].base_velocity[0]) < 0.02
            ),
            "the base to stand",
        )


@pytest.fixture
def stack(ros: Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    # Unix sockets want short paths.
    runtime = Path(tempfile.mkdtemp(prefix="brs"))
    monkeypatch.setenv("BRS_RUNTIME_DIR", str(runtime))
    # The emulated bus answers from a thread of this process: do not let it wait for the test.
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    running = Stack(ros, runtime)
    try:
        yield running
    finally:
        sys.setswitchinterval(interval_s)
        running.leader.stop()
        shutil.rmtree(runtime, ignore_errors=True)


def test_leader_moves_arms_base_torso_and_gripper(stack: Stack) -> None:
    stack.drive()
    stack.leader.set_stick("left", (0.0, 0.0))
    before = stack.states[-1]
    turn = np.array([0.2, -0.2, 0.2, 0.3, 0.3, 0.3])
    target = np.array(before.left_arm.position) + turn
    stack.leader.move_hand(target, np.array(before.right_arm.position))
    stack.hold("l", "zl")
    stack.leader.set_stick("right", (-1.0, 0.0))
    stack.wait(
        "arm, gripper and waist to follow",
        lambda: (
            np.abs(np.array(stack.states[-1].left_arm.position) - target).max() < 0.05
            and stack.states[-1].left_gripper > 0.9
            and stack.states[-1].torso.position[3] > before.torso.position[3] + 0.1
        ),
    )
    assert stack.safety[-1].mode == SafetyState.ARMED and not stack.safety[-1].holding
    stack.hold()
    stack.wait_still()


def test_nothing_moves_before_a_person_arms(stack: Stack) -> None:
    stack.hold_where_the_robot_is()
    stack.hold("l")
    stack.leader.set_stick("left", (0.0, 1.0))
    stack.wait("teleop to command", lambda: stack.engagement[-1].state == TeleopState.ENGAGED)
    seen = len(stack.states)
    stack.ros.wait_for(lambda: len(stack.states) > seen + 30, "a while")
    assert stack.safety[-1].mode == SafetyState.DISARMED
    assert all(abs(state.base_velocity[0]) < 0.01 for state in stack.states[seen:])


def test_far_leader_is_refused_by_name(stack: Stack) -> None:
    stack.ros.arm()
    state = stack.states[-1]
    far = np.array(state.left_arm.position)
    far[3] += 1.5
    stack.leader.move_hand(far, np.array(state.right_arm.position))
    stack.hold("l")
    stack.wait(
        "the refusal",
        lambda: "left_arm_joint4; move it closer" in stack.engagement[-1].message,
    )
    stack.ros.wait_for(lambda: stack.safety[-1].holding, "the robot node to hold")


def test_estop_button_latches_until_cleared(stack: Stack) -> None:
    stack.drive()
    stack.hold("l", "capture")
    stack.ros.wait_for(lambda: stack.safety[-1].mode == SafetyState.ESTOP, "the latch")
    stack.wait_still()
    stack.hold()
    # A button that is still seen as held would latch anew right after the clearing.
    stack.ros.wait_for(
        lambda: stack.engagement[-1].state == TeleopState.IDLE, "the button to be released"
    )
    refused = stack.ros.call(Arm, "robot/arm", Arm.Request(arm=True))
    assert not refused.success and "clear" in refused.message
    assert stack.ros.call(Trigger, "robot/clear_estop", Trigger.Request()).success
    stack.ros.wait_for(lambda: stack.safety[-1].mode == SafetyState.DISARMED, "the clearing")
    stack.ros.arm()


def garbage(now_s: float, **changes: object) -> WholeBodyCommand:
    """A well-formed command but for the changes."""
    message = WholeBodyCommand(source="teleop", torso=[0.0] * 4)
    message.header.stamp.sec = int(now_s)
    message.header.stamp.nanosec = int(now_s % 1 * 1e9)
    message.left_arm = ROBOT.poses["ready"]["left_arm"].tolist()
    message.right_arm = ROBOT.poses["ready"]["right_arm"].tolist()
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_garbage_commands_and_a_second_robot(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 0.0})
    ros.start_node("robot")
    safety = ros.collect(SafetyState, "robot/safety", LATCHED)
    states = ros.collect(WholeBodyState, "robot/state", SENSOR)
    ros.wait_for(lambda: states, "robot/state")
    ros.arm()
    publisher = ros.node.create_publisher(WholeBodyCommand, "teleop/command", 1)
    start = np.array(states[-1].left_arm.position)

    def rules() -> set[str]:
        return {event.rule for event in safety[-1].events} if safety else set()

    for changes, rule in (
        ({"left_arm": [float("nan")] * 6}, "not_a_number"),
        ({"right_arm": [0.0] * 5}, "wrong_size"),
        ({"base_velocity": np.array([np.inf, 0.0, 0.0])}, "not_a_number"),
    ):
        ros.wait_for(
            lambda rule=rule: rule in rules(),
            rule,
            tick=lambda changes=changes: publisher.publish(
                garbage(ros.node.get_clock().now().nanoseconds * 1e-9, **changes)
            ),
        )
        assert safety[-1].holding
    assert np.abs(np.array(states[-1].left_arm.position) - start).max() < 0.02
    second = ros.start_node("robot", remap={"__node": "second"})
    ros.wait_for(lambda: "two_robots" in rules(), "the first to notice the second")
    assert "other publisher" in next(
        e.message for e in safety[-1].events if e.rule == "two_robots"
    )
    second.stop()
    ros.wait_for(lambda: "two_robots" not in rules(), "the second to go")


@pytest.mark.parametrize(
    ("text", "says"),
    [("name: r1\nurdf: [", "malformed YAML"), ("name: r1\nurdff: x\n", "unknown key 'urdff'")],
)
def test_malformed_robot_description_is_one_line(ros: Harness, text: str, says: str) -> None:
    path = ros.folder / "robot.yaml"
    path.write_text(text)
    node = ros.start_node("robot", {"robot": str(path)})
    assert node.wait() == 1
    assert says in node.output and "Traceback" not in node.output


def test_unknown_parameter_and_unknown_robot_are_one_line(ros: Harness) -> None:
    for parameters, says in (
        ({"robott": "r1"}, "unknown parameter 'robott'"),
        ({"robot": "r9"}, "unknown robot 'r9'"),
        ({"safety": "lax"}, "unknown safety set-up 'lax'"),
        ({"source": "ghost"}, "unknown source 'ghost'"),
    ):
        node: Process = ros.start_node("robot", parameters)
        assert node.wait() == 1
        assert says in node.output and "Traceback" not in node.output, node.output


def test_unknown_joint_name_in_feedback_is_named(ros: Harness) -> None:
    node = ros.start_node("robot")
    publisher = ros.node.create_publisher(JointState, ROBOT.torso.feedback_topic, SENSOR)
    wrong = JointState(name=["torso_joint1", "torso_joint2", "hip", "waist"], position=[0.0] * 4)
    ros.wait_for(
        lambda: "joint 'torso_joint3' is not in the feedback" in node.output,
        "the refusal",
        tick=lambda: publisher.publish(wrong),
    )
    answer = ros.call(Arm, "robot/arm", Arm.Request(arm=True))
    assert not answer.success and "no feedback" in answer.message


def test_simulated_time_runs_faster_when_asked(ros: Harness) -> None:
    from rosgraph_msgs.msg import Clock

    ros.start_node("r1_sim", {"camera_hz": 0.0, "use_sim_time": True, "realtime_factor": 3.0})
    ros.start_node("robot", {"use_sim_time": True})
    clock = ros.collect(Clock, "/clock")
    states = ros.collect(WholeBodyState, "robot/state", SENSOR)
    ros.wait_for(lambda: clock and clock[-1].clock.sec >= 4, "four simulated seconds")
    ros.wait_for(lambda: states and states[-1].header.stamp.sec >= 4, "state in simulated time")
    assert states[-1].header.stamp.sec < 1000
    ros.arm()
