"""One episode read once, from its start to its end; pictures are judged and forgotten."""

from __future__ import annotations

import hashlib
import re
import zlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brs_ml.dataset.bag import Bag
from brs_ml.dataset.layout import RobotLayout
from brs_ml.dataset.messages import Decoder, color_of, depth_of, stamp_ns
from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.metadata import EpisodeInfo, Topic
from brs_ml.episode.reader import BagMessage
from brs_ml.quality.config import QualityConfig
from brs_ml.quality.findings import Findings
from brs_ml.quality.pictures import CameraTrack, JudgeFactory

_HEADER = re.compile(r"\s*(#[^\n]*\n\s*)*std_msgs/Header\s")
_BIG = 1 << 16  # [bytes], of larger messages the content's digest takes a checksum only
# What a damaged message or a hostile definition may raise while it is decoded.
BROKEN = (
    EpisodeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    SyntaxError,
    RecursionError,
    MemoryError,
    ArithmeticError,
)


@dataclass(frozen=True)
class RobotFacts:
    """What is known of a robot."""

    layout: RobotLayout
    speeds: tuple[float, ...]  # allowed, one a number of the layout [unit/s]; of the base [unit]
    cameras: tuple[str, ...]


# Robot's name ("" if the episode does not tell) -> its facts; raises an error a user can mend.
Robots = Callable[[str], RobotFacts]


@dataclass
class Times:
    """When the messages of one topic were stamped and received."""

    stamped: bool  # messages begin with a header
    latched: bool = False  # put again at the start and after a pause: stamps are old by right
    log_ns: array[int] = field(default_factory=lambda: array("q"))
    stamp_ns: array[int] = field(default_factory=lambda: array("q"))  # 0 where not known
    sequence: array[int] = field(default_factory=lambda: array("q"))  # 0 where not known


@dataclass
class Samples:
    """Stamps, times of reception and values of state or command."""

    stamps_ns: list[int] = field(default_factory=list)
    log_ns: list[int] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)

    def arrays(self, width: int, stray_s: float) -> tuple[np.ndarray, np.ndarray]:
        """(n,) stamps, strictly rising, and (n, width) values.

        Stamps that step back, or are farther than `stray_s` from where reception puts them, are
        left out: one from the far future would hide all that come after it.
        """
        stamps = np.array(self.stamps_ns, dtype=np.int64)
        values = np.array(self.values, dtype=np.float64).reshape(len(stamps), width)
        late_s = (np.array(self.log_ns, dtype=np.int64) - stamps) * 1e-9
        near = np.abs(late_s - np.median(late_s)) <= stray_s if len(stamps) else late_s > 0.0
        stamps, values = stamps[near], values[near]
        highest = np.maximum.accumulate(stamps)
        keep = np.append(np.ones(min(len(stamps), 1), bool), stamps[1:] > highest[:-1])
        return stamps[keep], values[keep]


@dataclass
class Record:
    """All that the rules look at."""

    path: Path
    info: EpisodeInfo
    robot: RobotFacts
    start_ns: int = 0
    end_ns: int = 0
    torn: bool = False
    times: dict[str, Times] = field(default_factory=dict)  # by topic
    streams: dict[str, str] = field(default_factory=dict)  # plain name -> topic
    state: Samples = field(default_factory=Samples)
    command: Samples = field(default_factory=Samples)
    cameras: dict[str, CameraTrack] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)  # topic -> why, one a message
    digest: str = ""  # of the content, whatever its file looks like

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        return (self.end_ns - self.start_ns) * 1e-9


