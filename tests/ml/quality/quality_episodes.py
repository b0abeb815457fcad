"""Episodes in which nothing is wrong, as lists of messages that a test then spoils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_episodes import START_NS, STORE, TYPES, layout

from brs_ml.episode import EpisodeError, EpisodeInfo, EpisodeWriter, Topic
from brs_ml.quality import EpisodeReport, Finding, QualityConfig, RobotFacts, check
from brs_ml.quality.pictures import JudgeFactory

SECONDS = 6.0
HEIGHT, WIDTH = 72, 96
STATE, COMMAND = "/robot/state", "/robot/command"
COLOR, DEPTH, INFO = (
    f"/camera/head/{stream}" for stream in ("color/image_raw", "depth/image_raw", "camera_info")
)
SPEEDS = (0.5, 0.5, 0.5) + (2.0,) * 18
FACTS = RobotFacts(layout(), SPEEDS, ("head",))
GOOD = EpisodeInfo(
    task="shelves", instruction="put the box away", operator="script", robot="r1", success=True
)
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Entry:
    """One message before it is serialized."""

    topic: str
    log_ns: int
    stamp_ns: int
    sequence: int
    value: Any  # (21,) of state and command, a picture, or the focal length [px]
    data: bytes | None = None  # written instead, if given

    @property
    def seconds(self) -> float:
        """Since the start."""
        return (self.log_ns - START_NS) * 1e-9


def facts(name: str) -> RobotFacts:
    """Of any robot that there is."""
    if name not in ("", "r1"):
        raise EpisodeError(f"unknown robot '{name}'")
    return FACTS


def posture(seconds: float) -> np.ndarray:
    """(21,) a smooth dance of all parts; the base's numbers are velocities [m/s, rad/s]."""
    phase = np.arange(21) * 0.3
    values = 0.4 * np.sin(1.5 * seconds + phase)
    values[:3] *= 0.5
    return values


def picture(seconds: float) -> np.ndarray:
    """(h, w, 3) uint8 with edges and noise, never twice the same."""
    rng = np.random.default_rng(round(seconds * 1000))
    grey = np.kron(np.indices((HEIGHT // 12, WIDTH // 12)).sum(axis=0) % 2, np.ones((12, 12)))
    grey = 60 + 120 * grey + rng.normal(0, 4, (HEIGHT, WIDTH))
    return np.repeat(grey[:, :, None], 3, axis=2).clip(0, 255).astype(np.uint8)


def entries(seconds: float = SECONDS, begin_s: float = 0.0) -> list[Entry]:
    """A good episode from `begin_s` after START_NS on."""
    found = []

    def add(topic: str, moment_s: float, number: int, value: Any) -> None:
        stamp_ns = START_NS + round((begin_s + moment_s) * 1e9)
        found.append(Entry(topic, stamp_ns + 2_000_000, stamp_ns, number + 1, value))

    for number, moment_s in enumerate(np.arange(0.0, seconds, 0.01)):
        add(STATE, moment_s, number, posture(moment_s))
        add(COMMAND, moment_s, number, posture(moment_s + 0.05))
    for number, moment_s in enumerate(np.arange(0.0, seconds, 1 / 15)):
        add(INFO, moment_s, number, 80.0)
        add(COLOR, moment_s, number, picture(moment_s))
        add(DEPTH, moment_s, number, np.full((HEIGHT, WIDTH), 1.0, np.float32))
    return sorted(found, key=lambda entry: entry.log_ns)


def write(folder: Path, messages: Sequence[Entry], info: EpisodeInfo = GOOD) -> Path:
    """Write an episode and close it; its chunks are small, so that there are many."""
    folder.mkdir(parents=True)
    writer = EpisodeWriter(folder, info, chunk_bytes=60_000)
    for message in messages:
        kind, data = serialized(message)
        writer.add_topic(Topic(message.topic, kind, STORE.generate_msgdef(kind, ros_version=2)[0]))
        data = data if message.data is None else message.data
        writer.write(message.topic, message.log_ns, message.stamp_ns, data, message.sequence)
    changes = {} if info.status != "recording" else {"status": "saved"}
    writer.close(success=info.success, **changes)
    return folder


def changed(messages: Sequence[Entry], topic: str, **changes: Any) -> list[Entry]:
    """Messages of one topic with fields changed; a change may be a function of the message."""
    return [
        replace(m, **{k: v(m) if callable(v) else v for k, v in changes.items()})
        if m.topic == topic
        else m
        for m in messages
    ]


def without(messages: Sequence[Entry], topic: str, begin_s: float, end_s: float) -> list[Entry]:
    """Messages but those of a topic ("" for all) in a span of time [s]."""
    return [m for m in messages if topic not in ("", m.topic) or not begin_s <= m.seconds < end_s]


def checked(root: Path, judges: JudgeFactory | None = None) -> tuple[Finding, ...]:
    """All findings of a folder."""
    return check(root, QualityConfig(), facts, judges).findings


def report_of(name: str = "a", **changes: Any) -> EpisodeReport:
    """A report as of a good episode that was read."""
    return EpisodeReport(name, (), **{"info": GOOD, "digest": name, "end_ns": SECOND, **changes})


def _header(stamp_ns: int) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, SECOND)
    time = TYPES["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return TYPES["std_msgs/msg/Header"](stamp=time, frame_id="")


def serialized(message: Entry) -> tuple[str, bytes]:
    """Type and bytes of a message."""
    kind, fields = {
        STATE: _state,
        COMMAND: _command,
        COLOR: _color,
        DEPTH: _depth,
        INFO: _info,
    }[message.topic](message.value)
    body = TYPES[kind](_header(message.stamp_ns), *fields)
    return kind, bytes(STORE.serialize_cdr(body, kind))


def _state(values: np.ndarray) -> tuple[str, tuple[Any, ...]]:
    base, torso, left, left_grip, right, right_grip = np.split(values, [3, 7, 13, 14, 20])
    joints = TYPES["brs_interfaces/msg/JointGroupState"]
    groups = (joints(part, part * 0, part * 0) for part in (torso, left, right))
    grippers = (float(left_grip[0]), float(right_grip[0]))
    return "brs_interfaces/msg/WholeBodyState", (np.zeros(3), base, *groups, *grippers)


def _command(values: np.ndarray) -> tuple[str, tuple[Any, ...]]:
    base, torso, left, left_grip, right, right_grip = np.split(values, [3, 7, 13, 14, 20])
    grippers = (float(left_grip[0]), float(right_grip[0]))
    return "brs_interfaces/msg/WholeBodyCommand", ("teleop", base, torso, left, right, *grippers)


def _color(pixels: np.ndarray) -> tuple[str, tuple[Any, ...]]:
    height, width, _ = pixels.shape
    return "sensor_msgs/msg/Image", (height, width, "rgb8", 0, 3 * width, pixels.ravel())


def _depth(depth: np.ndarray) -> tuple[str, tuple[Any, ...]]:
    height, width = depth.shape
    data = depth.astype("<f4").view(np.uint8).ravel()
    return "sensor_msgs/msg/Image", (height, width, "32FC1", 0, 4 * width, data)


def _info(focal: float) -> tuple[str, tuple[Any, ...]]:
    matrix = np.array([focal, 0, 47.5, 0, focal, 35.5, 0, 0, 1])
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    fields = ("plumb_bob", np.zeros(5), matrix, np.eye(3).ravel(), np.zeros(12), 0, 0, region)
    return "sensor_msgs/msg/CameraInfo", (HEIGHT, WIDTH, *fields)
