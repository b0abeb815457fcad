"""Node `recorder`: writes the listed topics to rosbag2-compatible episodes.

Messages stay serialized: a timer takes what has arrived and moves the bytes to a bounded queue; a
thread of the library compresses and writes them. While an episode is paused they are let go. The
middleware has stamped each message on arrival, so waiting costs no accuracy. Everything that can
be decided without ROS is in `brs_ml.episode`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from brs_interfaces.msg import EpisodeState, SafetyState
from brs_interfaces.srv import MarkEpisode, PauseEpisode, StartEpisode, StopEpisode
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Joy

from brs_hardware.calibration_snapshot import calibration_snapshot
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_ml.episode import (
    EpisodeError,
    EpisodeInfo,
    EpisodeSession,
    MessageDefinitions,
    Presses,
    SessionOptions,
    State,
    Topic,
    recover_all,
    share_folders,
)
from brs_nodes.common import (
    LATCHED,
    SENSOR,
    Diagnostics,
    Priority,
    declare,
    parameter,
    run,
    set_priority,
)
from brs_nodes.conversions import joycon_from_message
from brs_nodes.recorder_taps import Taps
from brs_nodes.robot_topics import command_topics, sensor_topics

# What asks the robot to move, to which anything may publish.
REQUESTS = tuple(f"{source}/command" for source in ("teleop", "policy", "replay"))
# Topics of the stack; those of the robot come from its description.
TOPICS = (
    *REQUESTS,
    *("joylo/joint_states", "joylo/joy_left", "joylo/joy_right", "teleop/state"),
    *("robot/state", "robot/command", "robot/safety", "joylo/state", "policy/state"),
    *("anomaly/scores", "sim/task", "sim/objects", "/tf", "/tf_static", "robot_description"),
)
CLOUD_TOPICS = ("perception/cloud", "perception/state")
TAKE_HZ = 50.0
# Of one topic at a time: a topic that comes faster than 3 kHz loses messages, the others do not.
TAKE_AT_MOST = 60
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
    clouds: bool = parameter(True, "record clouds where perception makes them")
    auto_start: bool = parameter(False, "record from the start on")


class RecorderNode(Node):
    """Subscribes to what appears; records between start and stop."""

    def __init__(self) -> None:
        super().__init__("recorder")
        # All but DDS's own threads, which run by now: who empties sockets late loses messages.
        set_priority(Priority.BACKGROUND)
        self.parameters = declare(self, Parameters)
        self._robot = load_embodiment(self.parameters.robot)
        self.session = EpisodeSession(
            Path(self.parameters.folder).absolute(),
            SessionOptions(
                max_queue_bytes=self.parameters.max_queue_mb * MEGABYTE,
                min_free_bytes=self.parameters.min_free_mb * MEGABYTE,
                distro=distro(),
                versions=versions(self._robot),
            ),
        )
        for path, result in recover_all(self.session.root):
            if isinstance(result, EpisodeError):
                self.get_logger().error(f"left by a crash: {result}")
            else:
                self.get_logger().warning(f"recovered {result.messages} messages in {path}")
        wanted = [name for name in self.parameters.topics if name]
        wanted = wanted or [*TOPICS, *command_topics(self._robot), *sensor_topics(self._robot)]
        wanted += CLOUD_TOPICS if self.parameters.clouds else ()
        self._taps = Taps(
            self,
            [self.resolve_topic_name(name) for name in wanted],
            MessageDefinitions(share_folders(os.environ["AMENT_PREFIX_PATH"])),
            apart=[self.resolve_topic_name(name) for name in REQUESTS],
        )
        self._latched: dict[tuple[str, bytes], bytes] = {}  # newest of each latching publisher
        self._sim_time = bool(self.get_parameter("use_sim_time").value)
        self._presses = Presses({"a", "x", "y", "stick"})
        self._reported = State.IDLE
        self.publisher = self.create_publisher(EpisodeState, "episode/state", LATCHED)
        self.create_service(StartEpisode, "episode/start", self._on_start)
        self.create_service(StopEpisode, "episode/stop", self._on_stop)
        self.create_service(PauseEpisode, "episode/pause", self._on_pause)
        self.create_service(MarkEpisode, "episode/mark", self._on_mark)
        self.create_subscription(Joy, "joylo/joy_right", self._on_joy, SENSOR)
        self.create_subscription(SafetyState, "robot/safety", self._on_safety, LATCHED)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on while simulated time stands
        self.create_timer(0.5, self._look, clock=steady)
        self.create_timer(1.0 / TAKE_HZ, self._take, clock=steady)
        self.diagnostics = Diagnostics(self, self._summary)
        self._look()
        if self.parameters.auto_start:
            self._attempt(lambda: str(self._start()))

    # -- messages --------------------------------------------------------------------------

    def _look(self) -> None:
        """Follow what has appeared, and tell how it goes."""
        self._taps.look()
        self._publish()

    def _take(self) -> None:
        self._taps.take(self._receive, TAKE_AT_MOST)

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
            calibration=self._calibration(),
        )
        # What came before and was not taken yet is of before.
        self._taps.take(self._receive)
        now_ns = self._now_ns()
        path = self.session.start(info, self._taps.topics.values(), now_ns, time.time())
        self._put_latched(now_ns)
        return path

    def _calibration(self) -> dict[str, Any]:
        try:
            return calibration_snapshot()
        except ConfigError as error:
            self.get_logger().warning(f"recorded without calibrations: {error}")
            return {}

    def _put_latched(self, now_ns: int) -> None:
        """What was latched before belongs to the episode, too."""
        for (name, _), data in self._latched.items():
            self.session.put(self._taps.topics[name], now_ns, now_ns, data)

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
            self._taps.take(self._receive)
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

    def _on_pause(
        self, request: PauseEpisode.Request, response: PauseEpisode.Response
    ) -> PauseEpisode.Response:
        def pause() -> str:
            # What waits was sent before, on the other side of this moment.
            self._taps.take(self._receive)
            now_ns = self._now_ns()
            if request.pause:
                self.session.pause(now_ns)
                return "paused"
            self.session.resume(now_ns)
            self._put_latched(now_ns)
            return "recording again"

        response.success, response.message = self._attempt(pause)
        return response

    def _on_mark(
        self, request: MarkEpisode.Request, response: MarkEpisode.Response
    ) -> MarkEpisode.Response:
        response.success, response.message = self._attempt(lambda: self._mark(request.name))
        return response

    def _mark(self, name: str = "") -> str:
        return f"marked {self.session.mark(name, self._now_ns())!r}"

    def _on_safety(self, message: SafetyState) -> None:
        drives = message.mode == SafetyState.ARMED and not message.holding
        self.session.drivers.drives(message.source if drives else "", self._now_ns())

    def _on_joy(self, message: Joy) -> None:
        """A starts and stops, Y saves, X discards, a pressed stick marks a moment."""
        for button in self._presses.update(
            joycon_from_message("right", message).buttons, time.monotonic()
        ):
            if button == "y":
                self._attempt(lambda: f"saved {self.session.save(True, self._now_ns())}")
            elif button == "x":
                self._attempt(lambda: f"discarded {self.session.discard(self._now_ns())}")
            elif button == "stick":
                if self.session.open:
                    self._attempt(self._mark)
            elif self.session.open:
                self._taps.take(self._receive)
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
        values = {
            "topics": len(self._taps.topics),
            "messages": status.messages,
            "lost": status.lost,
        }
        return level, line, {**values, "lost by topic": self.session.losses.by_topic}

    def close(self) -> None:
        """Keep what is being recorded, marked as interrupted."""
        try:
            self._taps.take(self._receive)
            path = self.session.shutdown(self._now_ns())
            if path is not None:
                self.get_logger().warning(f"interrupted; kept {path}")
        except EpisodeError as error:
            self.get_logger().error(str(error))
        self._taps.close()


def distro() -> str:
    """The ROS 2 distribution."""
    return os.environ.get("ROS_DISTRO", "kilted")


def versions(robot: Embodiment) -> dict[str, str]:
    """Of software, and the digest of the robot's description."""
    description = hashlib.sha256(Path(robot.path).read_bytes()).hexdigest()
    return {
        **{name: metadata.version(name) for name in ("brs", "mcap")},
        "python": platform.python_version(),
        "ros": distro(),
        "rmw": get_rmw_implementation_identifier(),
        "robot": f"sha256:{description}",
    }


def main() -> None:
    run(RecorderNode, Priority.LISTENING)
