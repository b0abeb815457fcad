"""Subscriptions whose messages stay serialized and are taken when the node asks.

Nobody is called for each message: a hundred wakings a second do the work of thousands.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from typing import Any

from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from brs_ml.episode import EpisodeError, MessageDefinitions, Qos, Topic

# Reader histories: a second and more of what a busy machine may leave waiting.
DEPTH, DEPTH_OF_BIG = 500, 30
BIG = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/PointCloud2")
# Topic, whether its publishers latch, CDR bytes, what the middleware tells of the message.
Receive = Callable[[Topic, bool, bytes, dict[str, Any]], None]


class Taps:
    """Follows what is wanted as soon as it appears, with what its publishers offer.

    Args:
        node: names, graph and log are its; the subscriptions belong to a node of their own that
            no executor spins.
        wanted: resolved topic names.
        definitions: message definitions to keep with the topics.
        apart: those of them that anybody may send at any rate. They come through a DDS participant
            of their own: what overflows its socket is none of the other topics'.

    Attributes:
        topics: known so far, by name.
    """

    def __init__(
        self,
        node: Node,
        wanted: Collection[str],
        definitions: MessageDefinitions,
        apart: Collection[str] = (),
    ) -> None:
        self._node, self._wanted, self._definitions = node, wanted, definitions
        self._apart = frozenset(apart)
        self.topics: dict[str, Topic] = {}
        self._context = Context()
        # With the same arguments: its security enclave is among them.
        self._context.init(sys.argv, initialize_logging=False)
        self._owner = _owner(node, "taps", node.context)
        self._owner_apart = _owner(node, "taps_apart", self._context)
        self._taps: dict[str, Any] = {}
        self._latching: dict[str, bool] = {}
        self._refused_types: set[str] = set()

    def look(self) -> None:
        """Subscribe to what has appeared or changed."""
        present = dict(self._node.get_topic_names_and_types())
        for name in self._wanted:
            if name in present:
                self._follow(name)

    def _follow(self, name: str) -> None:
        publishers = self._node.get_publishers_info_by_topic(name)
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
        owner = self._owner_apart if name in self._apart else self._owner
        current = self._taps.get(name)
        if current is not None:
            if current.qos_profile == profile:
                return
            # A publisher of another kind has come or gone.
            owner.destroy_subscription(current)
            del self._taps[name]
        message_class = self._message_class(message_type)
        if message_class is None:
            return
        if name not in self.topics:
            self.topics[name] = Topic(
                name,
                message_type,
                self._definition(message_type),
                tuple(_offered(qos) for qos in offered),
                str(getattr(publishers[0], "topic_type_hash", "")),
            )
        self._taps[name] = owner.create_subscription(
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
                self._node.get_logger().error(
                    f"{message_type} is not installed here; its topics are not recorded"
                )
            return None

    def _definition(self, message_type: str) -> str:
        try:
            return self._definitions.text(message_type)
        except EpisodeError as error:
            self._node.get_logger().warning(f"recorded without its definition: {error}")
            return ""

    def take(self, receive: Receive, at_most: int = DEPTH) -> None:
        """Hand on what has arrived, so many messages of a topic at most."""
        for name, tap in self._taps.items():
            topic, latched = self.topics[name], self._latching[name]
            with tap.handle:
                for _ in range(at_most):
                    if not (taken := tap.handle.take_message(tap.msg_type, True)):
                        break
                    receive(topic, latched, *taken)

    def close(self) -> None:
        """End all subscriptions."""
        self._owner.destroy_node()
        self._owner_apart.destroy_node()
        self._context.shutdown()


def _owner(node: Node, name: str, context: Context) -> Node:
    """A node that holds subscriptions and that nobody spins."""
    return Node(
        f"{node.get_name()}_{name}",
        context=context,
        namespace=node.get_namespace(),
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
    )


def _never(message: bytes) -> None:
    """A subscription wants a callback; nobody spins those of the tap node."""
    raise AssertionError("the tap node must not be spun")


def _offered(qos: QoSProfile) -> Qos:
    return Qos(
        history=qos.history.name.lower(),
        depth=qos.depth,
        reliability=qos.reliability.name.lower(),
        durability=qos.durability.name.lower(),
    )
