"""Node `replay`: plays an episode's commands into the robot node, its sensors into any other.

Commands: waits until the robot is armed with source `replay` (arms it itself if asked to), refuses
a start far from where the bag begins, then plays on an absolute schedule of the ROS clock.

Sensors: their stamps are moved to now, so that live nodes take them; or they are kept, and the
bag's time is told on /clock for nodes with `use_sim_time`.
"""

from __future__ import annotations

import heapq
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import rclpy
from brs_interfaces.msg import SafetyState, WholeBodyCommand, WholeBodyState
from brs_interfaces.srv import Arm, SelectSource
from rclpy.clock import Clock as NodeClock
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_ml.episode import (
    CommandSpan,
    EpisodeError,
    EpisodeReader,
    Pace,
    check_start,
    command_times_ns,
    commands_to_replay,
    parse_remaps,
)
from brs_nodes.common import COMMAND_DEADLINE, LATCHED, SENSOR, declare, make_executor
from brs_nodes.replay_parameters import Parameters, check
from brs_nodes.replay_sensors import Publish, SensorPlayer, recorded_sensors

COMMAND_TYPE = "brs_interfaces/msg/WholeBodyCommand"
GROUPS = ("torso", "left_arm", "right_arm")
CLOCK_HZ = 100.0  # of /clock between messages
LOOP_GAP_NS = 100_000_000  # of the bag's time, between its end and its beginning
DISCOVERY_S = 3.0  # for somebody to subscribe to what is played
PATIENCE_S = 30.0  # for the robot to answer where arming is ours


class Due(NamedTuple):
    """Something to publish; ordered by its time, then by its place in the bag."""

    bag_time_ns: int
    order: int
    publish: Publish


class ReplayNode(Node):
    """One pass over a bag."""

    def __init__(self) -> None:
        super().__init__("replay")
        self.parameters = declare(self, Parameters)
        if not self.parameters.bag:
            raise ConfigError("no bag given", where="parameter bag", remedy="bag:=FOLDER")
        check(self.parameters, bool(self.get_parameter("use_sim_time").value))
        self._robot = load_embodiment(self.parameters.robot)
        self._state: WholeBodyState | None = None
        self._safety: SafetyState | None = None
        self._asked: Any = None  # future of the service call that is under way
        self._complaint = ""
        self._began_s = time.monotonic()
        self._played = 0
        self._pace: Pace | None = None
        self._next: Due | None = None
        self._looped_ns = 0  # by which the bag's time was set forward, for it to rise in loops
        self._clock_ns = 0  # told on /clock last
        self._armed_by_us = False
        self._outputs: list[Any] = []
        self.status: int | None = None  # of the process, once it shall end
        self.done = self.create_publisher(Bool, "replay/done", LATCHED)
        self.done.publish(Bool(data=False))
        try:
            self._open()
        except EpisodeError as error:
            raise _mendable(error) from None
        if self._commands:
            self._meet_robot()
        # Waiting goes by a steady clock: simulated time may stand until somebody moves.
        steady = NodeClock(clock_type=ClockType.STEADY_TIME)
        self._waiting = self.create_timer(0.05, self._prepare, clock=steady)
        if self.parameters.clock:
            self._clock_publisher = self.create_publisher(Clock, "/clock", 10)
            # A timer hands its times to whoever takes an argument.
            self.create_timer(1.0 / CLOCK_HZ, lambda: self._tell_time(), clock=steady)

    def _meet_robot(self) -> None:
        self.create_subscription(SafetyState, "robot/safety", self._on_safety, LATCHED)
        self._state_subscription = self.create_subscription(
            WholeBodyState, "robot/state", self._on_state, SENSOR
        )
        self._select: Any = self.create_client(SelectSource, "robot/select_source")
        self._arm: Any = self.create_client(Arm, "robot/arm")

    # -- the bag ---------------------------------------------------------------------------

    def _open(self) -> None:
        parameters = self.parameters
        self.reader = EpisodeReader(parameters.bag)
        if self.reader.torn:
            whole = sum(self.reader.counts.values())
            self.get_logger().warning(f"the bag is torn; playing the {whole} messages it holds")
        self._first_ns = self.reader.span_ns[0] + round(parameters.start_s * 1e9)
        self._commands = self._read_commands(self._first_ns) if parameters.commands else []
        sensors = recorded_sensors(self.reader, self._robot) if parameters.sensors else []
        targets = {name: name for name in sensors} | parse_remaps(parameters.topics)
        self._sensors = SensorPlayer(self, self.reader, targets)
        self._outputs += self._sensors.publishers.values()
        self._items = self._due()

    def _due(self) -> Iterator[Due]:
        return heapq.merge(self._due_commands(), self._due_sensors())

    def _read_commands(self, first_ns: int) -> list[tuple[int, WholeBodyCommand]]:
        chosen = self.parameters.command_topic_in
        span = CommandSpan(chosen) if chosen else commands_to_replay(self.reader)
        topic = self.reader.topic_named(span.topic)
        if topic.type != COMMAND_TYPE:
            raise EpisodeError(
                f"is {topic.type}, not {COMMAND_TYPE}",
                where=topic.name,
                remedy="give command_topic_in another topic",
            )
        recorded = list(self.reader.messages([topic.name], span.start_ns, span.end_ns))
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

    def _due_commands(self) -> Iterator[Due]:
        for order, (time_ns, command) in enumerate(self._commands):
            yield Due(time_ns, order, partial(self._send, command))

    def _due_sensors(self) -> Iterator[Due]:
        for order, (time_ns, publish) in enumerate(self._sensors.messages(self._first_ns)):
            # Negative: at equal times a policy shall see before it hears.
            yield Due(time_ns, order - (1 << 40), publish)

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
        joints = [joint for group in GROUPS for joint in self._robot.group(group).joints]
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
        if self._commands:
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
            self._publish(self._next)
            played_ns = self._next.bag_time_ns
            try:
                self._next = next(self._items, None)
                if self._next is None and self.parameters.loop:
                    self._begin_again(played_ns)
            except EpisodeError as error:
                self._fail(error)
                return
        self._timer.cancel()
        self._finish()

    def _publish(self, due: Due) -> None:
        assert self._pace is not None
        if self.parameters.clock:
            self._tell_time(due.bag_time_ns)
        kept = self.parameters.clock or self.parameters.stamps == "recorded"
        later_ns = self._pace.due_ns(due.bag_time_ns) - due.bag_time_ns
        due.publish(self._looped_ns if kept else later_ns)
        self._played += 1

    def _begin_again(self, played_ns: int) -> None:
        """The bag from its first message on, a moment after its last."""
        assert self._pace is not None
        first_ns, ended_ns = self._pace.origin_ns, played_ns + LOOP_GAP_NS
        self._looped_ns += ended_ns - first_ns
        self._pace = Pace(first_ns, self._pace.due_ns(ended_ns), self.parameters.rate)
        self._items = self._due()
        self._next = next(self._items, None)

    def _tell_time(self, reached_ns: int = 0) -> None:
        """Publish the bag's time, which never steps back and is at least what was reached."""
        bag_ns = self._pace.bag_time_ns(self._now_ns()) if self._pace else self._first_ns
        self._clock_ns = max(self._clock_ns, max(bag_ns, reached_ns) + self._looped_ns)
        self._clock_publisher.publish(Clock(clock=Time(nanoseconds=self._clock_ns).to_msg()))

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _send(self, command: WholeBodyCommand, _: int) -> None:
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
