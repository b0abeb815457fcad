"""Leaders without a JoyLo through real nodes: they move the simulated robot, and let it stand."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import yaml
from brs_interfaces.msg import TeleopState, WholeBodyState
from geometry_msgs.msg import PoseStamped
from harness import LATCHED, Harness
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from brs_hardware.config import config_folder
from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.embodiment import load_embodiment
from brs_sim.emulators.chain import MotorChain
from brs_sim.emulators.dynamixel_bus import EmulatedBus, joylo_motors

SIDES = ("left", "right")
AXES, BUTTONS = 8, 11  # of an Xbox-like gamepad
SHOULDER, GUIDE = 4, 8
GRIP = 1  # of a hand's controller, as config/leaders/vr.yaml
# On a loaded machine inputs stall, and the leader lets go: a person then presses again.
PATIENCE_S, RELEASE_S = 1.0, 0.3


class Stack:
    """Simulator, robot, teleop, one leader node, and a person at its device.

    Args:
        leader: its node; "" where the test has started it.
        speak: publishes what the device says, with the dead-man pressed or not.
    """

    def __init__(self, ros: Harness, leader: str, speak: Callable[[bool], None]) -> None:
        self.ros, self.speak, self.holding = ros, speak, False
        for node in filter(None, ("robot", "teleop", leader)):
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


def test_keys_drive_the_base_until_none_comes_any_more(ros: Harness) -> None:
    person, terminal = os.openpty()
    keys, held, pressed_s = "", False, 0.0

    def speak(pressed: bool) -> None:
        nonlocal held, pressed_s
        if pressed != held:
            held = pressed
            os.write(person, b" \r" if pressed else b" ")  # let go of everything, and latch
        if pressed and keys and time.monotonic() > pressed_s + 0.1:  # as a held key repeats
            pressed_s = time.monotonic()
            os.write(person, keys.encode())

    leader = ros.start_node("leader_keyboard", stdin=terminal)
    os.close(terminal)
    ros.wait_for(lambda: "Enter dead-man" in leader.output, "its keys to be told")
    stack = Stack(ros, "", speak)
    stack.engage()
    keys = "w"
    stack.wait("the base to drive", lambda: stack.states[-1].base_velocity[0] > 0.2)
    keys = ""  # the hand leaves the keyboard, the dead-man stays latched
    stack.wait_still()
    os.close(person)
    ros.wait_for(lambda: "the terminal was closed" in leader.output, "the lost terminal")
    stack.speak = lambda pressed: None
    stack.wait("teleop to let go", lambda: stack.is_in(TeleopState.IDLE))


GELLO_IDS, GELLO_TRIGGER = (1, 2, 3, 4, 5, 6), 7


def gello(folder: Path) -> str:
    """config/leaders/gello.yaml with both arms at emulated ports, neutral as the robot starts."""
    values = yaml.safe_load((config_folder() / "leaders" / "gello.yaml").read_text())
    ready = load_embodiment("r1").poses["ready"]
    for side in SIDES:
        values[side] |= {"port": str(folder / side), "baud": 1_000_000}
        values[side]["arm"]["neutral"] = ready[f"{side}_arm"].tolist()
    values |= {"reply_timeout_s": 0.2, "reading_timeout_s": 0.3}  # emulated on a busy computer
    path = folder / "leader.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_two_chains_of_motors_lead_both_arms_and_a_pulled_plug_lets_go(
    ros: Harness, tmp_path: Path
) -> None:
    publisher = ros.node.create_publisher(Joy, "joy", SENSOR)
    message = Joy(axes=[0.0] * AXES, buttons=[0] * BUTTONS)

    def speak(pressed: bool) -> None:
        message.buttons[SHOULDER] = int(pressed)
        publisher.publish(message)

    with ExitStack() as cables:
        buses = {
            side: cables.enter_context(
                closing(
                    EmulatedBus(
                        MotorChain(joylo_motors((*GELLO_IDS, GELLO_TRIGGER), 1_000_000)),
                        tmp_path / side,
                    )
                )
            )
            for side in SIDES
        }
        options = {"leader": gello(tmp_path), "rate_hz": 50.0}
        leader = ros.start_node("leader_chains", options)
        ros.wait_for(lambda: "connected" in leader.output, "both buses")
        assert ros.call(Trigger, "joylo/bind_neutral", Trigger.Request()).success
        ros.wait_for(lambda: "bound to the neutral pose" in leader.output, "the binding")
        stack = Stack(ros, "", speak)
        stack.engage()
        with buses["left"].changing() as motors:
            wrist = motors.motor(GELLO_IDS[3])
            wrist.grasp(wrist.shaft + 0.3 / RAD_PER_TICK)
            motors.step(time.monotonic())
        stack.wait_for_arm()
        buses["right"].close()
        stack.wait("teleop to let go", lambda: stack.is_in(TeleopState.IDLE))
        stack.wait_still()
    assert str(tmp_path / "right") in leader.output
    refused = ros.call(Trigger, "joylo/bind_neutral", Trigger.Request())
    assert not refused.success and "not connected" in refused.message
