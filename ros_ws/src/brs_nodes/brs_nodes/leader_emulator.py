"""Node `leader_emulator`: an emulated JoyLo and whoever moves it: a script, keyboard or gamepad.

The motors answer on a pseudo terminal and the Joy-Cons on sockets, so the `joylo` node drives
them with the same code as real ones. The scripted operator plays the person: it sees what a person
sees (robot, objects, whether teleop follows) and moves only the leader.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from brs_interfaces.msg import SafetyState, TeleopState, WholeBodyState
from rclpy.node import Node
from sensor_msgs.msg import JointState
from visualization_msgs.msg import MarkerArray

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.joylo import load_leader
from brs_hardware.leaders.devices import Gamepad, read_keys
from brs_hardware.leaders.hands import KEYBOARD_HELP, GamepadHand, KeyboardHand
from brs_hardware.teleop import DEADMAN, Engagement
from brs_nodes import conversions
from brs_nodes.common import (
    LATCHED,
    NEWEST,
    Diagnostics,
    Inbox,
    Priority,
    declare,
    now_s,
    parameter,
    run,
)
from brs_sim.emulators.joylo import EmulatedJoyLo
from brs_sim.emulators.manual import ManualOperator
from brs_sim.operator.hands import OperatorAction
from brs_sim.operator.scripted import ScriptedOperator
from brs_sim.tasks.registry import Pose

OPERATORS = ("script", "keyboard", "gamepad")
# How long the person lets go when teleop asks for a new press.
RELEASE_S = 0.3


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    leader: str = parameter("joylo_emulated", "leader description in config/leaders")
    operator: str = parameter("script", "who moves it: script, keyboard or gamepad")
    task: str = parameter("shelves", "what the script does")
    seed: int = parameter(0, "of the script's scene", 0, 2**31 - 1)
    rate_hz: float = parameter(50.0, "rate of the hands", 10.0, 200.0)
    gamepad: str = parameter("/dev/input/js0", "device of the gamepad")


class LeaderEmulatorNode(Node):
    """Owns the emulated leader and moves it at a steady rate."""

    def __init__(self) -> None:
        super().__init__("leader_emulator")
        self.parameters = declare(self, Parameters)
        if self.parameters.operator not in OPERATORS:
            raise ConfigError(
                f"unknown operator '{self.parameters.operator}'",
                where="parameter operator",
                remedy=did_you_mean(self.parameters.operator, OPERATORS),
            )
        # The bus answers from a thread of this process; do not let it wait for the hands.
        sys.setswitchinterval(0.0005)
        self.config = load_leader(self.parameters.leader)
        self.leader = EmulatedJoyLo(self.config)
        self.leader.start()
        self._closing = threading.Event()
        self._hand_thread: threading.Thread | None = None
        self._status = "hanging"
        self._inbox: Inbox | None = None
        self.diagnostics = Diagnostics(self, self._summary)
        if self.parameters.operator == "script":
            self._watch_robot()
        else:
            move = (
                self._by_keyboard if self.parameters.operator == "keyboard" else self._by_gamepad
            )
            self._hand_thread = threading.Thread(target=self._by_hand, args=(move,), daemon=True)
            self._hand_thread.start()

    # -- script ----------------------------------------------------------------------------

    def _watch_robot(self) -> None:
        self.operator = ScriptedOperator(
            load_embodiment(self.parameters.robot), self.parameters.task, self.parameters.seed
        )
        self._seen: dict[str, Any] = {}
        self._objects: dict[str, Pose] = {}
        self._released_until_s = 0.0
        self._phase = ""
        self._inbox = Inbox(self)
        self._eyes: dict[str, Callable[[], Any]] = {
            topic: self._inbox.newest(kind, topic, quality)
            for topic, kind, quality in (
                ("robot/state", WholeBodyState, NEWEST),
                ("robot/safety", SafetyState, LATCHED),
                ("teleop/state", TeleopState, LATCHED),
                ("sim/objects", MarkerArray, NEWEST),
                ("joylo/joint_states", JointState, NEWEST),
            )
        }
        self.create_timer(1.0 / self.parameters.rate_hz, self._act)

    def _look(self) -> None:
        for topic, newest in self._eyes.items():
            if message := newest():
                self._seen[topic] = message
        if "joylo/joint_states" in self._seen:  # the leader is on: that is all there is to see
            self._eyes.pop("joylo/joint_states", None)
        if markers := self._seen.pop("sim/objects", None):
            for marker in markers.markers:
                point, turn = marker.pose.position, marker.pose.orientation
                self._objects[marker.ns] = (
                    np.array([point.x, point.y, point.z]),
                    np.array([turn.w, turn.x, turn.y, turn.z]),
                )

    def _act(self) -> None:
        """The person waits until the robot is armed and the leader is on; then works."""
        self._look()
        safety, state = self._seen.get("robot/safety"), self._seen.get("robot/state")
        if safety is None or state is None or not self._objects:
            return
        if (
            "joylo/joint_states" not in self._seen
            or safety.mode != SafetyState.ARMED
            or safety.source != "teleop"
        ):
            return
        now = now_s(self)
        action = self.operator.act(now, conversions.state_from_message(state), self._objects)
        self._move(action, self._holding(now, action))
        if self.operator.phase != self._phase:
            self._phase = self._status = self.operator.phase
            self.get_logger().info(self._phase)

    def _holding(self, now: float, action: OperatorAction) -> bool:
        """Whether the dead-man stays pressed; when teleop asks for a new press it is let go."""
        teleop = self._seen.get("teleop/state")
        pressed = (action.left_buttons | action.right_buttons) & DEADMAN
        if (
            teleop is not None
            and pressed
            and teleop.state == Engagement.REFUSED
            and "press again" in teleop.message
            and now > self._released_until_s + RELEASE_S
        ):
            self._released_until_s = now + RELEASE_S
        return now > self._released_until_s

    def _move(self, action: OperatorAction, holding: bool) -> None:
        self.leader.move_hand(action.left_arm, action.right_arm)
        zones = {
            "left": self.config.left_joycon.dead_zone,
            "right": self.config.right_joycon.dead_zone,
        }
        for side, zone in zones.items():
            wanted = getattr(action, f"{side}_stick")
            # A thumb pushes past the dead zone for what it wants to see.
            pushed = np.where(
                np.abs(wanted) > 1e-3, np.sign(wanted) * zone + (1 - zone) * wanted, 0
            )
            self.leader.set_stick(side, pushed)
            buttons = getattr(action, f"{side}_buttons")
            self.leader.set_buttons(side, buttons if holding else buttons - DEADMAN)

    # -- a person's hands ------------------------------------------------------------------

    def _by_hand(self, move: Any) -> None:
        try:
            move(ManualOperator(self.leader))
        except DeviceError as error:
            self._status = str(error)
            self.get_logger().fatal(str(error))

    def _by_keyboard(self, operator: ManualOperator) -> None:
        hand = KeyboardHand()
        with read_keys() as keys:
            self.get_logger().info(KEYBOARD_HELP)
            while not self._closing.is_set():
                for key in keys(1.0 / self.parameters.rate_hz):
                    hand.press(key, now_s(self))
                operator.apply(hand.action(now_s(self)))

    def _by_gamepad(self, operator: ManualOperator) -> None:
        hand, gamepad = GamepadHand(), Gamepad(self.parameters.gamepad)
        try:
            while not self._closing.is_set():
                for event in gamepad.events(1.0 / self.parameters.rate_hz):
                    hand.event(*event)
                operator.apply(hand.action(now_s(self)))
        finally:
            gamepad.close()

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        return 0, self._status, {}

    def close(self) -> None:
        """Unplug everything."""
        self._closing.set()
        if self._hand_thread is not None:
            self._hand_thread.join(timeout=1.0)
        self.leader.stop()
        if self._inbox is not None:
            self._inbox.close()


def main() -> None:
    run(LeaderEmulatorNode, Priority.CONTROL)
