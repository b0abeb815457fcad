"""Node `recorder`: writes the listed topics to rosbag2-compatible episodes.

Messages stay serialized and are not delivered one by one: a timer takes what has arrived from
every subscription and moves the bytes to a bounded queue; a thread of the library compresses and
writes them. The middleware has stamped each message on arrival, so waiting costs no accuracy, and
a hundred wakings a second do the work of thousands of callbacks. Everything that can be decided
without ROS is in `brs_ml.episode`.
"""

from __future__ import annotations

import importlib
import os
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from brs_interfaces.msg import EpisodeState, SafetyState
from brs_interfaces.srv import StartEpisode, StopEpisode
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Joy

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_ml.episode import (
    EpisodeError,
    EpisodeInfo,
    EpisodeSession,
    MessageDefinitions,
    Presses,
    Qos,
    SessionOptions,
    State,
    Topic,
    recover_all,
    share_folders,
)
from brs_nodes.common import LATCHED, SENSOR, Diagnostics, Priority, declare, parameter, run
from brs_nodes.conversions import joycon_from_message

# Topics of the stack; those of the robot come from its description.
TOPICS = (
    *(f"{source}/command" for source in ("teleop", "policy", "replay")),
    *("joylo/joint_states", "joylo/joy_left", "joylo/joy_right", "teleop/state"),
    *("robot/state", "robot/command", "robot/safety", "joylo/state"),
    *("sim/task", "sim/objects", "/tf", "/tf_static", "robot_description"),
)
CLOUD_TOPICS = ("perception/cloud", "perception/state")
CAMERA_STREAMS = ("color/image_raw", "depth/image_raw", "camera_info")
TAKE_HZ = 50.0
# Of one topic at a time: a topic that comes faster than 3 kHz loses messages, the others do not.
TAKE_AT_MOST = 60
# Reader histories: a second and more of what a busy machine may leave waiting.
DEPTH, DEPTH_OF_BIG = 500, 30
BIG = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/PointCloud2")
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Parameters:
    folder: str = parameter("out/episodes", "where episodes are kept")
    task: str = parameter("", "what is to be done, part of the episode's name")
    operator_name: str = parameter("", "who teaches")
    robot: str = parameter("r1", "robot description in config/robots, names its topics")
    topics: tuple[str, ...] = parameter(("",), "what to record; empty: all of robot and stack")
    min_free_mb: int = parameter(500, "free disk space that is left alone", 1, 10_000_000)
    max_queue_mb: int = parameter(64, "messages that may wait for the disk", 4, 4096)
    clouds: bool = parameter(False, "record clouds, too; they can be made again from the rest")
    auto_start: bool = parameter(False, "record from the start on")


