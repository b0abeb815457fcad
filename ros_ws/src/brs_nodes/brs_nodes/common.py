"""What every node needs: parameters from a dataclass, QoS profiles, diagnostics, a clean main."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from brs_hardware.config import did_you_mean
from brs_hardware.errors import BrsError, ConfigError
from brs_nodes.transport import talk_by_datagrams

P = TypeVar("P")
M = TypeVar("M")

# Sensor data: newest counts, a lost sample is not repeated.
SENSOR = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
)
# Sensor data of which only the newest is looked at.
NEWEST = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)
# Commands: newest only, delivered.
COMMAND = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
)
# Commands inside the stack promise their rate; a reader that asks for it is told when it breaks.
COMMAND_DEADLINE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    deadline=Duration(nanoseconds=100_000_000),
)
# States that a late joiner needs.
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def parameter(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field that becomes a ROS parameter with description and range."""
    return dataclasses.field(default=default, metadata={"text": text, "range": (low, high)})


def declare(node: Node, cls: type[P]) -> P:
    """Declare the fields of a dataclass as parameters and read them.

    Raises:
        ConfigError: a parameter was given that the node does not have, or out of its range.
    """
    values = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        low, high = field.metadata.get("range", (None, None))
        descriptor = ParameterDescriptor(description=field.metadata.get("text", ""))
        if low is not None and isinstance(field.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        elif low is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        try:
            value = node.declare_parameter(field.name, default, descriptor).value
        except (ValueError, rclpy.exceptions.InvalidParameterException) as error:
            raise ConfigError(str(error), where=f"parameter {field.name}") from None
        except rclpy.exceptions.ParameterException as error:
            raise ConfigError(
                str(error), where=f"parameter {field.name}", remedy="correct its type or range"
            ) from None
        values[field.name] = tuple(value) if isinstance(field.default, tuple) else value
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in node._parameter_overrides:
        if name not in known | {"use_sim_time"} and not name.startswith("qos_overrides."):
            raise ConfigError(
                f"unknown parameter '{name}'",
                where=node.get_name(),
                remedy=did_you_mean(name, known),
            )
    return cls(**values)


def now_s(node: Node) -> float:
    """The node's ROS clock [s]."""
    return node.get_clock().now().nanoseconds * 1e-9


class Inbox:
    """Topics that are looked at when their content is wanted, instead of by callbacks.

    A process that wakes for each of 1,200 feedback messages a second spends a third of a core on
    waking; one that takes the newest of each topic 100 times a second spends a tenth of that.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        # Spun by nobody. Names are resolved by the real node, so that remappings hold.
        self._holder = Node(
            f"{node.get_name()}_inbox",
            context=node.context,
            namespace=node.get_namespace(),
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )

    def newest(self, kind: type[M], topic: str, qos: QoSProfile) -> Callable[[], M | None]:
        """A function that returns the newest message not yet returned, or None."""
        take_all = self.all(kind, topic, qos)

        def take() -> M | None:
            messages = take_all()
            return messages[-1] if messages else None

        return take

    def all(self, kind: type[M], topic: str, qos: QoSProfile) -> Callable[[], list[M]]:
        """A function that returns the messages not yet returned, oldest first."""
        subscription = self._holder.create_subscription(
            kind, self._node.resolve_topic_name(topic), _never, qos
        )

        def take() -> list[M]:
            messages: list[M] = []
            with subscription.handle:
                while taken := subscription.handle.take_message(kind, False):
                    messages.append(taken[0])
            return messages

        return take

    def close(self) -> None:
        """Give up all topics."""
        self._holder.destroy_node()


def _never(_: Any) -> None:
    """A subscription wants a callback; nobody spins those of an inbox."""
    raise AssertionError("an inbox must not be spun")


def log(node: Node, warning: bool, line: str) -> None:
    """Log at a level decided at run time (rclpy ties a level to each calling line)."""
    if warning:
        node.get_logger().warning(line)
    else:
        node.get_logger().info(line)


class Diagnostics:
    """One status at 1 Hz on /diagnostics: a level, a line, and rates of what was counted."""

    def __init__(self, node: Node, summary: Callable[[], tuple[int, str, dict[str, Any]]]) -> None:
        self._node, self._summary = node, summary
        self._counts: dict[str, int] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(1.0, self._publish)

    def close(self) -> None:
        """Stop reporting."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def count(self, what: str, by: int = 1) -> None:
        """Count something whose rate shall be shown."""
        self._counts[what] = self._counts.get(what, 0) + by

    def _publish(self) -> None:
        level, line, values = self._summary()
        rates = {f"{what} [Hz]": count for what, count in self._counts.items()}
        self._counts = dict.fromkeys(self._counts, 0)
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status.append(
            DiagnosticStatus(
                level=bytes([level]),
                name=self._node.get_fully_qualified_name(),
                message=line,
                values=[KeyValue(key=k, value=str(v)) for k, v in {**values, **rates}.items()],
            )
        )
        self._publisher.publish(message)


def make_executor(context: Context | None = None) -> Executor:
    """The cheapest executor there is: events where rclpy has it (Kilted), else single-threaded.

    Six topics at 200 Hz into one process, 2 cores: events 0.09 of a core and 0.72 ms at the 99th
    percentile, single-threaded 0.27 of a core and 1.46 ms (`brs bench --group executor`).
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


class Priority(Enum):
    """Who goes first when cores are short; niceness of a node's process."""

    CONTROL = -10  # the path of a command
    DECIDING = -5  # no control loop, but what one waits for: inference
    NORMAL = 0
    LISTENING = 1  # receives what is worked on in the background: soon, but in nobody's place
    BACKGROUND = 5  # what may come late: recording, pictures


def set_priority(priority: Priority, *, every_thread: bool = False) -> bool:
    """Give this thread, and those it starts, a priority; False if the system does not allow it.

    With `every_thread` those of this process that run already get it, too, such as DDS's.

    Listening and background threads also never preempt another: a publisher wakes its readers one
    after the other, and were the recorder to run at once in its place, the robot would get its
    command late.
    """
    if priority in (Priority.LISTENING, Priority.BACKGROUND):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    threads = [threading.get_native_id()]
    if every_thread:
        threads = [int(thread.name) for thread in Path("/proc/self/task").iterdir()]
    try:
        for thread in threads:
            # One that has just ended needs none.
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, thread, priority.value)
    except PermissionError:
        return False
    return True


