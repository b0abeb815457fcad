"""The safety monitor's ears: every vendor command on DDS, and when the base came to rest."""

from __future__ import annotations

import bisect
import math
from collections import deque
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
# Of a flood, the newest: reading all of it would hold up what is to be judged. What is left out
# counts as lost.
_FLOOD_TAP = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=40, reliability=ReliabilityPolicy.BEST_EFFORT
)
# Topics are read one after the other, and what a flood washed away shows in the next message that
# comes through. So what came is judged only after so long: a flood also delays, by seconds, and
# how long ago it was published says nothing of what is still to come.
_SETTLE_S = 1.0


class Sorter:
    """What was published, in that order, once all that came before it is surely here."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, int, Any]] = []
        self._count = 0
        self._newest_s = -math.inf  # publication
        self._read: deque[tuple[float, float]] = deque()  # when, and the newest publication then

    def add(self, published_s: float, row: Any) -> None:
        """Something came, of any moment; of two of one moment, the first one comes first."""
        self._count += 1
        self._rows.append((published_s, self._count, row))
        self._newest_s = max(self._newest_s, published_s)

    def due(self, now_s: float) -> list[tuple[float, Any]]:
        """What was published up to the newest that came at least `_SETTLE_S` ago."""
        self._read.append((now_s, self._newest_s))
        complete_s = -math.inf
        while self._read[0][0] <= now_s - _SETTLE_S:
            complete_s = self._read.popleft()[1]
        self._rows.sort(key=lambda row: row[:2])
        count = bisect.bisect_right(self._rows, complete_s, key=lambda row: row[0])
        due, self._rows = self._rows[:count], self._rows[count:]
        return [(published_s, row) for published_s, _, row in due]


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
        self._sorter = Sorter()
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
                    gid = info.get("publisher_gid")
                    publisher = bytes(gid["data"]) if gid else b""
                    published_s = info["source_timestamp"] * 1e-9
                    # At rest or not is asked of now.
                    if role == "chassis":
                        self._rest("measured", published_s, np.array(message.velocity[:3]))
                        continue
                    if (role, part) == ("command", "base"):
                        self._rest("commanded", published_s, _twist(message))
                    self._sorter.add(published_s, (role, part, message, publisher))
                    if role == "source" or (role, part) == ("command", "base"):
                        self._look_for_gap(role, part, published_s, info, publisher)
        for published_s, (role, part, message, publisher) in self._sorter.due(now_s):
            getattr(self, f"_on_{role}")(part, published_s, message, publisher)

    def _look_for_gap(
        self, role: str, part: str, published_s: float, info: dict[str, Any], publisher: bytes
    ) -> None:
        """Tells of lost messages right after the last that came before them."""
        number = info.get("publication_sequence_number") or 0
        # Of one that was not heard before, all of its earlier messages were missed.
        before, before_s = self._counted.get(publisher, (0, published_s - _SETTLE_S))
        if number > before + 1:
            self._sorter.add(before_s, (f"{role}_gap", part, published_s, publisher))
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
        elif hasattr(message, "position"):
            values = np.array(message.position)
        else:
            values = np.array([message.data])
        self.monitor.command(Command(part, published_s, values, caused_s, publisher))

    def _on_measured(self, part: str, _: float, message: JointState, __: bytes) -> None:
        self.monitor.measured(part, np.array(message.position))

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

    def publishers(self, source: str) -> set[bytes]:
        """Who commands by the topic of a source, as far as they were found."""
        found = self._node.get_publishers_info_by_topic(f"{source}/command")
        return {bytes(publisher.endpoint_gid) for publisher in found}

    def close(self) -> None:
        """Give up all topics."""
        self._node.destroy_node()


def _twist(message: Any) -> np.ndarray:
    twist = getattr(message, "twist", message)
    return np.array([twist.linear.x, twist.linear.y, twist.angular.z])


def _never(_: Any) -> None:
    """A subscription wants a callback; nobody spins those of the watch."""
    raise AssertionError("the watch must not be spun")
