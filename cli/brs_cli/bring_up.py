"""`brs bring-up`: looks at a robot before it is armed; nothing is commanded.

Checks that the vendor's topics are there with the right types, rates and joints, that stamps fit
this computer's clock, that no motor reports a fault, that the vendor's nodes listen, and says what
to do about each thing found. Exit status 0 if nothing failed; warnings do not count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
import rclpy
from brs_interfaces.msg import SafetyState
from hdas_msg.msg import Bms, ControllerSignalStamped, FeedbackStatus
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import JointState

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.galaxea.battery import Battery
from brs_hardware.galaxea.bring_up import (
    FAIL,
    OK,
    WARN,
    Endpoint,
    Finding,
    Message,
    Observation,
    check,
    command_topics,
    feedback_topics,
)
from brs_hardware.galaxea.faults import Fault
from brs_nodes import conversions
from brs_nodes.common import LATCHED, SENSOR, make_executor, now_s
from brs_nodes.vendor import battery_from_message, faults_from_message

NODE = "bring_up"


class Watcher:
    """Listens to one robot and remembers what it saw.

    Args:
        node: to subscribe with.
        robot: what to look for.
    """

    def __init__(self, node: Node, robot: Embodiment) -> None:
        self._node, self._robot = node, robot
        self._counts: Counter[str] = Counter()
        self._newest: dict[str, Message] = {}
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._battery: Battery | None = None
        self._remote_mode: int | None = None
        self._estop: bool | None = None
        self._subscribed: set[str] = set()
        vendor = robot.vendor
        for part, topic in vendor.status_topics.items():
            self._listen(FeedbackStatus, topic, lambda m, p=part: self._on_status(p, m))
        if vendor.battery is not None:
            self._listen(Bms, vendor.battery.topic, self._on_battery)
        if vendor.controller_topic:
            self._listen(ControllerSignalStamped, vendor.controller_topic, self._on_remote)
        self._listen(SafetyState, "robot/safety", self._on_safety, LATCHED)

    def listen_to_feedback(self) -> bool:
        """Subscribe to the feedback that is announced by now; True once all of it is."""
        waiting = False
        for topic in feedback_topics(self._robot).values():
            if topic in self._subscribed:
                continue
            kinds = {endpoint.type for endpoint in self._publishers(topic)}
            waiting |= not kinds
            if kinds == {"sensor_msgs/msg/JointState"}:
                self._subscribed.add(topic)
                self._listen(JointState, topic, lambda m, t=topic: self._on_joints(t, m))
        return not waiting

    def restart(self) -> None:
        """Count from now on."""
        self._counts.clear()

    def observation(self, duration_s: float) -> Observation:
        """All seen since `restart`, which was `duration_s` ago."""
        robot = self._robot
        taken = [topic for topic, _ in command_topics(robot).values()]
        taken.append(robot.vendor.acceleration_limit_topic)
        all_topics = (*feedback_topics(robot).values(), *taken)
        return Observation(
            duration_s=duration_s,
            publishers={topic: self._publishers(topic) for topic in all_topics},
            subscribers={topic: self._subscribers(topic) for topic in taken},
            counts=dict(self._counts),
            newest=dict(self._newest),
            faults=tuple(fault for faults in self._faults.values() for fault in faults),
            statuses=frozenset(part for part, _ in self._faults),
            battery=self._battery,
            remote_mode=self._remote_mode,
            estop=self._estop,
        )

    def _listen(self, kind: Any, topic: str, callback: Any, qos: Any = SENSOR) -> None:
        self._node.create_subscription(kind, topic, callback, qos)

    def _publishers(self, topic: str) -> tuple[Endpoint, ...]:
        return self._endpoints(self._node.get_publishers_info_by_topic, topic)

    def _subscribers(self, topic: str) -> tuple[Endpoint, ...]:
        return self._endpoints(self._node.get_subscriptions_info_by_topic, topic)

    def _endpoints(self, ask: Any, topic: str) -> tuple[Endpoint, ...]:
        if not topic:
            return ()
        return tuple(
            Endpoint(
                node=info.node_name,
                type=info.topic_type,
                transient_local=info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
            )
            for info in ask(self._node.resolve_topic_name(topic))
            if info.node_name != NODE
        )

    def _on_joints(self, topic: str, message: Any) -> None:
        self._counts[topic] += 1
        late_s = now_s(self._node) - conversions.to_seconds(message.header.stamp)
        last = self._newest.get(topic)
        self._newest[topic] = Message(
            late_s=late_s if last is None else min(late_s, last.late_s),
            names=tuple(message.name),
            position=np.array(message.position),
            velocity=np.array(message.velocity),
        )

    def _on_status(self, part: str, message: FeedbackStatus) -> None:
        self._faults[part, message.name_id] = faults_from_message(part, message)

    def _on_battery(self, message: Bms) -> None:
        self._battery = battery_from_message(message)

    def _on_remote(self, message: ControllerSignalStamped) -> None:
        self._remote_mode = message.data.mode

    def _on_safety(self, message: SafetyState) -> None:
        self._estop = message.mode == SafetyState.ESTOP


def main() -> None:
    """Entry point of `brs bring-up`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--robot", default="r1", help="robot description in config/robots")
    parser.add_argument("--namespace", default="", help="of the robot's topics")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to measure rates")
    parser.add_argument("--patience", type=float, default=8.0, help="seconds to look for topics")
    parser.add_argument("--json", action="store_true", help="print findings as JSON")
    options = parser.parse_args()
    robot = load_embodiment(options.robot)
    findings = check(robot, observe(robot, options.namespace, options.seconds, options.patience))
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(robot.name, findings)
    if any(finding.status == FAIL for finding in findings):
        raise SystemExit(1)


def observe(robot: Embodiment, namespace: str, seconds: float, patience_s: float) -> Observation:
    """Wait until the feedback topics are there, at most `patience_s`, then measure."""
    context = Context()
    rclpy.init(context=context)
    node = Node(NODE, namespace=namespace, context=context, enable_rosout=False)
    executor = make_executor(context)
    executor.add_node(node)
    try:
        watcher = Watcher(node, robot)
        end_s = time.monotonic() + patience_s
        while not watcher.listen_to_feedback() and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.1)
        _spin(executor, 0.5)  # the other direction of discovery
        watcher.restart()
        started_s = time.monotonic()
        _spin(executor, seconds)
        return watcher.observation(time.monotonic() - started_s)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def _spin(executor: Any, duration_s: float) -> None:
    end_s = time.monotonic() + duration_s
    while (left_s := end_s - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left_s)


def show(robot: str, findings: list[Finding]) -> None:
    """A table, one row a finding, and a last line that says whether to arm."""
    colors = {OK: "green", WARN: "yellow", FAIL: "red"}
    table = Table("", "check", "found", "what to do")
    for finding in findings:
        mark = f"[{colors[finding.status]}]{finding.status.upper()}[/]"
        table.add_row(mark, finding.check, finding.detail, finding.remedy)
    console = Console()
    console.print(table)
    failed = sum(finding.status == FAIL for finding in findings)
    warned = sum(finding.status == WARN for finding in findings)
    verdict = f"do not arm: {failed} checks failed" if failed else "may be armed"
    console.print(f"{robot}: {verdict}" + (f", {warned} warnings" if warned else ""))
