"""What the page shows of one episode: curves, events, where its pictures stand; no user interface.

One walk through the bag. Numbers are taken 25 times a second, which is what eyes and screens can
use; pictures and clouds are not unpacked, only their times are kept (see `pictures`).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brs_cli.view_routes import COMMAND, COMPRESSED, IMAGE, JOINTS, absolute, guess_namespace
from brs_cli.view_scene import LEVELS, MARKER_CUBE
from brs_hardware.cameras.throttle import Throttle
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_hardware.feedback import joint_order
from brs_ml.dataset.bag import Bag
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.messages import Decoder, stamp_ns
from brs_ml.episode import EpisodeError
from brs_ml.episode.reader import BagMessage

SAMPLES_HZ = 25.0
# Stamps that are farther from their reception come from another clock, or are missing.
LARGEST_DELAY_NS = 2_000_000_000
# Progress is told that often [s of the episode].
PROGRESS_S = 2.0
STATE = "brs_interfaces/msg/WholeBodyState"
CLOUD = "sensor_msgs/msg/PointCloud2"
COLOR_TOPIC = re.compile(r"/camera/([^/]+)/color/image_raw(/compressed)?$")
BASE_NAMES = ("vx [m/s]", "vy [m/s]", "wz [rad/s]")


@dataclass
class Samples:
    """Numbers over time."""

    times_s: list[float] = field(default_factory=list)  # since the bag's first message
    rows: list[np.ndarray] = field(default_factory=list)  # (k,) each

    def add(self, time_s: float, row: Any) -> None:
        """One more row of numbers."""
        self.times_s.append(time_s)
        self.rows.append(np.asarray(row, dtype=float))


@dataclass
class Panel:
    """Curves that belong together."""

    title: str
    names: tuple[str, ...]
    labels: tuple[str, ...]  # the same, short
    measured: Samples = field(default_factory=Samples)
    commanded: Samples = field(default_factory=Samples)


@dataclass(frozen=True)
class Event:
    """Something that happened at a moment."""

    time_s: float
    kind: str  # safety, task or mark
    level: str  # INFO, WARN or ERROR
    text: str


@dataclass
class Track:
    """Where pictures or clouds of one source stand in the bag."""

    topic: str
    times_s: list[float] = field(default_factory=list)  # by capture stamp
    log_times_ns: list[int] = field(default_factory=list)


@dataclass
class Box:
    """A box of the simulated scene, moving in odom."""

    size: tuple[float, float, float]  # edges [m]
    color: tuple[float, float, float]  # 0 to 1
    poses: Samples = field(default_factory=Samples)  # x, y, z, qx, qy, qz, qw


@dataclass
class Contents:
    """One episode, ready to be shown."""

    start_ns: int  # log time of the first message: time 0 of everything
    duration_s: float
    panels: dict[str, Panel]  # torso, left_arm, right_arm, grippers, base
    base_poses: Samples = field(default_factory=Samples)  # x [m], y [m], yaw [rad] in odom
    events: list[Event] = field(default_factory=list)
    cameras: dict[str, Track] = field(default_factory=dict)
    cloud: Track | None = None
    boxes: dict[str, Box] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_contents(
    path: Path, robot: Embodiment, progress: Callable[[float], None] = lambda share: None
) -> Contents:
    """Walk through an episode.

    Args:
        path: the episode's folder.
        robot: whose joints it holds.
        progress: told the share that is done, 0 to 1.

    Raises:
        EpisodeError: there is no bag, or it is none. What is damaged in it is a problem instead.
    """
    return _Walk(Bag(path), robot).run(progress)


class _Walk:
    def __init__(self, bag: Bag, robot: Embodiment) -> None:
        self._bag, self._robot = bag, robot
        self._start_ns, end_ns = bag.span_ns
        self._decode = Decoder(bag.topics)
        self._safety: dict[str, str] = {}
        self._done: set[str] = set()
        panels = {
            name: Panel(f"{_title(name)} [rad]", joints, _counted(joints))
            for name in robot.GROUPS
            for joints in (robot.group(name).joints,)
        }
        sides = tuple(name.removesuffix("_gripper") for name in robot.GRIPPERS)
        panels["grippers"] = Panel("Grippers [0 open, 1 closed]", robot.GRIPPERS, sides)
        panels["base"] = Panel("Base velocity", BASE_NAMES, BASE_NAMES)
        self.contents = Contents(self._start_ns, (end_ns - self._start_ns) * 1e-9, panels)
        if bag.torn:
            self.contents.problems.append("the bag is torn; what is whole is shown")
        present = {name: topic.type for name, topic in bag.topics.items()}
        self._handlers = self._find(present, guess_namespace(present))

    def run(self, progress: Callable[[float], None]) -> Contents:
        told_s = 0.0
        try:
            for message in self._bag.messages(self._handlers):
                log_s = (message.log_time_ns - self._start_ns) * 1e-9
                if log_s >= told_s:
                    progress(min(1.0, log_s / max(self.contents.duration_s, 1e-9)))
                    told_s = log_s + PROGRESS_S
                self._take(message)
        except EpisodeError as error:
            self._problem(error.what)
        return self.contents

    def _take(self, message: BagMessage) -> None:
        try:
            self._handlers[message.topic](message, self._time_s(message))
        except (EpisodeError, BrsError, ValueError, AttributeError, IndexError) as error:
            self._problem(f"{message.topic}: {getattr(error, 'what', error)}")

    def _problem(self, line: str) -> None:
        if line not in self.contents.problems:
            self.contents.problems.append(line)

    def _time_s(self, message: BagMessage) -> float:
        """When it was captured; when it was received, if it has no stamp of that clock."""
        try:
            stamp = stamp_ns(message)
        except DatasetError:
            stamp = 0
        if abs(stamp - message.log_time_ns) > LARGEST_DELAY_NS:
            stamp = message.log_time_ns
        return (stamp - self._start_ns) * 1e-9

    # -- which topics ------------------------------------------------------------------------

    def _find(
        self, present: Mapping[str, str], namespace: str
    ) -> dict[str, Callable[[BagMessage, float], None]]:
        def held(name: str, kind: str) -> str:
            topic = absolute(name, namespace)
            return topic if present.get(topic) == kind else ""

        found: dict[str, Callable[[BagMessage, float], None]] = {}
        if state := held("robot/state", STATE):
            found[state] = self._throttled(self._state)
        else:
            found |= self._vendor(held)
        commands = [held(f"{s}/command", COMMAND) for s in ("robot", "teleop", "policy", "replay")]
        if command := next(filter(None, commands), ""):
            found[command] = self._throttled(self._command)
        others = {
            held("robot/safety", "brs_interfaces/msg/SafetyState"): self._take_safety,
            held("sim/task", "brs_interfaces/msg/TaskState"): self._take_task,
            held("sim/objects", "visualization_msgs/msg/MarkerArray"): self._take_objects,
        }
        found |= {topic: handler for topic, handler in others.items() if topic}
        if cloud := held("perception/cloud", CLOUD):
            self.contents.cloud = Track(cloud)
            found[cloud] = self._tracked(self.contents.cloud)
        for topic, kind in sorted(present.items()):
            color = COLOR_TOPIC.search(topic)
            if color and kind in (IMAGE, COMPRESSED) and topic.startswith(absolute("", namespace)):
                # Of two, the compressed one comes later and wins: less to read.
                track = self.contents.cameras[color[1]] = Track(topic)
                found[topic] = self._tracked(track)
        return found

    def _vendor(
        self, held: Callable[[str, str], str]
    ) -> dict[str, Callable[[BagMessage, float], None]]:
        """Without our robot node, the vendor's feedback shows the same, piece by piece."""
        found = {
            held(self._robot.group(name).feedback_topic, JOINTS): self._throttled(
                functools.partial(self._feedback, name)
            )
            for name in self._robot.GROUPS
        }
        return {topic: handler for topic, handler in found.items() if topic}

    def _throttled(
        self, handler: Callable[[Any, float], None]
    ) -> Callable[[BagMessage, float], None]:
        throttle = Throttle(SAMPLES_HZ)

        def take(message: BagMessage, time_s: float) -> None:
            if throttle.lets(message.log_time_ns * 1e-9):
                handler(self._decode(message), time_s)

        return take

    def _tracked(self, track: Track) -> Callable[[BagMessage, float], None]:
        def take(message: BagMessage, time_s: float) -> None:
            track.times_s.append(time_s)
            track.log_times_ns.append(message.log_time_ns)

        return take

    # -- what they say -----------------------------------------------------------------------

    def _state(self, state: Any, time_s: float) -> None:
        for name in self._robot.GROUPS:
            self._row(name, "measured", time_s, getattr(state, name).position)
        self._rest("measured", state, time_s)
        x, y, yaw = state.base_pose
        poses = self.contents.base_poses
        poses.add(time_s, (x, y, _unwrapped(yaw, poses.rows[-1][2] if poses.rows else yaw)))

    def _command(self, command: Any, time_s: float) -> None:
        for name in self._robot.GROUPS:
            self._row(name, "commanded", time_s, getattr(command, name))
        self._rest("commanded", command, time_s)

    def _rest(self, kind: str, message: Any, time_s: float) -> None:
        grippers = [getattr(message, name) for name in self._robot.GRIPPERS]
        self._row("grippers", kind, time_s, grippers)
        self._row("base", kind, time_s, message.base_velocity)

    def _feedback(self, name: str, message: Any, time_s: float) -> None:
        order = joint_order(self._robot, name, list(message.name))
        self._row(name, "measured", time_s, np.asarray(message.position)[order])

    def _row(self, panel: str, kind: str, time_s: float, row: Any) -> None:
        names = self.contents.panels[panel].names
        if len(row) != len(names):
            raise ValueError(f"{panel} has {len(names)} numbers, the message {len(row)}")
        samples: Samples = getattr(self.contents.panels[panel], kind)
        samples.add(time_s, row)

    def _take_safety(self, message: BagMessage, time_s: float) -> None:
        """Each rule when it begins to hold; its message tells ages that change all the time."""
        events = self._decode(message).events
        lines = {f"{e.rule} {e.part}".strip(): (int(e.severity), str(e.message)) for e in events}
        for key, (severity, text) in lines.items():
            if key not in self._safety:
                level = LEVELS[severity] if severity < len(LEVELS) else LEVELS[-1]
                self.contents.events.append(Event(time_s, "safety", level, f"{key}: {text}"))
        self._safety = {key: text for key, (_, text) in lines.items()}

    def _take_task(self, message: BagMessage, time_s: float) -> None:
        state = self._decode(message)
        done = {name for name, is_done in zip(state.subtasks, state.done, strict=True) if is_done}
        for name in sorted(done - self._done):
            self.contents.events.append(Event(time_s, "task", "INFO", f"{name} done"))
        self._done = done

    def _take_objects(self, message: BagMessage, time_s: float) -> None:
        for marker in self._decode(message).markers:
            if marker.type == MARKER_CUBE:
                scale, color = marker.scale, marker.color
                size, rgb = (scale.x, scale.y, scale.z), (color.r, color.g, color.b)
                box = self.contents.boxes.setdefault(f"{marker.ns} {marker.id}", Box(size, rgb))
                place, turn = marker.pose.position, marker.pose.orientation
                pose = (place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w)
                box.poses.add(time_s, pose)


def _unwrapped(angle: float, before: float) -> float:
    """The angle, by whole turns next to the one before it: lines between them are right then."""
    turns = (before - angle) / math.tau
    return angle + math.tau * round(turns) if math.isfinite(turns) else angle


def _counted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, len(names) + 1))


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
