"""The recorder as a process: services, buttons, signals, crashes, and what it leaves on disk."""

from __future__ import annotations

import json
import signal
from array import array
from pathlib import Path
from typing import Any

import pytest
from brs_interfaces.msg import EpisodeState, SafetyState
from brs_interfaces.srv import MarkEpisode, PauseEpisode, StartEpisode, StopEpisode
from harness import LATCHED, Harness, Process
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState, Joy
from std_msgs.msg import String

from brs_hardware.types import JOYCON_BUTTONS
from brs_ml.episode import EpisodeReader

pytestmark = pytest.mark.system
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


class Rig:
    """A recorder process and publishers that count."""

    def __init__(self, ros: Harness, namespace: str = "", **parameters: Any) -> None:
        self.ros, self.folder = ros, ros.folder / "episodes"
        prefix = f"/{namespace}" if namespace else ""
        node = ros.node
        self.joints = node.create_publisher(JointState, f"{prefix}/robot/joints", BEST_EFFORT)
        self.images = node.create_publisher(Image, f"{prefix}/camera/image", BEST_EFFORT)
        self.latched = node.create_publisher(String, f"{prefix}/robot/description", LATCHED)
        self.joy = node.create_publisher(Joy, f"{prefix}/joylo/joy_right", BEST_EFFORT)
        self.latched.publish(String(data="said once, before"))
        self.parameters = {
            "folder": str(self.folder),
            "topics": ["robot/joints", "camera/image", "robot/description"],
            "min_free_mb": 1,
            **parameters,
        }
        self.namespace, self.prefix = namespace, prefix
        self.sent = 0
        self.held: set[str] = set()
        self.states = ros.collect(EpisodeState, f"{prefix}/episode/state", LATCHED)
        self.process = self.start()

    def start(self) -> Process:
        process = self.ros.start_node("recorder", self.parameters, namespace=self.namespace)
        topics = (self.joints, self.images, self.latched, self.joy)
        self.ros.wait_for(
            lambda: all(topic.get_subscription_count() for topic in topics), "subscriptions"
        )
        return process

    def publish(self) -> None:
        """One more message on each topic, small image included."""
        stamp = self.ros.node.get_clock().now().to_msg()
        message = JointState(position=array("d", [float(self.sent)]))
        message.header.stamp = stamp
        self.joints.publish(message)
        image = Image(height=24, width=32, encoding="rgb8", step=96, data=array("B", bytes(2304)))
        image.header.stamp = stamp
        self.images.publish(image)
        self.sent += 1

    def hold(self) -> None:
        """Repeat the buttons, as the Joy-Con node does."""
        buttons = [int(name in self.held) for name in JOYCON_BUTTONS["right"]]
        self.joy.publish(Joy(buttons=array("i", buttons)))

    def press(self, button: str, until: int) -> EpisodeState:
        """Release, press and hold a button until the recorder says it is in a state."""
        self.held = set()
        self.ros.wait_for(self._quiet(), "the thumb to rest", tick=self.hold)
        self.held = {button}
        return self.until(until, self.hold)

    def _quiet(self) -> Any:
        """True once the debounce time has gone by on the recorder's side."""
        start = self.ros.node.get_clock().now().nanoseconds
        return lambda: self.ros.node.get_clock().now().nanoseconds - start > 300_000_000

    def until(self, state: int, tick: Any = None) -> EpisodeState:
        self.ros.wait_for(
            lambda: self.states and self.states[-1].state == state, f"state {state}", tick=tick
        )
        return self.states[-1]

    def record(self, count: int) -> None:
        """Publish until the recorder has written so many messages."""
        self.ros.wait_for(
            lambda: self.states and self.states[-1].messages >= count,
            f"{count} messages",
            tick=self.publish,
        )

    def call_start(self, task: str = "shelf") -> StartEpisode.Response:
        request = StartEpisode.Request(task=task, instruction="tidy up", seed=7)
        return self.ros.call(StartEpisode, f"{self.prefix}/episode/start", request)

    def call_stop(self, action: int, success: bool = False) -> StopEpisode.Response:
        request = StopEpisode.Request(action=action, task_success=success)
        return self.ros.call(StopEpisode, f"{self.prefix}/episode/stop", request)