def gather(
    path: Path,
    info: EpisodeInfo,
    robot: RobotFacts,
    config: QualityConfig,
    judges: JudgeFactory | None,
    findings: Findings,
) -> Record:
    """Read an episode that may be read (`brs_ml.quality.folder`); as far as it goes.

    Args:
        path: its folder.
        info: its episode.json.
        robot: what it was recorded on.
        config: names of topics.
        judges: look at the pictures; None: nobody does.
        findings: of this episode; what cannot be read is added.

    Raises:
        EpisodeError: nothing of it can be read.
    """
    reader = Bag(path)
    start_ns, end_ns = map(_sane, reader.span_ns)
    record = Record(path, info, robot, start_ns, end_ns, reader.torn)
    latched = reader.latched
    for topic in reader.counts:
        stamped = bool(_HEADER.match(topic.schema_text))
        record.times[topic.name] = Times(stamped, topic.name in latched)
    takers = _takers(reader, record, config, judges, findings)
    digest = hashlib.blake2b(digest_size=16)
    try:
        for message in reader.messages():
            big = len(message.data) > _BIG
            digest.update(zlib.crc32(message.data).to_bytes(4, "big") if big else message.data)
            _take(message, record, takers)
    except EpisodeError as error:
        findings.add("unreadable", error.where.rpartition("/")[2], f"{error.what}; read up to it")
    for track in record.cameras.values():
        track.finish()
    if record.times:
        record.digest = digest.hexdigest()
    return record


_Taker = Callable[[BagMessage, int], None]  # message, stamp [ns]


def _take(message: BagMessage, record: Record, takers: Mapping[str, _Taker]) -> None:
    times = record.times[message.topic]
    stamp = 0
    try:
        stamp = stamp_ns(message) if times.stamped else 0
        if message.topic in takers:
            takers[message.topic](message, stamp)
    except BROKEN as error:
        what = error.what if isinstance(error, EpisodeError) else repr(error)
        record.broken.setdefault(message.topic, []).append(what)
    times.log_ns.append(_sane(message.log_time_ns))
    judged = message.topic in takers or not times.latched
    times.stamp_ns.append(stamp if judged else 0)
    times.sequence.append(message.sequence)


def _sane(time_ns: int) -> int:
    """A time that fits; those beyond are of damaged messages."""
    return min(time_ns, 1 << 62)


def _takers(
    reader: Bag,
    record: Record,
    config: QualityConfig,
    judges: JudgeFactory | None,
    findings: Findings,
) -> dict[str, _Taker]:
    """Topic -> what decodes and keeps its messages."""
    decode = Decoder(reader.topics)
    limits, takers = config.times, {}

    def find(plain: str, needed: bool = True) -> Topic | None:
        try:
            topic = reader.topic_named(plain)
        except EpisodeError as error:
            if needed:
                findings.add("missing_topic", plain, error.what.partition(" (it holds")[0])
            return None
        record.streams[plain] = topic.name
        return topic

    for plain in (*limits.required, *(t for t in limits.least_hz if t not in limits.required)):
        find(plain)
    for plain, samples in (
        (limits.state_topic, record.state),
        (limits.command_topic, record.command),
    ):
        if topic := find(plain, needed=plain not in limits.least_hz):
            takers[topic.name] = _sample_taker(decode, record, samples)
    for camera in record.robot.cameras:
        color = find(f"camera/{camera}/color/image_raw")
        info = find(f"camera/{camera}/camera_info")
        depth = find(f"camera/{camera}/depth/image_raw", needed=False)
        if color is None:
            continue
        judge = judges(camera) if judges else None
        track = CameraTrack(judge, depth is not None, info is not None)
        record.cameras[camera] = track
        camera_takers = _CameraTakers(decode, track)
        takers[color.name] = camera_takers.color
        if depth is not None:
            takers[depth.name] = camera_takers.depth
        if info is not None:
            takers[info.name] = camera_takers.info
    return takers


def _sample_taker(decode: Decoder, record: Record, samples: Samples) -> _Taker:
    def take(message: BagMessage, stamp: int) -> None:
        value = record.robot.layout.vector(decode(message))
        samples.stamps_ns.append(stamp)
        samples.log_ns.append(_sane(message.log_time_ns))
        samples.values.append(value)

    return take


@dataclass(frozen=True)
class _CameraTakers:
    decode: Decoder
    track: CameraTrack

    def color(self, message: BagMessage, stamp: int) -> None:
        self.track.add_color(stamp, color_of(self.decode(message), message.topic))

    def depth(self, message: BagMessage, stamp: int) -> None:
        self.track.add_depth(stamp, depth_of(self.decode(message), message.topic))

    def info(self, message: BagMessage, stamp: int) -> None:
        self.track.add_info(self.decode(message))
