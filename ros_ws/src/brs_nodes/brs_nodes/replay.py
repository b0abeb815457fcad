"""Node `replay`: plays an episode's commands into the robot node, its sensors anywhere.

Waits until the robot is armed with source `replay` (arms it itself if asked to), refuses a start
far from where the bag begins, then plays on an absolute schedule of the ROS clock.
"""

from __future__ import annotations

import heapq
import importlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import rclpy
from brs_interfaces.msg import SafetyState, WholeBodyCommand, WholeBodyState
from brs_interfaces.srv import Arm, SelectSource
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_ml.episode import (
    EpisodeError,
    EpisodeReader,
    Pace,
    Topic,
    check_start,
    command_times_ns,
    parse_remaps,
)
from brs_nodes.common import COMMAND_DEADLINE, LATCHED, SENSOR, declare, make_executor, parameter

COMMAND_TYPE = "brs_interfaces/msg/WholeBodyCommand"
GROUPS = ("torso", "left_arm", "right_arm")
DISCOVERY_S = 3.0  # for somebody to subscribe to what is played
PATIENCE_S = 30.0  # for the robot to answer where arming is ours


@dataclass(frozen=True)
class Parameters:
    bag: str = parameter("", "folder of the episode")
    robot: str = parameter("r1", "robot description in config/robots, names the joints")
    rate: float = parameter(1.0, "speed; 2 is twice as fast", 0.01, 100.0)
    start_s: float = parameter(0.0, "leave out so much of the beginning", 0.0, 1e6)
    topics: str = parameter("", "sensor topics to play, too: from or from:=to, comma-separated")
    commands: bool = parameter(True, "play the commands")
    arm: bool = parameter(False, "arm the robot; otherwise wait for a person to do it")
    start_tolerance_rad: float = parameter(0.5, "farthest joint at the start", 0.0, 10.0)
    command_topic_in: str = parameter(
        "", "commands in the bag; empty: robot/command, what was really sent, or teleop/command"
    )
    command_topic_out: str = parameter("replay/command", "where they are played to")
    exit_when_done: bool = parameter(True, "end the process after the last message")


class Due(NamedTuple):
    """Something to publish; ordered by its time, then by its place in the bag."""

    bag_time_ns: int
    order: int
    publish: Callable[[], None]