def positions(bag: Path) -> list[float]:
    return [m.position[0] for e, m in EpisodeReader(bag).decoded() if "joints" in e.topic]


def test_the_episode_tells_who_drove_when(ros: Harness) -> None:
    rig = Rig(ros)
    safety = ros.node.create_publisher(SafetyState, "robot/safety", LATCHED)
    ros.wait_for(safety.get_subscription_count, "the recorder to watch the robot node")
    ros.call(StartEpisode, "episode/start", StartEpisode.Request(task="takeover"))
    for source, holding in (("policy", False), ("teleop", True), ("teleop", False)):
        state = SafetyState(mode=SafetyState.ARMED, source=source, holding=holding)
        safety.publish(state)
        seen = rig.sent + 20
        ros.wait_for(lambda seen=seen: rig.sent > seen, "some messages", tick=rig.publish)
    request = StopEpisode.Request(action=StopEpisode.Request.SAVE, task_success=True)
    path = ros.call(StopEpisode, "episode/stop", request).path
    info = json.loads((Path(path) / "episode.json").read_text())
    assert [span["source"] for span in info["drivers"]] == ["policy", "teleop"]
    policy, teleop = info["drivers"]
    assert info["start_ns"] <= policy["start_ns"] < policy["stop_ns"] < teleop["start_ns"]
    assert teleop["stop_ns"] == info["stop_ns"]


def test_services_record_an_episode_that_other_tools_read(ros: Harness) -> None:
    rig = Rig(ros, namespace="robot1")
    started = rig.call_start()
    assert started.success and started.episode.endswith("_shelf.part")
    assert not rig.call_start().success
    rig.record(40)
    stopped = rig.call_stop(StopEpisode.Request.STOP)
    assert stopped.success and rig.until(EpisodeState.REVIEW).episode == started.episode
    saved = rig.call_stop(StopEpisode.Request.SAVE, success=True)
    assert saved.success and saved.lost == 0 and saved.messages >= 40
    refused = rig.call_stop(StopEpisode.Request.SAVE)
    assert not refused.success and "there is no episode" in refused.message
    bag = Path(saved.path)
    # What was recorded is one stretch of what was sent.
    got = positions(bag)
    assert len(got) >= 19 and got == [got[0] + i for i in range(len(got))]
    assert EpisodeReader(bag).counts[EpisodeReader(bag).topics["/robot1/robot/description"]] == 1
    info = json.loads((bag / "episode.json").read_text())
    assert (info["task"], info["seed"], info["success"]) == ("shelf", 7, True)
    assert info["instruction"] == "tidy up" and info["status"] == "saved"
    with AnyReader([bag]) as reader:
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
        assert kinds["/robot1/camera/image"] == "sensor_msgs/msg/Image"
        assert reader.message_count == saved.messages
        for connection, _, data in reader.messages():
            reader.deserialize(data, connection.msgtype)
    # The node reports no error of its own and ends cleanly.
    assert rig.process.stop() == 0 and "Traceback" not in rig.process.output