def run(make_node: Callable[[], Node], priority: Priority = Priority.NORMAL) -> None:
    """Main of every node: start, spin, close on SIGINT or SIGTERM, one line for a user's error.

    Args:
        make_node: makes the node once ROS is up.
        priority: of the whole process, as far as the system allows it (see `brs doctor`). On the
            path of a command, messages go by UDP alone.
    """
    if priority is not Priority.NORMAL:
        set_priority(priority)
    if priority is Priority.CONTROL:
        talk_by_datagrams(os.environ)
    # Our own handlers: those of rclpy would invalidate the context before close() has sent a
    # last stop. They only set a flag: an exception raised inside an executor written in C++ is a
    # crash. SIGTERM closes like Ctrl-C, so that motors are released and files finished.
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    node: Node | None = None
    status = 0
    try:
        node = make_node()
        # What is there now stays. A collector that walks through all of it again, 30 ms for the
        # robot node, would keep a control loop from its beat.
        gc.collect()
        gc.freeze()
        executor = make_executor()
        executor.add_node(node)
        while rclpy.ok() and not stop.is_set():
            # Returns now and then so that a signal is seen while nothing happens.
            executor.spin_once(timeout_sec=0.2)
        executor.shutdown()
    except ExternalShutdownException:
        pass
    except BrsError as error:
        status = 1
        if node is not None:
            node.get_logger().fatal(str(error))
        else:
            sys.stderr.write(f"[fatal] {error}\n")
    finally:
        if node is not None:
            close = getattr(node, "close", None)
            if close is not None:
                close()
            node.destroy_node()
        if rclpy.ok():
            rclpy.shutdown()
        gc.unfreeze()  # else nothing of it is cleaned up at exit, and native libraries complain
    sys.exit(status)
