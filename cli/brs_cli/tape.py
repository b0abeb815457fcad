"""A tape in place of a node: what is published goes to an episode at once, and over no network.

What makes the messages of a live stack is given a Tape as its node, so that both write the same.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from brs_ml.episode import EpisodeWriter, MessageDefinitions, Qos, Topic, share_folders


class Tape:
    """Makes publishers as rclpy's Node does; whatever subscribes hears nothing.

    Args:
        writer: of the episode.
        topics: that are recorded; others lead nowhere.

    Attributes:
        now_ns: time of what is published next [ns].
    """

    def __init__(self, writer: EpisodeWriter, topics: Iterable[str]) -> None:
        self.now_ns = 0
        self._writer = writer
        self._recorded = {_resolved(topic) for topic in topics}

    def create_publisher(self, kind: Any, topic: str, qos: QoSProfile | int) -> TapePublisher:
        """A publisher whose topic is part of the episode from its first message on."""
        return TapePublisher(self._write, _topic(kind, _resolved(topic), qos))

    def create_subscription(self, *_: Any) -> None:
        """Nobody else publishes here."""

    def newest(self, *_: Any) -> Callable[[], None]:
        """As an Inbox that stays empty."""
        return lambda: None

    def _write(self, topic: Topic, message: Any) -> None:
        if topic.name not in self._recorded:
            return
        self._writer.add_topic(topic)
        self._writer.write(topic.name, self.now_ns, self.now_ns, _serialized(message, topic.type))


class TapePublisher:
    """Writes to a tape; the part of rclpy's Publisher that nodes use."""

    def __init__(self, write: Callable[[Topic, Any], None], topic: Topic) -> None:
        self._write, self._topic = write, topic

    def publish(self, message: Any) -> None:
        """Append a message. Raises EpisodeError: the disk takes no more."""
        self._write(self._topic, message)

    def get_subscription_count(self) -> int:
        """The tape listens."""
        return 1


def _resolved(topic: str) -> str:
    return f"/{topic.removeprefix('/')}"


def _topic(kind: Any, name: str, qos: QoSProfile | int) -> Topic:
    package, folder, _ = kind.__module__.split(".", 2)
    message_type = f"{package}/{folder}/{kind.__name__}"
    profile = qos if isinstance(qos, QoSProfile) else QoSProfile(depth=qos)
    # As a recorder learns it by discovery, which tells neither history nor depth.
    offered = Qos("unknown", 0, profile.reliability.name.lower(), profile.durability.name.lower())
    text, digest, _ = _described(message_type)
    return Topic(name, message_type, text, (offered,), digest)


def _serialized(message: Any, message_type: str) -> bytes:
    """CDR of a message. The middleware's own may be padded with whatever lay in its memory."""
    return bytes(_described(message_type)[2].serialize_cdr(_plain(message), message_type))


def _plain(value: Any) -> Any:
    """A value of a message's field with numpy's arrays, as the serializer wants them."""
    if hasattr(value, "get_fields_and_field_types"):
        names = value.get_fields_and_field_types()
        return SimpleNamespace(**{name: _plain(getattr(value, name)) for name in names})
    if isinstance(value, array):
        return np.frombuffer(value, value.typecode) if value else np.empty(0, value.typecode)
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], bool):
        return np.array(value)
    return [_plain(entry) for entry in value]


@cache
def _described(message_type: str) -> tuple[str, str, Typestore]:
    """Definition and hash of a type, and the serializer, which take long to make."""
    text = MessageDefinitions(share_folders(os.environ["AMENT_PREFIX_PATH"])).text(message_type)
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, message_type))
    return text, store.hash_rihs01(message_type), store
