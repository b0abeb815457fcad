"""Shows a running robot: takes from its topics what a picture needs, and no more.

Nothing is delivered message by message: every subscription is best effort with a short queue, so
that no publisher waits for the viewer, and is looked at LIVE_HZ times a second.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from brs_cli.view_routes import Kind, Route, Wish, find_routes, wishes
from brs_cli.view_scene import Scene
from brs_nodes.common import Priority, set_priority

LIVE_HZ = 20.0
LOOK_S = 1.0  # between looks for topics
DEPTH_OF_ALL = 20  # of topics of which each message counts


class LiveView:
    """Topics of the current ROS domain, shown in a scene.

    Args:
        node: never spun; its subscriptions are emptied instead.
        scene: shows what comes.
        namespace: of the robot's topics.
        image_hz: how often topics with pictures are looked at.
        say: told of what cannot be shown.
    """

    def __init__(
        self,
        node: Node,
        scene: Scene,
        namespace: str,
        image_hz: float,
        say: Callable[[str], None],
    ) -> None:
        self._node, self._scene, self._namespace, self._say = node, scene, namespace, say
        self._wishes: list[Wish] = wishes(scene)
        self._picture_s = 1.0 / image_hz
        self._taps: dict[str, tuple[Route, Any]] = {}
        self._due_s: dict[str, float] = {}
        self._said: set[str] = set()

    @property
    def has_clouds(self) -> bool:
        """Whether somebody makes clouds."""
        return any(route.handler == self._scene.cloud for route, _ in self._taps.values())

    def look(self) -> None:
        """Follow what has appeared; leave what is gone or not needed any more."""
        present: dict[str, str] = {}
        for name, types in self._node.get_topic_names_and_types():
            if self._node.count_publishers(name):
                present[name] = types[0]
        routes, wrong = find_routes(self._wishes, present, self._namespace)
        for line in wrong:
            self._say_once(line)
        wanted = {route.topic: route for route in routes}
        before = set(self._taps)
        for topic in self._taps.keys() - wanted.keys():
            self._node.destroy_subscription(self._taps.pop(topic)[1])
        for topic in wanted.keys() - self._taps.keys():
            self._follow(wanted[topic])
        if before != set(self._taps):
            self._say(f"following {len(self._taps)} topics")

    def take(self, now_s: float) -> int:
        """Show what has arrived; returns how many messages.

        Args:
            now_s: any clock that goes on steadily [s].
        """
        count = 0
        for topic, (route, tap) in self._taps.items():
            if route.kind is Kind.PICTURE:
                if now_s < self._due_s.get(topic, 0.0):
                    continue
                self._due_s[topic] = now_s + self._picture_s
            with tap.handle:
                # As many as the queue holds: who publishes faster than this must not keep us.
                for _ in range(tap.qos_profile.depth):
                    if not (taken := tap.handle.take_message(tap.msg_type, False)):
                        break
                    message, info = taken
                    received_ns = info["received_timestamp"] or time.time_ns()
                    self._scene.take(topic, route.handler, message, received_ns)
                    count += 1
        self._scene.flush()
        return count

    def _follow(self, route: Route) -> None:
        package, kind, name = route.type.split("/")
        try:
            message_class = getattr(importlib.import_module(f"{package}.{kind}"), name)
        except (ImportError, AttributeError):
            self._say_once(f"{route.topic}: {route.type} is not installed here; not shown")
            return
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH_OF_ALL if route.kind is Kind.ALL else 1,
            reliability=ReliabilityPolicy.BEST_EFFORT,
        )
        tap = self._node.create_subscription(message_class, route.topic, _never, profile)
        self._taps[route.topic] = route, tap

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)


def watch(
    scene: Scene,
    namespace: str,
    image_hz: float,
    go_on: Callable[[], bool],
    say: Callable[[str], None],
) -> int:
    """Show a running robot as long as `go_on` says; returns how many messages were shown."""
    # Whoever controls the robot goes first.
    set_priority(Priority.BACKGROUND)
    # Ours ends the loop; rclpy's would take the context away from under it.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node(
        "brs_view", namespace=namespace, enable_rosout=False, start_parameter_services=False
    )
    count, next_look_s = 0, time.monotonic() + LOOK_S
    arranged: bool | None = None
    try:
        view = LiveView(node, scene, namespace, image_hz, say)
        while go_on():
            now_s = time.monotonic()
            if now_s >= next_look_s:
                view.look()
                next_look_s = now_s + LOOK_S
                # Once, and again should clouds begin: they take the place of depth.
                if arranged is None or (view.has_clouds and not arranged):
                    arranged = view.has_clouds
                    scene.arrange(arranged)
            count += view.take(now_s)
            time.sleep(max(0.0, 1.0 / LIVE_HZ - (time.monotonic() - now_s)))
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return count


def _never(_: Any) -> None:
    """A subscription wants a callback; nobody spins those of the viewer."""
    raise AssertionError("the viewer's node must not be spun")