class RecorderNode(Node):
    """Subscribes to what appears; records between start and stop."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.parameters = declare(self, Parameters)
        self.session = EpisodeSession(
            Path(self.parameters.folder).absolute(),
            SessionOptions(
                max_queue_bytes=self.parameters.max_queue_mb * MEGABYTE,
                min_free_bytes=self.parameters.min_free_mb * MEGABYTE,
                distro=os.environ.get("ROS_DISTRO", "kilted"),
                versions={name: metadata.version(name) for name in ("brs", "mcap")},
            ),
        )
        for path, result in recover_all(self.session.root):
            if isinstance(result, EpisodeError):
                self.get_logger().error(f"left by a crash: {result}")
            else:
                self.get_logger().warning(f"recovered {result.messages} messages in {path}")
        wanted = [name for name in self.parameters.topics if name]
        wanted = wanted or [*TOPICS, *robot_topics(load_embodiment(self.parameters.robot))]
        wanted += CLOUD_TOPICS if self.parameters.clouds else ()
        self._wanted = [self.resolve_topic_name(name) for name in wanted]
        self._definitions = MessageDefinitions(share_folders(os.environ["AMENT_PREFIX_PATH"]))
        self._topics: dict[str, Topic] = {}
        # Not spun by any executor; `_take` empties its subscriptions.
        self._tap_node = Node(
            f"{self.get_name()}_taps",
            namespace=self.get_namespace(),
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._taps: dict[str, Any] = {}
        self._latching: dict[str, bool] = {}
        self._latched: dict[tuple[str, bytes], bytes] = {}  # newest of each latching publisher
        self._refused_types: set[str] = set()
        self._sim_time = bool(self.get_parameter("use_sim_time").value)
        self._presses = Presses({"a", "x", "y"})
        self._reported = State.IDLE
        self.publisher = self.create_publisher(EpisodeState, "episode/state", LATCHED)
        self.create_service(StartEpisode, "episode/start", self._on_start)
        self.create_service(StopEpisode, "episode/stop", self._on_stop)
        self.create_subscription(Joy, "joylo/joy_right", self._on_joy, SENSOR)
        self.create_subscription(SafetyState, "robot/safety", self._on_safety, LATCHED)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on while simulated time stands
        self.create_timer(0.5, self._look, clock=steady)
        self.create_timer(1.0 / TAKE_HZ, lambda: self._take(TAKE_AT_MOST), clock=steady)
        self.diagnostics = Diagnostics(self, self._summary)
        self._look()
        if self.parameters.auto_start:
            self._attempt(lambda: str(self._start()))

    # -- topics ----------------------------------------------------------------------------

    def _look(self) -> None:
        """Subscribe to what has appeared, and tell how it goes."""
        present = dict(self.get_topic_names_and_types())
        for name in self._wanted:
            if name in present:
                self._follow(name)
        self._publish()

    def _follow(self, name: str) -> None:
        publishers = self.get_publishers_info_by_topic(name)
        if not publishers:
            return
        offered = [info.qos_profile for info in publishers]
        latched = all(qos.durability is DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
        message_type = publishers[0].topic_type
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH_OF_BIG if message_type in BIG else DEPTH,
            # Streams keep one sample, so that nothing could be sent again; acknowledging each
            # would only load the control nodes. What is missed shows in the sequence numbers.
            reliability=(ReliabilityPolicy.RELIABLE if latched else ReliabilityPolicy.BEST_EFFORT),
            durability=(
                DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
            ),
        )
        current = self._taps.get(name)
        if current is not None:
            if current.qos_profile == profile:
                return
            # A publisher of another kind has come or gone.
            self._tap_node.destroy_subscription(current)
            del self._taps[name]
        message_class = self._message_class(message_type)
        if message_class is None:
            return
        if name not in self._topics:
            self._topics[name] = Topic(
                name,
                message_type,
                self._definition(message_type),
                tuple(_offered(qos) for qos in offered),
                str(getattr(publishers[0], "topic_type_hash", "")),
            )
        self._taps[name] = self._tap_node.create_subscription(
            message_class, name, _never, profile, raw=True
        )
        self._latching[name] = latched

    def _message_class(self, message_type: str) -> Any:
        package, kind, name = message_type.split("/")
        try:
            return getattr(importlib.import_module(f"{package}.{kind}"), name)
        except (ImportError, AttributeError):
            if message_type not in self._refused_types:
                self._refused_types.add(message_type)
                self.get_logger().error(
                    f"{message_type} is not installed here; its topics are not recorded"
                )
            return None

    def _definition(self, message_type: str) -> str:
        try:
            return self._definitions.text(message_type)
        except EpisodeError as error:
            self.get_logger().warning(f"recorded without its definition: {error}")
            return ""

    def _take(self, at_most: int) -> None:
        """Move what has arrived to the session, so many messages of a topic."""
        for name, tap in self._taps.items():
            topic, latched = self._topics[name], self._latching[name]
            with tap.handle:
                for _ in range(at_most):
                    if not (taken := tap.handle.take_message(tap.msg_type, True)):
                        break
                    self._receive(topic, latched, *taken)

    def _receive(self, topic: Topic, latched: bool, data: bytes, info: dict[str, Any]) -> None:
        # ROS 2 before Jazzy tells neither publisher nor number.
        gid = info.get("publisher_gid")
        publisher = gid["data"] if gid else b""
        sequence = info.get("publication_sequence_number") or 0
        self.session.losses.received(topic.name, publisher, sequence)
        if latched:
            self._latched[topic.name, publisher] = data
        if self.session.recording:
            log_ns = info["received_timestamp"]
            if self._sim_time or not log_ns:
                log_ns = self._now_ns()
            self.session.put(topic, log_ns, info["source_timestamp"], data, sequence)

    # -- episodes --------------------------------------------------------------------------

    def _start(
        self, task: str = "", instruction: str = "", operator: str = "", seed: int = 0
    ) -> Path:
        info = EpisodeInfo(
            task=task or self.parameters.task,
            instruction=instruction,
            operator=operator or self.parameters.operator_name,
            seed=seed,
            robot=self.parameters.robot,
        )
        now_ns = self._now_ns()
        path = self.session.start(info, self._topics.values(), now_ns, time.time())
        # What was latched before belongs to the episode, too.
        for (name, _), data in self._latched.items():
            self.session.put(self._topics[name], now_ns, now_ns, data)
        return path

    def _on_start(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        def start() -> str:
            path = self._start(
                request.task, request.instruction, request.operator_name, request.seed
            )
            response.episode, response.path = path.name, str(path)
            return f"recording {path.name}"

        response.success, response.message = self._attempt(start)
        return response

    def _on_stop(
        self, request: StopEpisode.Request, response: StopEpisode.Response
    ) -> StopEpisode.Response:
        def stop() -> str:
            self._take(DEPTH)
            if request.action == StopEpisode.Request.SAVE:
                path, verb = self.session.save(request.task_success, self._now_ns()), "saved"
            elif request.action == StopEpisode.Request.DISCARD:
                path, verb = self.session.discard(self._now_ns()), "discarded"
            else:
                path, verb = self.session.stop(self._now_ns()), "stopped"
            response.path = str(path)
            return f"{verb} {path}"

        response.success, response.message = self._attempt(stop)
        status = self.session.status(self._now_ns())
        response.messages, response.lost = status.messages, status.lost
        return response

    def _on_safety(self, message: SafetyState) -> None:
        drives = message.mode == SafetyState.ARMED and not message.holding
        self.session.drivers.drives(message.source if drives else "", self._now_ns())

    def _on_joy(self, message: Joy) -> None:
        """A starts and stops, Y saves, X discards."""
        for button in self._presses.update(
            joycon_from_message("right", message).buttons, time.monotonic()
        ):
            if button == "y":
                self._attempt(lambda: f"saved {self.session.save(True, self._now_ns())}")
            elif button == "x":
                self._attempt(lambda: f"discarded {self.session.discard(self._now_ns())}")
            elif self.session.recording:
                self._take(DEPTH)
                self._attempt(lambda: f"stopped {self.session.stop(self._now_ns())}")
            else:
                self._attempt(lambda: f"recording {self._start()}")

    def _attempt(self, action: Any) -> tuple[bool, str]:
        """Run what a person asked for; say how it went, in the log and on the topic."""
        try:
            success, line = True, action()
            self.get_logger().info(line)
        except EpisodeError as error:
            success, line = False, str(error)
            self.get_logger().error(line)
            # The line is out already.
            self._reported = self.session.state
        self._publish()
        return success, line

    # -- reports ---------------------------------------------------------------------------

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _publish(self) -> None:
        status = self.session.status(self._now_ns())
        if status.state is State.ERROR and self._reported is not State.ERROR:
            self.get_logger().error(status.message)
        self._reported = status.state
        message = EpisodeState(
            state=int(status.state),
            episode=status.episode,
            path=status.path,
            duration_s=status.duration_s,
            messages=status.messages,
            lost=status.lost,
            bytes=status.bytes,
            message=status.message,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self.publisher.publish(message)

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        status = self.session.status(self._now_ns())
        level = 2 if status.state is State.ERROR else int(status.lost > 0)
        line = f"{status.state.name.lower()} {status.message or status.episode}"
        values = {"topics": len(self._topics), "messages": status.messages, "lost": status.lost}
        return level, line, {**values, "lost by topic": self.session.losses.by_topic}

    def close(self) -> None:
        """Keep what is being recorded, marked as interrupted."""
        try:
            self._take(DEPTH)
            path = self.session.shutdown(self._now_ns())
            if path is not None:
                self.get_logger().warning(f"interrupted; kept {path}")
        except EpisodeError as error:
            self.get_logger().error(str(error))
        self._tap_node.destroy_node()


def _never(message: bytes) -> None:
    """A subscription wants a callback; nobody spins those of the tap node."""
    raise AssertionError("the tap node must not be spun")


def robot_topics(robot: Embodiment) -> list[str]:
    """Feedback, command and camera topics of a robot."""
    parts: list[Any] = [robot.base, *map(robot.group, robot.GROUPS)]
    parts += map(robot.gripper, robot.GRIPPERS)
    topics = [topic for part in parts for topic in (part.feedback_topic, part.command_topic)]
    topics += [robot.base.odometry_topic, robot.base.brake_topic]
    topics += robot.vendor.status_topics.values()
    topics += [robot.vendor.battery.topic] if robot.vendor.battery else []
    return topics + [f"camera/{name}/{s}" for name in robot.cameras for s in CAMERA_STREAMS]


def _offered(qos: QoSProfile) -> Qos:
    return Qos(
        history=qos.history.name.lower(),
        depth=qos.depth,
        reliability=qos.reliability.name.lower(),
        durability=qos.durability.name.lower(),
    )


def main() -> None:
    run(RecorderNode, Priority.BACKGROUND)
