"""The safety monitor's ears: every vendor command on DDS, and when the base came to rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from brs_interfaces.msg import SafetyState, WholeBodyCommand
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from brs_hardware.embodiment import Embodiment
from brs_nodes import conversions
from brs_nodes.common import LATCHED
from brs_nodes.vendor import BASE_COMMAND_TYPES, GRIPPER_COMMAND_TYPES
from brs_sim.faults import Command, MonitorConfig, SafetyMonitor

STILL_M_S = 0.02
STILL_RAD_S = 0.02
SHORTEST_S = 0.001
# Two seconds of each topic may wait for a busy computer.
_TAP = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=400, reliability=ReliabilityPolicy.BEST_EFFORT
)
_FLOOD_TAP = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=10_000, reliability=ReliabilityPolicy.BEST_EFFORT
)
# Topics are read one after the other, and what a flood washed away shows in the next message that
# comes through; what is older than this is surely known of all of them.
_SETTLE_S = 0.5


class Watch:
    """Takes what was published, in the order of publication, and hands it to the monitor.

    Args:
        context: of the caller's node.
        embodiment: topics and limits.
        stamped: whether stamps are of the clock by which DDS counts; not in simulated time.
    """

    def __init__(self, context: Context, embodiment: Embodiment, stamped: bool = True) -> None:
        # Simulated time comes in steps, and after a jump of it one step counts as 50 ms.
        config = MonitorConfig() if stamped else MonitorConfig(unstamped_s=0.06)
        self.monitor = SafetyMonitor(embodiment, config)
        self._robot, self._stamped = embodiment, stamped
        # Not spun by any executor; `take` empties its subscriptions.
        self._node = Node("safety_monitor", context=context, use_global_arguments=False)
        self._taps: list[tuple[str, str, Any]] = []
        self._waiting: list[tuple[float, int, str, str, Any, bytes]] = []
        self._count = 0
        self._good_s = 0.0
        self._counted: dict[bytes, tuple[int, float]] = {}  # newest count of a publisher, and when
        # Since when the base has been told to stand, and has stood; None while not.
        self._rests_s: dict[str, float | None] = {"commanded": None, "measured": None}
        vendor = embodiment.vendor
        for part in Embodiment.GROUPS:
            group = embodiment.group(part)
            self._tap("command", part, JointState, group.command_topic)
            self._tap("measured", part, JointState, group.feedback_topic)
        for part in Embodiment.GRIPPERS:
            kind = GRIPPER_COMMAND_TYPES[vendor.gripper_command]
            self._tap("command", part, kind, embodiment.gripper(part).command_topic)
        base_type = BASE_COMMAND_TYPES[vendor.base_command]
        self._tap("command", "base", base_type, embodiment.base.command_topic)
        self._tap("chassis", "base", JointState, embodiment.base.feedback_topic)
        for source in ("teleop", "policy", "replay"):
            self._tap("source", source, WholeBodyCommand, f"{source}/command", _FLOOD_TAP)
        self._tap("mode", "", SafetyState, "robot/safety", LATCHED)

    def _tap(self, role: str, part: str, kind: Any, topic: str, qos: QoSProfile = _TAP) -> None:
        subscription = self._node.create_subscription(kind, topic, _never, qos)
        self._taps.append((role, part, subscription))

    def take(self, now_s: float) -> None:
        """Read all topics, and judge what is surely complete."""
        for role, part, tap in self._taps:
            with tap.handle:
                while taken := tap.handle.take_message(tap.msg_type, False):
                    message, info = taken
                    self._count += 1
                    gid = info.get("publisher_gid")
                    publisher = bytes(gid["data"]) if gid else b""
                    published_s = info["source_timestamp"] * 1e-9
                    row = (published_s, self._count, role, part, message, publisher)
                    self._waiting.append(row)
                    if role == "source" or (role, part) == ("command", "base"):
                        self._look_for_gap(role, part, published_s, info, publisher)
        self._waiting.sort(key=lambda row: row[:2])
        due = [row for row in self._waiting if row[0] < now_s - _SETTLE_S]
        self._waiting = self._waiting[len(due) :]
        for published_s, _, role, part, message, publisher in due:
            getattr(self, f"_on_{role}")(part, published_s, message, publisher)

    def _look_for_gap(
        self, role: str, part: str, published_s: float, info: dict[str, Any], publisher: bytes
    ) -> None:
        """Tells of lost messages right after the last that came before them."""
        number = info.get("publication_sequence_number") or 0
        before, before_s = self._counted.get(publisher, (number, published_s))
        if number > before + 1:
            row = (before_s, self._count, f"{role}_gap", part, published_s, publisher)
            self._waiting.append(row)
        self._counted[publisher] = number, published_s

    def _on_source_gap(self, source: str, _: float, until_s: float, __: bytes) -> None:
        self.monitor.source_missed(until_s, source)

    def _on_command_gap(self, *_: Any) -> None:
        self.monitor.base_missed()

    def _on_command(self, part: str, published_s: float, message: Any, publisher: bytes) -> None:
        caused_s = None
        if self._stamped and hasattr(message, "header"):
            caused_s = conversions.to_seconds(message.header.stamp)
        if part == "base":
            values = _twist(message)
            self._rest("commanded", published_s, values)
        elif hasattr(message, "position"):
            values = np.array(message.position)
        else:
            values = np.array([message.data])
        self.monitor.command(Command(part, published_s, values, caused_s, publisher))

    def _on_measured(self, part: str, _: float, message: JointState, __: bytes) -> None:
        self.monitor.measured(part, np.array(message.position))

    def _on_chassis(self, _: str, published_s: float, message: JointState, __: bytes) -> None:
        self._rest("measured", published_s, np.array(message.velocity[:3]))

    def _on_source(
        self, source: str, published_s: float, message: WholeBodyCommand, _: bytes
    ) -> None:
        # Of a flood, a thousand good ones a second tell all.
        if message.source != source or published_s < self._good_s + SHORTEST_S:
            return
        command = conversions.command_from_message(message)
        values = {part: getattr(command, part, command.base_velocity) for part in Embodiment.PARTS}
        stamp_s = command.stamp_s if self._stamped else None
        if self.monitor.source_command(published_s, stamp_s, source, values):
            self._good_s = published_s

    def _on_mode(self, _: str, published_s: float, message: SafetyState, __: bytes) -> None:
        self.monitor.mode(published_s, message.mode == SafetyState.ARMED, message.source)

    def _rest(self, what: str, published_s: float, velocity: np.ndarray) -> None:
        speed_m_s, turning_rad_s = np.hypot(velocity[0], velocity[1]), abs(velocity[2])
        if speed_m_s >= STILL_M_S or turning_rad_s >= STILL_RAD_S:
            self._rests_s[what] = None
        elif self._rests_s[what] is None:
            self._rests_s[what] = published_s

    def still_since(self, *, commanded: bool = True, measured: bool = True) -> float | None:
        """Since when the base has been told to stand and has stood [s]; None if it is not so.

        Args:
            commanded: whether what it is told counts.
            measured: whether how it moves counts.
        """
        wanted = {"commanded": commanded, "measured": measured}
        since = [self._rests_s[what] for what, counts in wanted.items() if counts]
        known = [moment for moment in since if moment is not None]
        return max(known) if len(known) == len(since) else None

    def close(self) -> None:
        """Give up all topics."""
        self._node.destroy_node()


def _twist(message: Any) -> np.ndarray:
    twist = getattr(message, "twist", message)
    return np.array([twist.linear.x, twist.linear.y, twist.angular.z])


def _never(_: Any) -> None:
    """A subscription wants a callback; nobody spins those of the watch."""
    raise AssertionError("the watch must not be spun")
