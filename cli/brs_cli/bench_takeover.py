"""A person takes over from a policy on the running stack, again and again."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from brs_interfaces.msg import LeaderState, TeleopState, WholeBodyCommand, WholeBodyState
from rclpy.qos import qos_profile_sensor_data as SENSOR

from brs_cli.session import Session
from brs_hardware.joylo import load_leader
from brs_nodes.common import COMMAND, Priority, set_priority
from brs_sim.emulators.joylo import EmulatedJoyLo

POLICY_HZ = 50.0
SWING_RAD, SWING_PERIOD_S = 0.25, 4.0


class Takeover(Session):
    """Simulator, robot, teleop, and a JoyLo that mirrors; a policy that swings both wrists."""

    def __init__(self) -> None:
        super().__init__(
            "teleop.launch.py",
            {
                "sim": "true",
                "camera_hz": "0.0",
                "leader": "attached",
                "mirror": "true",
                "source": "policy",
            },
        )

    def __enter__(self) -> Takeover:
        super().__enter__()
        # The motors answer from a thread of this process: they must not wait for the policy.
        set_priority(Priority.CONTROL)
        self._switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)
        self.leader = EmulatedJoyLo(load_leader("joylo_emulated"))
        self.leader.start()
        self.sent: list[tuple[float, WholeBodyCommand]] = []  # with the time of arrival [s]
        self._newest: dict[str, Any] = {}
        node = self.node
        node.create_subscription(WholeBodyCommand, "robot/command", self._on_sent, SENSOR)
        for topic, kind in (("robot/state", WholeBodyState), ("joylo/state", LeaderState)):
            node.create_subscription(kind, topic, self._keep(topic), SENSOR)
        self._policy = node.create_publisher(WholeBodyCommand, "policy/command", COMMAND)
        node.create_timer(1.0 / POLICY_HZ, self._lead)
        self._start: WholeBodyState | None = None
        return self

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)
        self.leader.stop()
        set_priority(Priority.NORMAL)
        sys.setswitchinterval(self._switch_interval_s)

    def _on_sent(self, message: WholeBodyCommand) -> None:
        self.sent.append((time.monotonic(), message))

    def _keep(self, topic: str) -> Any:
        return lambda message: self._newest.__setitem__(topic, message)

    def _lead(self) -> None:
        """The policy: wrists to and fro about where they were, whoever is followed."""
        state = self._newest.get("robot/state")
        self._start = self._start or state
        if self._start is None:
            return
        swing = SWING_RAD * np.sin(2.0 * np.pi * time.monotonic() / SWING_PERIOD_S)
        message = WholeBodyCommand(source="policy", torso=list(self._start.torso.position))
        message.header.stamp = self.node.get_clock().now().to_msg()
        for arm in ("left_arm", "right_arm"):
            moved = np.array(getattr(self._start, arm).position)
            moved[3] += swing
            setattr(message, arm, moved.tolist())
        self._policy.publish(message)

    def mirrors(self) -> bool:
        """Whether the leader is driven to where the robot is, and is there."""
        state = self._newest.get("joylo/state")
        return bool(
            state is not None and state.mode == "mirror" and np.max(np.abs(state.gap)) < 0.1
        )

    def once(self) -> tuple[float, float, float]:
        """One takeover and its handing back.

        Returns:
            gap [ms] between the last command of the policy that went to the robot and the first
            of the person, the greatest joint step [rad] between them, and the time [ms] from the
            press to that first command.
        """
        self.wait("the leader to mirror", self.mirrors, 60.0)
        self.wait("the policy to drive", lambda: self._driver() == "policy", 20.0)
        self.sent.clear()
        self.spin(0.5)
        self.leader.move_hand(*self.leader.joint_angles())
        pressed_s = time.monotonic()
        self.leader.set_buttons("left", frozenset({"l"}))
        self.wait("the takeover", lambda: self._driver() == "teleop", 20.0)
        first = [command.source for _, command in self.sent].index("teleop")
        (policy_s, before), (taken_s, after) = self.sent[first - 1 : first + 1]
        teleop = "teleop/state"
        self.wait("engagement", lambda: self.state[teleop].state == TeleopState.ENGAGED, 20.0)
        self.leader.release_hand()
        self.leader.set_buttons("left", frozenset())
        self.leader.set_buttons("right", frozenset({"b"}))
        self.wait("the policy to go on", lambda: self._driver() == "policy", 20.0)
        self.leader.set_buttons("right", frozenset())
        step = max(
            np.max(np.abs(np.subtract(getattr(after, name), getattr(before, name))))
            for name in ("torso", "left_arm", "right_arm")
        )
        return 1e3 * (taken_s - policy_s), float(step), 1e3 * (taken_s - pressed_s)

    def _driver(self) -> str:
        return str(self.sent[-1][1].source) if self.sent else ""