class ReplayNode(Node):
    """One pass over a bag."""

    def __init__(self) -> None:
        super().__init__("replay")
        self.parameters = declare(self, Parameters)
        if not self.parameters.bag:
            raise ConfigError("no bag given", where="parameter bag", remedy="bag:=FOLDER")
        self._state: WholeBodyState | None = None
        self._safety: SafetyState | None = None
        self._asked: Any = None  # future of the service call that is under way
        self._complaint = ""
        self._began_s = time.monotonic()
        self._played = 0
        self._pace: Pace | None = None
        self._next: Due | None = None
        self._armed_by_us = False
        self._outputs: list[Any] = []
        self.status: int | None = None  # of the process, once it shall end
        self.done = self.create_publisher(Bool, "replay/done", LATCHED)
        self.done.publish(Bool(data=False))
        try:
            self._open()
        except EpisodeError as error:
            raise _mendable(error) from None
        self.create_subscription(SafetyState, "robot/safety", self._on_safety, LATCHED)
        self._state_subscription = self.create_subscription(
            WholeBodyState, "robot/state", self._on_state, SENSOR
        )
        self._select: Any = self.create_client(SelectSource, "robot/select_source")
        self._arm: Any = self.create_client(Arm, "robot/arm")
        # Waiting goes by a steady clock: simulated time may stand until somebody moves.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._waiting = self.create_timer(0.05, self._prepare, clock=steady)

    # -- the bag ---------------------------------------------------------------------------

    def _open(self) -> None:
        parameters = self.parameters
        self.reader = EpisodeReader(parameters.bag)
        if self.reader.torn:
            whole = sum(self.reader.counts.values())
            self.get_logger().warning(f"the bag is torn; playing the {whole} messages it holds")
        first_ns = self.reader.span_ns[0] + round(parameters.start_s * 1e9)
        self._commands = self._read_commands(first_ns) if parameters.commands else []
        sensors = {
            self.reader.topic_named(source).name: (self.reader.topic_named(source), target)
            for source, target in parse_remaps(parameters.topics).items()
        }
        publishers = {name: self._sensor_publisher(*pair) for name, pair in sensors.items()}
        self._items: Iterator[Due] = heapq.merge(
            self._due_commands(), self._due_sensors(publishers, first_ns) if publishers else ()
        )

    def _read_commands(self, first_ns: int) -> list[tuple[int, WholeBodyCommand]]:
        topic = self.reader.topic_named(self.parameters.command_topic_in or self._command_topic())
        if topic.type != COMMAND_TYPE:
            raise EpisodeError(
                f"is {topic.type}, not {COMMAND_TYPE}",
                where=topic.name,
                remedy="give command_topic_in another topic",
            )
        recorded = list(self.reader.messages([topic.name]))
        commands = [deserialize_message(entry.data, WholeBodyCommand) for entry in recorded]
        times_ns = command_times_ns(
            [_nanoseconds(command.header.stamp) for command in commands],
            [entry.log_time_ns for entry in recorded],
        )
        kept = [pair for pair in zip(times_ns, commands, strict=True) if pair[0] >= first_ns]
        if not kept:
            raise EpisodeError(
                f"holds no command on {topic.name}"
                + (f" after {self.parameters.start_s:g} s" if commands else ""),
                where=str(self.reader.path),
                remedy="choose another bag, command_topic_in or start_s",
            )
        self._command_publisher = self.create_publisher(
            WholeBodyCommand, self.parameters.command_topic_out, COMMAND_DEADLINE
        )
        self._outputs.append(self._command_publisher)
        return kept

    def _command_topic(self) -> str:
        """Older bags, and robots that were never armed, have no commands of the robot node."""
        counts = {topic.name: count for topic, count in self.reader.counts.items()}
        sent = any(name.endswith("/robot/command") and counts[name] for name in counts)
        return "robot/command" if sent else "teleop/command"

    def _due_commands(self) -> Iterator[Due]:
        for order, (time_ns, command) in enumerate(self._commands):
            yield Due(time_ns, order, partial(self._send, command))

    def _due_sensors(self, publishers: dict[str, Any], first_ns: int) -> Iterator[Due]:
        for order, entry in enumerate(self.reader.messages(publishers.keys(), first_ns)):
            publisher, data = publishers[entry.topic], entry.data
            # Negative: at equal times a policy shall see before it hears.
            yield Due(
                entry.log_time_ns,
                order - (1 << 40),
                partial(publisher.publish, data),
            )

    def _sensor_publisher(self, topic: Topic, target: str) -> Any:
        package, kind, name = topic.type.split("/")
        try:
            message_class = getattr(importlib.import_module(f"{package}.{kind}"), name)
        except (ImportError, AttributeError):
            raise EpisodeError(
                f"{topic.type} is not installed here", where=topic.name, remedy="leave it out"
            ) from None
        profile = QoSProfile(depth=10)
        if topic.qos and all(qos.reliability == "best_effort" for qos in topic.qos):
            profile.reliability = ReliabilityPolicy.BEST_EFFORT
        if topic.qos and all(qos.durability == "transient_local" for qos in topic.qos):
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        self._outputs.append(self.create_publisher(message_class, target, profile))
        return self._outputs[-1]

    # -- getting ready ---------------------------------------------------------------------

    def _on_state(self, message: WholeBodyState) -> None:
        self._state = message

    def _on_safety(self, message: SafetyState) -> None:
        self._safety = message
        if self._pace is not None and self._commands and not self._ready():
            mode = "stopped" if message.mode == SafetyState.ESTOP else "disarmed or taken over"
            self._fail(
                BrsError(
                    f"the robot was {mode} after {self._played} messages",
                    remedy="bring it back to the start and replay again",
                )
            )

    def _ready(self) -> bool:
        safety = self._safety
        return (
            safety is not None and safety.mode == SafetyState.ARMED and safety.source == "replay"
        )

    def _prepare(self) -> None:
        """One step towards playing; called until it begins."""
        try:
            if not self._now_ns():
                self._wait_for("/clock, as use_sim_time is set")
            elif self._commands:
                self._prepare_robot()
            elif self._heard():
                self._begin()
        except (BrsError, EpisodeError) as error:
            self._fail(error)

    def _prepare_robot(self) -> None:
        if self._state is None or self._safety is None:
            self._wait_for("robot/state and robot/safety; is the robot node running?")
            return
        self._check_start()
        if self._ready():
            if self._heard():
                self._begin()
        elif not self.parameters.arm:
            self._wait_for("a person to select source 'replay' and arm (robot/arm)")
        elif self._safety.mode == SafetyState.ESTOP:
            self._wait_for("a person to clear the e-stop (robot/clear_estop)")
        else:
            self._ask_to_arm(self._safety)

    def _heard(self) -> bool:
        """Whether what is played first will not be missed; discovery takes a moment."""
        deaf = [p.topic_name for p in self._outputs if not p.get_subscription_count()]
        if deaf and time.monotonic() - self._began_s < DISCOVERY_S:
            return False
        if deaf:
            self.get_logger().warning(f"nobody listens to {', '.join(deaf)}")
        return True

    def _wait_for(self, what: str) -> None:
        if what != self._complaint:
            self._complaint = what
            self.get_logger().info(f"waiting for {what}")
        if self.parameters.arm and time.monotonic() - self._began_s > PATIENCE_S:
            raise BrsError(f"waited {PATIENCE_S:g} s for {what}", remedy="look at the robot node")

    def _check_start(self) -> None:
        embodiment = load_embodiment(self.parameters.robot)
        joints = [joint for group in GROUPS for joint in embodiment.group(group).joints]
        first = self._commands[0][1]
        check_start(
            joints,
            np.concatenate([getattr(first, group) for group in GROUPS]),
            np.concatenate([getattr(self._state, group).position for group in GROUPS]),
            self.parameters.start_tolerance_rad,
        )

    def _ask_to_arm(self, safety: SafetyState) -> None:
        if self._asked is not None:
            if not self._asked.done():
                self._wait_for("the robot node to answer")
                return
            if not self._asked.result().success:
                self._wait_for(f"the robot node ({self._asked.result().message})")
        if safety.source != "replay":
            client, request = self._select, SelectSource.Request(source="replay")
        else:
            client, request = self._arm, Arm.Request(arm=True)
        if client.service_is_ready():
            self._asked = client.call_async(request)
            self._armed_by_us |= client is self._arm
        else:
            self._wait_for(f"service {client.service_name}")

    # -- playing ---------------------------------------------------------------------------

    def _begin(self) -> None:
        self._waiting.cancel()
        # 200 states a second would wake this process for nothing.
        self.destroy_subscription(self._state_subscription)
        now_ns = self.get_clock().now().nanoseconds
        self._next = next(self._items, None)
        if self._next is None:
            raise BrsError("nothing to play", where=self.parameters.bag, remedy="name topics")
        self._pace = Pace(self._next.bag_time_ns, now_ns, self.parameters.rate)
        self.get_logger().info(f"playing {self.parameters.bag} at rate {self.parameters.rate:g}")
        self._timer = self.create_timer(3600.0, self._play)
        # At once, and not by the timer: simulated time may stand.
        self._play()

    def _play(self) -> None:
        """Publish what is due and set the timer to the next, counted from the very start."""
        assert self._pace is not None
        while self._next is not None:
            wait_ns = self._pace.due_ns(self._next.bag_time_ns) - self._now_ns()
            if wait_ns > 0:
                self._timer.timer_period_ns = wait_ns
                self._timer.reset()
                return
            self._next.publish()
            self._played += 1
            try:
                self._next = next(self._items, None)
            except EpisodeError as error:
                self._fail(error)
                return
        self._timer.cancel()
        self._finish()

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _send(self, command: WholeBodyCommand) -> None:
        command.header.stamp = self.get_clock().now().to_msg()
        command.source = "replay"
        self._command_publisher.publish(command)

    def _finish(self) -> None:
        self._pace = None
        self.get_logger().info(f"done: {self._played} messages")
        self.done.publish(Bool(data=True))
        self.done.wait_for_all_acked(Duration(seconds=1))
        if self._armed_by_us:
            # What we armed shall not stay armed without anybody who commands.
            self._asked = self._arm.call_async(Arm.Request(arm=False))
            self._asked.add_done_callback(lambda _: self._leave())
        else:
            self._leave()

    def _leave(self) -> None:
        if self.parameters.exit_when_done:
            self.status = 0

    def _fail(self, error: Exception) -> None:
        """End with one line. Raised from a callback it would come with the executor's own."""
        self.get_logger().fatal(str(error))
        self._waiting.cancel()
        self._items = iter(())
        self._next = None
        self.status = 1


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _mendable(error: EpisodeError) -> BrsError:
    return BrsError(error.what, where=error.where, remedy=error.remedy)


def main() -> None:
    """Like `common.run`, but the node ends by itself, with a status."""
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    status = 0
    try:
        node = ReplayNode()
        executor = make_executor()
        executor.add_node(node)
        while node.status is None:
            executor.spin_once(timeout_sec=0.1)
        status = node.status
        node.destroy_node()
    except KeyboardInterrupt:
        # The robot node holds still as soon as commands stop.
        status = 130
    except BrsError as error:
        sys.stderr.write(f"[fatal] {error}\n")
        status = 1
    rclpy.try_shutdown()
    sys.exit(status)
