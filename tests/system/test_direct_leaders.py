"""Leaders without a JoyLo through real nodes: they move the simulated robot, and let it stand."""

from __future__ import annotations

import time
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
# On a loaded machine inputs stall, and the leader lets go: a person then presses again.
PATIENCE_S, RELEASE_S = 1.0, 0.3


class Stack:
    """Simulator, robot, teleop, one leader node, and a person at its device.

    Args:
        speak: publishes what the device says, with the dead-man pressed or not.
    """

    def __init__(self, ros: Harness, leader: str, speak: Callable[[bool], None]) -> None:
        self.ros, self.speak, self.holding = ros, speak, False
        for node in ("robot", "teleop", leader):
            ros.start_node(node)
        ros.start_node("r1_sim", {"camera_hz": 0.0})
        self._engaged_s = time.monotonic()
        self.states = ros.collect(WholeBodyState, "robot/state", SENSOR)
        self.engagement = ros.collect(TeleopState, "teleop/state", LATCHED)
        self.wait("all inputs", lambda: self.is_in(TeleopState.IDLE))
        ros.arm()

    def is_in(self, engagement: int) -> bool:
        return bool(self.engagement) and self.engagement[-1].state == engagement

    def wait(self, what: str, holds: Callable[[], object]) -> None:
        """The person presses anew where the dead-man has been held for long to no effect."""
        self.ros.wait_for(holds, what, tick=self._speak)

    def _speak(self) -> None:
        now_s = time.monotonic()
        if not self.holding or not (
            self.is_in(TeleopState.IDLE) or self.is_in(TeleopState.REFUSED)
        ):
            self._engaged_s = now_s
        waited_s = (now_s - self._engaged_s) % (PATIENCE_S + RELEASE_S)
        self.speak(self.holding and waited_s < PATIENCE_S)

    def engage(self) -> None:
        self.holding = True
        self.wait("engagement", lambda: self.is_in(TeleopState.ENGAGED))

    def wait_for_arm(self) -> None:
        """Until the left arm has moved."""
        start = np.array(self.states[-1].left_arm.position)
        self.wait(
            "the arm to move",
            lambda: np.abs(np.array(self.states[-1].left_arm.position) - start).max() > 0.15,
        )

    def wait_still(self) -> None:
        """Until base and left arm have stood for thirty states."""
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

    def speak(pressed: bool) -> None:
        message.buttons[SHOULDER] = int(pressed)
        publisher.publish(message)

    stack = Stack(ros, "leader_gamepad", speak)
    stack.engage()
    message.axes[1] = 1.0
    stack.wait("the base to drive", lambda: stack.states[-1].base_velocity[0] > 0.2)
    stack.holding = False
    stack.wait_still()
    message.axes[1] = 0.0
    message.buttons[GUIDE] = 1  # from here on the sticks move tools
    stack.engage()
    message.axes[1] = 1.0
    stack.wait_for_arm()
    assert np.abs(stack.states[-1].base_velocity).max() < 0.02
    stack.holding = False
    stack.wait_still()


def test_hand_poses_move_an_arm_and_their_silence_stops_it(ros: Harness) -> None:
    poses = {s: ros.node.create_publisher(PoseStamped, f"vr/pose_{s}", SENSOR) for s in SIDES}
    joys = {s: ros.node.create_publisher(Joy, f"vr/joy_{s}", SENSOR) for s in SIDES}
    hand, joy = PoseStamped(), Joy(axes=[0.0, 0.0], buttons=[0] * 6)
    tracked, raising, stubborn = {"left", "right"}, False, False

    def speak(pressed: bool) -> None:
        joy.buttons[GRIP] = int(pressed or stubborn)
        # Up and down again, always slower than a hand can be.
        hand.pose.position.z = 0.1 * (1.0 - np.cos(time.monotonic())) if raising else 0.0
        for side in SIDES:
            joys[side].publish(joy)
            if side in tracked:
                poses[side].publish(hand)

    stack = Stack(ros, "leader_pose", speak)
    raising = True
    stack.engage()
    stack.wait_for_arm()
    tracked.discard("left")
    stubborn = True  # and never lets the grip go
    stack.wait("teleop to let go", lambda: stack.is_in(TeleopState.IDLE))
    stack.wait_still()
    tracked.add("left")
    seen = len(stack.engagement)
    stack.wait("a while", lambda: len(stack.engagement) > seen + 10)
    assert not any(state.state >= TeleopState.RAMPING for state in stack.engagement[seen:])
    stubborn = False
    stack.engage()
