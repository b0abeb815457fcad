"""Leaders without a JoyLo through real nodes: they move the simulated robot, and let it stand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from brs_interfaces.msg import TeleopState, WholeBodyState
from geometry_msgs.msg import PoseStamped
from harness import LATCHED, Harness
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import Joy

SIDES = ("left", "right")
AXES, BUTTONS = 8, 11  # of an Xbox-like gamepad
SHOULDER, GUIDE = 4, 8
GRIP = 1  # of a hand's controller, as config/leaders/vr.yaml


class Stack:
    """Simulator, robot, teleop and one leader node; `speak` says what its device says."""

    def __init__(self, ros: Harness, leader: str, speak: Callable[[], None]) -> None:
        self.ros, self.speak = ros, speak
        for node in ("robot", "teleop", leader):
            ros.start_node(node)
        ros.start_node("r1_sim", {"camera_hz": 0.0})
        self.states = ros.collect(WholeBodyState, "robot/state", SENSOR)
        self.engagement = ros.collect(TeleopState, "teleop/state", LATCHED)
        self.wait("all inputs", lambda: self.is_in(TeleopState.IDLE))
        ros.arm()

    def is_in(self, engagement: int) -> bool:
        return bool(self.engagement) and self.engagement[-1].state == engagement

    def wait(self, what: str, holds: Callable[[], object]) -> None:
        self.ros.wait_for(holds, what, tick=self.speak)

    def wait_still(self) -> None:
        """Base and left arm stand for thirty states in a row."""
        self.wait(
            "the robot to stand",
            lambda: all(
                np.abs(state.base_velocity).max() < 0.02
                and np.abs(state.left_arm.velocity).max() < 0.02
                for state in self.states[-30:]
            ),
        )


def test_a_gamepad_drives_base_and_arm_and_letting_go_stops_both(ros: Harness) -> None:
    publisher = ros.node.create_publisher(Joy, "joy", SENSOR)
    message = Joy(axes=[0.0] * AXES, buttons=[0] * BUTTONS)
    stack = Stack(ros, "leader_gamepad", lambda: publisher.publish(message))
    message.buttons[SHOULDER] = 1
    stack.wait("engagement", lambda: stack.is_in(TeleopState.ENGAGED))
    message.axes[1] = 1.0
    stack.wait("the base to drive", lambda: stack.states[-1].base_velocity[0] > 0.2)
    message.buttons[SHOULDER] = 0
    stack.wait_still()
    message.axes[1] = 0.0
    message.buttons[GUIDE] = 1  # from here on the sticks move tools
    message.buttons[SHOULDER] = 1
    stack.wait("engagement", lambda: stack.is_in(TeleopState.ENGAGED))
    start = np.array(stack.states[-1].left_arm.position)
    message.axes[1] = 1.0
    stack.wait(
        "the arm to move",
        lambda: np.abs(np.array(stack.states[-1].left_arm.position) - start).max() > 0.15,
    )
    assert np.abs(stack.states[-1].base_velocity).max() < 0.02
    message.buttons[SHOULDER] = 0
    stack.wait_still()


def test_hand_poses_move_an_arm_and_their_silence_stops_it(ros: Harness) -> None:
    poses = {s: ros.node.create_publisher(PoseStamped, f"vr/pose_{s}", SENSOR) for s in SIDES}
    joys = {s: ros.node.create_publisher(Joy, f"vr/joy_{s}", SENSOR) for s in SIDES}
    hand, joy, tracked = PoseStamped(), Joy(axes=[0.0, 0.0], buttons=[0] * 6), {"left", "right"}

    def speak() -> None:
        for side in SIDES:
            joys[side].publish(joy)
            if side in tracked:
                poses[side].publish(hand)

    stack = Stack(ros, "leader_pose", speak)
    joy.buttons[GRIP] = 1
    stack.wait("engagement", lambda: stack.is_in(TeleopState.ENGAGED))
    start = np.array(stack.states[-1].left_arm.position)

    def raise_hand() -> bool:
        hand.pose.position.z = min(hand.pose.position.z + 0.001, 0.15)
        moved = np.array(stack.states[-1].left_arm.position) - start
        return bool(np.abs(moved).max() > 0.15)

    stack.wait("the arm to follow the hand", raise_hand)
    tracked.discard("left")
    stack.wait("teleop to let go", lambda: stack.is_in(TeleopState.IDLE))
    stack.wait_still()
    tracked.add("left")
    seen = len(stack.engagement)
    stack.wait("a while", lambda: len(stack.engagement) > seen + 5)
    assert stack.is_in(TeleopState.IDLE)  # the grip is still held: it must be pressed anew
    joy.buttons[GRIP] = 0
    stack.wait("a while", lambda: len(stack.engagement) > seen + 10)
    joy.buttons[GRIP] = 1
    stack.wait("engagement", lambda: stack.is_in(TeleopState.ENGAGED))
