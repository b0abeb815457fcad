"""Plays a bag into a node one step at a time, so that the machine's speed does not matter.

The test is the clock: it publishes /clock and the inputs of one moment, and goes on only when the
node has answered a request that was sent behind them. A step is thus over when all of it was
taken in, be that after a millisecond or after a second.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from harness import Harness
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from brs_ml.episode import EpisodeInfo, EpisodeReader, EpisodeWriter, Topic
from brs_ml.episode.folder import save

BAGS = Path(__file__).resolve().parents[1] / "data" / "bags"
INPUT_QOS = QoSProfile(depth=50)
OUTPUT_QOS = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
SECOND_NS = 1_000_000_000
CALL = "/test/call"  # of a bag: a service that the test calls at this moment
TIMER_HOPS = 5  # answers after which timers have surely run; with two, one in 300 had not
Sent = tuple[str, Any]  # topic, message


@dataclass(frozen=True)
class Step:
    """What happens at one moment."""

    time_ns: int
    inputs: list[Sent]
    outputs: list[Sent] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """A node, what it is told and what is looked at.

    Args:
        node: its executable, which is its name, too.
        inputs: topic -> message, and the same for outputs.
        steps: made anew, with a fixed seed.
        parameters: made in a folder for files.
        calls: name that a bag has under CALL -> service type, its name and the request.
        is_over: whether all has been heard that a step brings from a thread of the node's own.
        tolerance: by which numbers may differ on another processor [rad, m, m/s, s].
    """

    node: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    steps: Callable[[], Iterable[Step]]
    parameters: Callable[[Path], dict[str, Any]] = lambda folder: {}
    calls: dict[str, tuple[Any, str, Any]] = field(default_factory=dict)
    is_over: Callable[[Step, list[Sent]], bool] = lambda step, heard: True
    tolerance: float = 1e-6


class Lockstep:
    """A started node of a scenario.

    Args:
        ros: of the test.
        scenario: what to play.
    """

    def __init__(self, ros: Harness, scenario: Scenario) -> None:
        self._ros, self._scenario = ros, scenario
        node = ros.node
        self._clock = node.create_publisher(Clock, "/clock", INPUT_QOS)
        self._inputs = {
            topic: node.create_publisher(kind, topic, INPUT_QOS)
            for topic, kind in scenario.inputs.items()
        }
        self._heard: list[Sent] = []
        for topic, kind in scenario.outputs.items():
            node.create_subscription(
                kind, topic, lambda m, topic=topic: self._heard.append((topic, m)), OUTPUT_QOS
            )
        parameters = scenario.parameters(ros.folder)
        self.process = ros.start_node(scenario.node, {"use_sim_time": True, **parameters})
        self._asks: Any = node.create_client(GetParameters, f"{scenario.node}/get_parameters")
        self._health = ros.collect(DiagnosticArray, "/diagnostics", OUTPUT_QOS)
        ros.wait_for(self._connected, "all topics of the node", 90.0)

    def _connected(self) -> bool:
        publishers = (self._clock, *self._inputs.values())
        return (
            self._asks.service_is_ready()
            and all(publisher.get_subscription_count() for publisher in publishers)
            and all(self._ros.node.count_publishers(topic) for topic in self._scenario.outputs)
        )

    def play(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Each step with the outputs that the node really gave."""
        for number, step in enumerate(steps):
            if not number:
                self._set_off(step.time_ns)
            self._heard.clear()
            self._tell_time(step.time_ns)
            for topic, message in step.inputs:
                if topic == CALL:
                    kind, name, request = self._scenario.calls[message.data]
                    assert self._ros.call(kind, name, request).success, message.data
                else:
                    self._inputs[topic].publish(message)
            self._answered()
            self._answered()
            self._await(step)
            yield Step(step.time_ns, step.inputs, list(self._heard))

    def _set_off(self, start_ns: int) -> None:
        """Let time pass until the node reports, and so surely hears it; then to shortly before."""
        passed_s = itertools.count(1)

        def second() -> None:
            self._tell_time(start_ns // 2 + next(passed_s) * SECOND_NS)

        self._ros.wait_for(lambda: self._health, "diagnostics of the node", 90.0, tick=second)
        self._tell_time(start_ns - SECOND_NS)

    def _tell_time(self, time_ns: int) -> None:
        self._clock.publish(Clock(clock=Time(nanoseconds=time_ns).to_msg()))
        # The time goes to timers, and those to the executor, beside the questions that follow it.
        for _ in range(TIMER_HOPS):
            self._answered()

    def _await(self, step: Step) -> None:
        """The threads of the node have told what they found."""
        if not self._scenario.is_over(step, self._heard):
            over = partial(self._scenario.is_over, step, self._heard)
            self._ros.wait_for(over, "all outputs of a step", 90.0)
            self._answered()

    def _answered(self) -> None:
        """The node has handled what was sent before."""
        future = self._asks.call_async(GetParameters.Request(names=["use_sim_time"]))
        self._ros.wait_for(future.done, "an answer")


def write_bag(name: str, scenario: Scenario, steps: Iterable[Step]) -> Path:
    """A small bag with inputs and outputs; another of that name is replaced."""
    kinds = scenario.inputs | scenario.outputs
    topics = [Topic(f"/{topic.strip('/')}", _type_name(kind)) for topic, kind in kinds.items()]
    if scenario.calls:
        topics.append(Topic(CALL, "std_msgs/msg/String"))
    folder = BAGS / f"{name}.part"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    writer = EpisodeWriter(folder, EpisodeInfo(task=scenario.node, seed=0), topics)
    for step in steps:
        for topic, message in (*step.inputs, *step.outputs):
            data = bytes(serialize_message(message))
            writer.write(f"/{topic.strip('/')}", step.time_ns, step.time_ns, data)
    writer.close(status="saved", success=True)
    shutil.rmtree(BAGS / name, ignore_errors=True)
    return save(folder)


def read_bag(name: str, scenario: Scenario) -> Iterator[Step]:
    """The steps of a bag with what was recorded then."""
    kinds = {
        f"/{topic.strip('/')}": (topic, kind, True) for topic, kind in scenario.inputs.items()
    }
    kinds |= {
        f"/{topic.strip('/')}": (topic, kind, False) for topic, kind in scenario.outputs.items()
    }
    step: Step | None = None
    for message in EpisodeReader(BAGS / name).messages():
        if step is None or message.log_time_ns != step.time_ns:
            if step is not None:
                yield step
            step = Step(message.log_time_ns, [], [])
        if message.topic == CALL:
            step.inputs.append((CALL, deserialize_message(message.data, String)))
            continue
        topic, kind, is_input = kinds[message.topic]
        decoded = (topic, deserialize_message(message.data, kind))
        (step.inputs if is_input else step.outputs).append(decoded)
    if step is not None:
        yield step


def _type_name(kind: Any) -> str:
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
