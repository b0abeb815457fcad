"""What a replay plays besides commands: recorded messages, to any topic that moves no robot.

Where a robot node listens to a topic, or a vendor's driver does, nothing is played: commands go
through the robot node's source `replay` only, which checks them.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message

from brs_hardware.config import config_folder
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_ml.episode import EpisodeError, EpisodeReader, Topic
from brs_ml.episode.latched import is_latched, latched_before
from brs_nodes.robot_topics import command_topics, sensor_topics

LEADER = ("joylo/joint_states", "joylo/joy_left", "joylo/joy_right")
SOURCES = ("teleop/command", "policy/command", "replay/command")
TIME = "builtin_interfaces/Time"
# Publishes a message whose stamps are so many nanoseconds later than recorded.
Publish = Callable[[int], None]


class SensorPlayer:
    """Publishers for some topics of an episode, and its messages on them.

    Args:
        node: the publishers are its.
        reader: the episode.
        targets: topics of the episode -> names to play them to.

    Raises:
        EpisodeError: the episode lacks a topic, its type is not installed, or a target is a topic
            by which a robot is moved.
    """

    def __init__(self, node: Node, reader: EpisodeReader, targets: Mapping[str, str]) -> None:
        self._node, self._reader = node, reader
        self.publishers: dict[str, Any] = {}
        self._kinds: dict[str, Any] = {}
        for source, target in targets.items():
            topic = reader.topic_named(source)
            self._kinds[topic.name] = _message_class(topic)
            self.publishers[topic.name] = self._publisher(topic, target)

    def _publisher(self, topic: Topic, target: str) -> Any:
        # Remappings are followed, so that they lead no way around.
        name = self._node.resolve_topic_name(target)
        if moves_a_robot(name):
            raise EpisodeError(
                "a replay never plays there: robots are moved by it",
                where=name,
                remedy="play commands with source replay (without --sensors), or to another name",
            )
        profile = QoSProfile(depth=10)
        if topic.qos and all(qos.reliability == "best_effort" for qos in topic.qos):
            profile.reliability = ReliabilityPolicy.BEST_EFFORT
        if is_latched(topic):
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        return self._node.create_publisher(self._kinds[topic.name], target, profile)

    def messages(self, first_ns: int) -> Iterator[tuple[int, Publish]]:
        """Log times and what to do then; first what was latched before, at the first time.

        Args:
            first_ns: log time at which to begin [ns].
        """
        if not self.publishers:
            return
        for message in latched_before(self._reader, first_ns, self.publishers.keys()):
            yield first_ns, partial(self._play, message.topic, message.data)
        for message in self._reader.messages(self.publishers.keys(), first_ns):
            yield message.log_time_ns, partial(self._play, message.topic, message.data)

    def _play(self, topic: str, data: bytes, shift_ns: int) -> None:
        self.publishers[topic].publish(with_later_stamps(self._kinds[topic], data, shift_ns))


def recorded_sensors(reader: EpisodeReader, robot: Embodiment) -> list[str]:
    """What an episode holds of the sensors of robot and leader; nothing that our nodes compute."""
    held = [topic.name for topic, count in reader.counts.items() if count]
    return [
        topic
        for topic in (*sensor_topics(robot), *LEADER)
        if any(name.endswith(f"/{topic.strip('/')}") for name in held)
    ]


def moves_a_robot(name: str) -> bool:
    """Whether a robot node, or a vendor's driver of any robot known, obeys a topic.

    Args:
        name: fully resolved, in whatever namespace.
    """
    namespaces, topics = _vendor_commands()
    parts = name.strip("/").split("/")
    ancestors = ["/".join(parts[:end]) for end in range(1, len(parts))]
    return any(_ends_in(above, space) for above in ancestors for space in namespaces) or any(
        _ends_in("/".join(parts), topic) for topic in (*topics, *SOURCES)
    )


def _ends_in(name: str, tail: str) -> bool:
    return name == tail or name.endswith(f"/{tail}")


@cache
def _vendor_commands() -> tuple[frozenset[str], frozenset[str]]:
    """Namespaces that command topics lie in, and command topics that lie in none."""
    robots = [load_embodiment(path.stem) for path in (config_folder() / "robots").glob("*.urdf")]
    topics = [topic for robot in robots for topic in command_topics(robot)]
    plain = {topic.strip("/") for topic in topics}
    namespaces = {topic.rpartition("/")[0] for topic in plain} - {""}
    return frozenset(namespaces), frozenset(plain)


def _message_class(topic: Topic) -> Any:
    package, kind, name = topic.type.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError):
        raise EpisodeError(
            f"{topic.type} is not installed here", where=topic.name, remedy="leave it out"
        ) from None


# -- stamps ---------------------------------------------------------------------------------


def with_later_stamps(kind: Any, data: bytes, shift_ns: int) -> bytes:
    """A serialized message with all its stamps moved; those that are 0 mean none and stay.

    Args:
        kind: message class.
        data: CDR.
        shift_ns: how much later [ns].
    """
    stamps = _stamps_of(kind)
    if not shift_ns or not stamps:
        return data
    if stamps == "header":
        order = "<" if data[1] & 1 else ">"
        head = struct.Struct(f"{order}iI")
        sec, nanosec = head.unpack_from(data, 4)
        changed = bytearray(data)
        head.pack_into(changed, 4, *_later(sec, nanosec, shift_ns))
        return bytes(changed)
    message = deserialize_message(data, kind)
    _shift(message, shift_ns)
    return bytes(serialize_message(message))


@cache
def _stamps_of(kind: Any) -> str:
    """`header` if the only stamp stands at the beginning, `inside` if elsewhere, or empty."""
    types = list(kind.get_fields_and_field_types().values())
    inside = [name for name in types if _holds_time(name)]
    if inside == ["std_msgs/Header"] and types[0] == "std_msgs/Header":
        return "header"
    return "inside" if inside else ""


@cache
def _holds_time(type_name: str) -> bool:
    plain = type_name.removeprefix("sequence<").split(",")[0].rstrip(">").split("[")[0]
    if plain == TIME:
        return True
    if "/" not in plain:
        return False
    package, name = plain.split("/")
    kind = getattr(importlib.import_module(f"{package}.msg"), name)
    return any(_holds_time(inner) for inner in kind.get_fields_and_field_types().values())


def _shift(message: Any, shift_ns: int) -> None:
    for name, type_name in message.get_fields_and_field_types().items():
        if not _holds_time(type_name):
            continue
        value = getattr(message, name)
        for part in value if isinstance(value, list | tuple) else (value,):
            if TIME in type_name:
                part.sec, part.nanosec = _later(part.sec, part.nanosec, shift_ns)
            else:
                _shift(part, shift_ns)


def _later(sec: int, nanosec: int, shift_ns: int) -> tuple[int, int]:
    if not sec and not nanosec:
        return 0, 0
    return divmod(sec * 1_000_000_000 + nanosec + shift_ns, 1_000_000_000)