def test_a_paused_recorder_keeps_listening_and_goes_on_with_what_is_latched(ros: Harness) -> None:
    rig = Rig(ros)
    rig.call_start()
    rig.record(10)

    def pause(pause: bool) -> bool:
        return bool(
            ros.call(PauseEpisode, "episode/pause", PauseEpisode.Request(pause=pause)).success
        )

    assert not pause(False), "it is not paused"
    assert pause(True) and not pause(True)
    rig.until(EpisodeState.PAUSED)
    first_paused = rig.sent
    ros.wait_for(lambda: rig.sent > first_paused + 20, "messages", tick=rig.publish)
    rig.latched.publish(String(data="said while paused"))
    # A mark is answered after what was sent before it has been let go.
    assert ros.call(MarkEpisode, "episode/mark", MarkEpisode.Request(name="grasp")).success
    refused = ros.call(MarkEpisode, "episode/mark", MarkEpisode.Request(name="a\nb"))
    assert not refused.success and "is no name of a mark" in refused.message
    written, first_resumed = rig.states[-1].messages, rig.sent
    assert pause(False)
    rig.record(written + 20)
    saved = rig.call_stop(StopEpisode.Request.SAVE, success=True)
    assert saved.success and saved.lost == 0
    bag = Path(saved.path)
    got = positions(bag)
    before, after = [n for n in got if n < first_paused], [n for n in got if n >= first_resumed]
    assert before + after == got, "nothing of the pause"
    for part in (before, after):
        assert part and part == [part[0] + i for i in range(len(part))], "all of the rest"
    info = EpisodeReader(bag).info
    (paused,) = info.pauses
    times = [m.log_time_ns for m in EpisodeReader(bag).messages()]
    assert not any(paused["start_ns"] < time < paused["stop_ns"] for time in times)
    assert [each["name"] for each in info.marks] == ["grasp"]
    assert paused["start_ns"] < info.marks[0]["at_ns"] < paused["stop_ns"]
    texts = list(EpisodeReader(bag).decoded(["/robot/description"]))
    assert [m.data for _, m in texts] == ["said once, before", "said while paused"]
    assert texts[1][0].log_time_ns == paused["stop_ns"]
    assert set(info.versions) == {"brs", "mcap", "python", "ros", "rmw", "robot"}


def test_buttons_start_stop_save_and_discard(ros: Harness) -> None:
    rig = Rig(ros)
    rig.press("a", EpisodeState.RECORDING)
    rig.record(10)
    rig.press("a", EpisodeState.REVIEW)
    rig.press("y", EpisodeState.IDLE)
    rig.press("a", EpisodeState.RECORDING)
    rig.press("stick", EpisodeState.RECORDING)
    ros.wait_for(lambda: "marked 'mark 1'" in rig.process.output, "the mark", tick=rig.hold)
    rig.press("x", EpisodeState.IDLE)
    (saved,) = [path for path in rig.folder.iterdir() if path.name != "trash"]
    (discarded,) = (rig.folder / "trash").iterdir()
    assert positions(saved) and EpisodeReader(saved).info.success
    info = EpisodeReader(discarded).info
    assert info.status == "discarded" and [each["name"] for each in info.marks] == ["mark 1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_the_episode(ros: Harness, number: int) -> None:
    rig = Rig(ros, auto_start=True)
    rig.record(20)
    assert rig.process.stop(number) == 0
    (bag,) = rig.folder.iterdir()
    info = EpisodeReader(bag).info
    assert (info.status, info.interrupted, info.success) == ("interrupted", True, False)
    assert not EpisodeReader(bag).torn and len(positions(bag)) >= 9


def test_a_killed_recorder_loses_a_second_at_most_and_is_mended(ros: Harness) -> None:
    rig = Rig(ros)
    started = rig.call_start()
    rig.record(20)
    # Whatever was on disk once stays readable: wait until chunks are there.
    path = Path(started.path)
    ros.wait_for(lambda: positions(path), "a chunk on the disk", tick=rig.publish)
    before = positions(path)
    assert rig.process.stop(signal.SIGKILL) == -signal.SIGKILL
    assert EpisodeReader(path).torn and positions(path)[: len(before)] == before
    rig.states.clear()
    again = rig.start()
    rig.until(EpisodeState.IDLE)
    mended = path.with_name(path.name.removesuffix(".part"))
    assert "recovered" in again.output and mended.is_dir() and not path.exists()
    assert positions(mended)[: len(before)] == before
    assert EpisodeReader(mended).info.status == "recovered"
    with AnyReader([mended]) as reader:
        assert reader.message_count == EpisodeReader(mended).info.messages


def test_no_room_is_one_clear_line_and_an_error_state(ros: Harness) -> None:
    rig = Rig(ros, min_free_mb=10_000_000)
    response = rig.call_start()
    assert not response.success and "MB are free" in response.message
    state = rig.until(EpisodeState.ERROR)
    assert "Try: " in state.message and "\n" not in state.message
    assert rig.process.stop() == 0 and "Traceback" not in rig.process.output
