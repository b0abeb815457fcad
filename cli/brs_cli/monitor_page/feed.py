"""Fills the page from the monitor's topics, and tells its node what to watch for."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Sequence
from typing import Any

import rclpy
from brs_interfaces.msg import AnomalyScores
from brs_interfaces.srv import SetAnomalyQueries
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage

from brs_cli.monitor_page.model import KINDS, NODE_GONE, Picture, SegmentNews, TextScore
from brs_cli.monitor_page.watch import Watch
from brs_cli.view_routes import COMPRESSED, absolute
from brs_hardware.errors import BrsError
from brs_nodes.common import NEWEST, Priority, make_executor, set_priority
from brs_nodes.conversions import to_seconds

MONITOR = "anomaly_monitor"  # the node
LOOK_S = 1.0  # between looks for topics
SPIN_S = 0.2  # the longest time between looks at the end
MOST_TAPS = 64  # pictures that are followed; the model shows fewer
PATIENCE_S = 20.0  # for an answer: a busy node first ends the segment it is at


class Feed:
    """A node in a thread of its own, in the background of whatever moves the robot.

    Args:
        watch: is filled.
        namespace: of the monitor's node; "" for none.
    """

    def __init__(self, watch: Watch, namespace: str = "") -> None:
        self._watch, self._namespace = watch, namespace
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node(
            "brs_monitor_page",
            namespace=namespace,
            context=self._context,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._monitor = absolute(MONITOR, namespace)
        pattern = absolute(rf"anomaly/(\w+)/({'|'.join(KINDS)})/compressed", namespace)
        self._pictures = re.compile(pattern)
        self._taps: dict[str, Any] = {}  # by topic
        create = self._node.create_subscription
        create(AnomalyScores, "anomaly/scores", self._on_scores, 10)
        create(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._setter: Any = self._node.create_client(SetAnomalyQueries, "anomaly/set_queries")
        self._node.create_timer(LOOK_S, self._look)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor feed")

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._watch.keep(time.monotonic(), all_now=True)

    def set_queries(self, texts: Sequence[str]) -> str:
        """Tell the node what to watch for; waits for its answer, so not in the feed's thread.

        Args:
            texts: all of them, in the user's words.

        Returns:
            What the node says to it.

        Raises:
            BrsError: it is not there, does not answer, or refuses.
        """
        service = self._setter.srv_name
        if not self._setter.service_is_ready():
            raise BrsError(NODE_GONE, where=service)
        future = self._setter.call_async(SetAnomalyQueries.Request(queries=list(texts)))
        answered = threading.Event()
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(PATIENCE_S):
            self._setter.remove_pending_request(future)
            raise BrsError("no answer", where=service, remedy="look at the node's log")
        answer: Any = future.result()
        if not answer.success:
            raise BrsError(answer.message, where="the monitor's node")
        self._watch.told(texts, time.monotonic())
        return str(answer.message)

    def _run(self) -> None:
        # Whoever controls the robot goes first.
        set_priority(Priority.BACKGROUND)
        executor = make_executor(self._context)
        executor.add_node(self._node)
        while not self._stop.is_set():
            executor.spin_once(timeout_sec=SPIN_S)
        executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _look(self) -> None:
        """Follow pictures that have appeared, and keep clips."""
        for topic, types in self._node.get_topic_names_and_types():
            found = self._pictures.fullmatch(topic)
            new = found and topic not in self._taps and len(self._taps) < MOST_TAPS
            if found and new and COMPRESSED in types:
                self._follow(topic, *found.groups())
        self._watch.keep(time.monotonic())

    def _follow(self, topic: str, camera: str, kind: str) -> None:
        def take(message: Any) -> None:
            picture = Picture(to_seconds(message.header.stamp), bytes(message.data))
            self._watch.picture(camera, kind, picture, time.monotonic())

        self._taps[topic] = self._node.create_subscription(CompressedImage, topic, take, NEWEST)

    def _on_scores(self, message: Any) -> None:
        self._watch.segment(news_from_message(message), time.monotonic(), time.time())

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name == self._monitor:
                level = int.from_bytes(status.level, "little")
                # Without texts there are no scores, which tell of them otherwise.
                no_texts = any(row.key == "texts" and row.value == "0" for row in status.values)
                self._watch.diagnosis(level, status.message, no_texts, time.monotonic())


def news_from_message(message: Any) -> SegmentNews:
    """Scores of a brs_interfaces/AnomalyScores; what is missing, or no score, is unknown."""
    columns = itertools.zip_longest(
        message.texts,
        message.scores,
        message.key_frame,
        message.position,
        message.temporal,
        message.reasons,
        message.alarms,
        message.judged,
    )
    rows = [
        TextScore(
            text,
            _known(score),
            tuple(map(_known, parts)),
            reason or "",
            bool(alarm),
            bool(judged),
        )
        for text, score, *parts, reason, alarm, judged in itertools.islice(
            columns, len(message.texts)
        )
    ]
    return SegmentNews(
        message.camera,
        to_seconds(message.begin),
        to_seconds(message.header.stamp),
        tuple(rows),
        message.dropped,
        message.latency_s,
    )


def _known(score: float | None) -> float | None:
    """A number from 0 to 1; nan and whatever else is unknown."""
    return float(score) if score is not None and 0.0 <= score <= 1.0 else None
