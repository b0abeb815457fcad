"""Node `inspire_hand`: makes a hand on a serial port look like a vendor gripper.

It takes strokes from the gripper's command topic and reports strokes on its feedback topic, so
that any arm can carry it and nothing else in the stack needs to know. Which port and which side is
named in the embodiment file (`end_effector: inspire_hand`, `hand:`).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float32

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.end_effectors import EndEffectorState, InspireHand, make_end_effector
from brs_hardware.errors import ConfigError, DeviceError
from brs_nodes import conversions
from brs_nodes.common import NEWEST, SENSOR, Diagnostics, declare, now_s, parameter, run
from brs_nodes.vendor import GRIPPER_COMMAND_TYPES

STEP_HZ = 50.0


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    gripper: str = parameter("left_gripper", "which gripper of the robot the hand replaces")


class InspireHandNode(Node):
    """Thin shell around InspireHand; one thread owns the serial line."""

    def __init__(self) -> None:
        super().__init__("inspire_hand")
        parameters = declare(self, Parameters)
        robot = load_embodiment(parameters.robot)
        if parameters.gripper not in Embodiment.GRIPPERS:
            raise ConfigError(
                f"unknown gripper '{parameters.gripper}'",
                where="parameter gripper",
                remedy=did_you_mean(parameters.gripper, Embodiment.GRIPPERS),
            )
        self._name = parameters.gripper
        self._gripper = robot.gripper(self._name)
        hand = make_end_effector(self._gripper, _no_topic)
        if not isinstance(hand, InspireHand):
            raise ConfigError(
                f"the {self._name} of '{robot.name}' is a {self._gripper.end_effector}",
                where=robot.path,
                remedy="set 'end_effector: inspire_hand' and 'hand:' there",
            )
        hand.open()
        self._hand = hand
        self._feedback = self.create_publisher(JointState, self._gripper.feedback_topic, SENSOR)
        kind = GRIPPER_COMMAND_TYPES[robot.vendor.gripper_command]
        self.create_subscription(kind, self._gripper.command_topic, self._on_command, NEWEST)
        self._diagnostics = Diagnostics(self, self._summary)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._exchange, name="hand", daemon=True)
        self._thread.start()

    def _on_command(self, message: JointState | Float32) -> None:
        stroke = [message.data] if isinstance(message, Float32) else list(message.position[:1])
        if stroke:
            self._hand.act(now_s(self), self._gripper.to_closed(stroke[0]))

    def _exchange(self) -> None:
        """Talk to the hand at a steady rate and publish what it measures."""
        last: EndEffectorState | None = None
        while not self._closing.is_set():
            started_s = time.monotonic()
            self._hand.step(started_s)
            state = self._hand.state()
            if state is not None and state is not last and state.connected:
                stroke_mm = np.array([self._gripper.to_stroke_mm(state.closed)])
                # A hand that is gone publishes nothing: its feedback goes stale, as it should.
                self._feedback.publish(
                    conversions.joint_state(now_s(self), (self._name,), stroke_mm)
                )
                self._diagnostics.count("feedback")
            if state is not None and last is not None and state.problems != last.problems:
                for problem in state.problems:
                    self.get_logger().warning(problem)
            last = state
            self._closing.wait(max(0.0, started_s + 1.0 / STEP_HZ - time.monotonic()))

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        state = self._hand.state()
        if state is None:
            return 1, "no measurement yet", {}
        level = 0 if state.connected and not state.problems else (1 if state.connected else 2)
        values = {"closed": f"{state.closed:.2f}"}
        return level, "; ".join(state.problems) or "connected", values

    def close(self) -> None:
        """Stop the thread, then give up the port; the hand holds its last pose."""
        self._closing.set()
        self._thread.join(timeout=2.0)
        self._hand.close()


def _no_topic(stamp_s: float, stroke_mm: float) -> None:
    """A hand has a port of its own and sends nothing to a vendor topic."""
    raise DeviceError(f"no topic for a stroke of {stroke_mm:g} mm")


def main() -> None:
    run(InspireHandNode)
