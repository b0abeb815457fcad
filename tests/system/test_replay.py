"""Replay as a process, against a robot node that the test plays."""

from __future__ import annotations

import itertools
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brs_interfaces.msg import JointGroupState, SafetyState, WholeBodyCommand, WholeBodyState
from brs_interfaces.srv import Arm, SelectSource
from harness import LATCHED, Harness
from rclpy.clock import ClockType
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, String

from brs_ml.episode import EpisodeInfo, EpisodeWriter, Topic
from brs_ml.episode.folder import make_working_folder, save

pytestmark = pytest.mark.system
BEST_EFFORT = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
SPACING_S = [0.02, 0.02, 0.3, 0.02, 0.1]


def command(number: int, time_s: float, arm_rad: float = 0.0) -> WholeBodyCommand:
    message = WholeBodyCommand(
        source="teleop",
        torso=array("d", [0.0] * 4),
        left_arm=array("d", [0.0, 0.0, 0.0, 0.0, arm_rad, 0.0]),
        right_arm=array("d", [0.0] * 6),
        left_gripper=number / 100,
    )
    message.header.stamp = Time(seconds=time_s).to_msg()
    return message


def bag_of(folder: Path, arm_rad: float = 0.0, namespace: str = "") -> Path:
    """Commands at SPACING_S and a sensor between; log times jitter, stamps do not."""
    writer = EpisodeWriter(
        make_working_folder(folder, "t", 0.0),
        EpisodeInfo(),
        [
            Topic(f"{namespace}/teleop/command", "brs_interfaces/msg/WholeBodyCommand"),
            Topic("/sensor", "std_msgs/msg/String", "string data\n"),
        ],
    )
    time_s = 100.0
    for number, step_s in enumerate([0.0, *SPACING_S]):
        time_s += step_s
        log_ns = round((time_s + 5.0 + 0.004 * (number % 2)) * 1e9)
        data = serialize_message(command(number, time_s, arm_rad))
        writer.write(f"{namespace}/teleop/command", log_ns, log_ns, data)
        text = serialize_message(String(data=str(number)))
        writer.write("/sensor", log_ns + 1_000_000, log_ns, text)
    writer.close()
    return save(writer.folder)


class FakeRobot:
    """Publishes what the robot node does, and does what its services are asked for."""

    def __init__(self, ros: Harness) -> None:
        self.ros = ros
        node = ros.node
        self.mode, self.source, self.asked = SafetyState.DISARMED, "teleop", []
        self.state = node.create_publisher(WholeBodyState, "robot/state", BEST_EFFORT)
        self.safety = node.create_publisher(SafetyState, "robot/safety", LATCHED)
        node.create_service(Arm, "robot/arm", self.on_arm)
        node.create_service(SelectSource, "robot/select_source", self.on_select)
        self.commands: list[WholeBodyCommand] = ros.collect(
            WholeBodyCommand, "replay/command", QoSProfile(depth=50)
        )

    def on_arm(self, request: Any, response: Any) -> Any:
        self.asked.append(request.arm)
        self.mode = SafetyState.ARMED if request.arm else SafetyState.DISARMED
        response.success = True
        return response

    def on_select(self, request: Any, response: Any) -> Any:
        self.source, response.success = request.source, True
        return response

    def live(self) -> None:
        state = WholeBodyState()
        for group, count in (("torso", 4), ("left_arm", 6), ("right_arm", 6)):
            setattr(state, group, JointGroupState(position=array("d", [0.0] * count)))
        self.state.publish(state)
        self.safety.publish(SafetyState(mode=self.mode, source=self.source))


def test_commands_come_in_order_at_their_recorded_spacing(ros: Harness) -> None:
    """At half the speed, by the stamps and not the log times, exact on simulated time."""
    robot = FakeRobot(ros)
    done = ros.collect(Bool, "replay/done", LATCHED)
    clock = ros.node.create_publisher(Clock, "/clock", 10)
    bag = bag_of(ros.folder, namespace="/elsewhere")
    process = ros.start_node(
        "replay", {"bag": str(bag), "arm": True, "rate": 0.5, "use_sim_time": True}
    )
    start_ns = now_ns = 50 * 10**9

    def tick() -> None:
        robot.live()
        clock.publish(Clock(clock=Time(nanoseconds=now_ns).to_msg()))

    for number, after_s in enumerate(np.cumsum([0.0, *SPACING_S])):
        # A microsecond late: the stamps in the bag were rounded.
        now_ns = start_ns + round(after_s / 0.5 * 1e9) + 1_000
        ros.wait_for(lambda n=number: len(robot.commands) > n, f"command {number}", tick=tick)
        assert len(robot.commands) == number + 1
        sent_ns = Time.from_msg(robot.commands[-1].header.stamp).nanoseconds
        # One command moved by another's lateness would show here.
        assert sent_ns == pytest.approx(now_ns, abs=2_000)
    ros.wait_for(lambda: not process.running, "the replay to end", tick=tick)
    assert process.wait() == 0, process.output
    assert [round(m.left_gripper * 100) for m in robot.commands] == list(range(6))
    assert {message.source for message in robot.commands} == {"replay"}
    assert done[-1].data and "done: 6 messages" in process.output
    # Armed by the replay, disarmed by the replay.
    assert robot.asked == [True, False] and robot.source == "replay"


def test_without_arm_it_waits_for_a_person_and_stops_when_disarmed(ros: Harness) -> None:
    robot = FakeRobot(ros)
    process = ros.start_node("replay", {"bag": str(bag_of(ros.folder))})
    ros.wait_for(lambda: "waiting for a person" in process.output, "waiting", tick=robot.live)
    assert not robot.commands and not robot.asked
    robot.mode, robot.source = SafetyState.ARMED, "replay"
    ros.wait_for(lambda: robot.commands, "commands", tick=robot.live)
    robot.mode = SafetyState.DISARMED
    ros.wait_for(lambda: not process.running, "the replay to end", tick=robot.live)
    assert process.wait() == 1 and "the robot was disarmed" in process.output
    assert len(robot.commands) < 6


def test_a_start_far_from_the_robot_is_refused_by_joint(ros: Harness) -> None:
    robot = FakeRobot(ros)
    bag = bag_of(ros.folder, arm_rad=0.7)
    process = ros.start_node("replay", {"bag": str(bag), "arm": True})
    ros.wait_for(lambda: not process.running, "the refusal", tick=robot.live)
    assert process.wait() == 1
    assert "left_arm_joint5 is at 0.00 rad, the bag begins at 0.70 rad" in process.output
    assert not robot.asked and not robot.commands and "Traceback" not in process.output


def test_sensor_topics_play_into_another_name_on_simulated_time(ros: Harness) -> None:
    """Wall time does not matter: with /clock standing still nothing comes."""
    clock = ros.node.create_publisher(Clock, "/clock", 10)
    heard = ros.collect(String, "/elsewhere/sensor", QoSProfile(depth=50))
    parameters = {
        "bag": str(bag_of(ros.folder)),
        "topics": "sensor:=/elsewhere/sensor",
        "commands": False,
        "use_sim_time": True,
    }
    process = ros.start_node("replay", parameters)
    now_s = itertools.count(50.0, 0.05)
    time_s = 50.0

    def tick() -> None:
        clock.publish(Clock(clock=Time(seconds=time_s, clock_type=ClockType.ROS_TIME).to_msg()))

    ros.wait_for(lambda: "playing" in process.output and heard, "the first", tick=tick)
    assert [message.data for message in heard] == ["0"]

    def advance() -> None:
        nonlocal time_s
        time_s = next(now_s)
        tick()

    ros.wait_for(lambda: not process.running, "the end", tick=advance)
    assert process.wait() == 0, process.output
    assert [message.data for message in heard] == [str(number) for number in range(6)]


def test_bad_bags_are_one_clear_line(ros: Harness) -> None:
    torn = bag_of(ros.folder)
    garbage = ros.folder / "garbage"
    garbage.mkdir()
    (garbage / "x.mcap").write_bytes(b"no bag at all")
    wanted = {
        str(ros.folder / "missing"): "no such bag",
        str(garbage): "is not an MCAP file",
        "": "no bag given",
    }
    processes = {
        ros.start_node("replay", {"bag": bag, "arm": True}): said for bag, said in wanted.items()
    }
    other = {"bag": str(torn), "command_topic_in": "policy/command"}
    processes[ros.start_node("replay", other)] = "has no topic 'policy/command'"
    for process, said in processes.items():
        assert process.wait() == 1
        lines = [line for line in process.output.splitlines() if line.strip()]
        assert len(lines) == 1 and said in lines[0] and "Try: " in lines[0], process.output


@pytest.mark.parametrize(
    ("drivers", "played"), [((), [10, 11, 12, 13, 14]), (((1, 3),), [91, 92, 93])]
)
def test_what_the_driver_asked_for_is_played_or_else_what_was_sent(
    ros: Harness, drivers: tuple[tuple[int, int], ...], played: list[int]
) -> None:
    robot = FakeRobot(ros)

    def log_time_ns(number: int) -> int:
        return round((100.0 + 0.02 * number) * 1e9)

    spans = [
        {"source": "teleop", "start_ns": log_time_ns(first), "stop_ns": log_time_ns(last)}
        for first, last in drivers
    ]
    writer = EpisodeWriter(
        make_working_folder(ros.folder, "t", 0.0),
        EpisodeInfo(drivers=spans),
        [
            Topic(f"/{name}", "brs_interfaces/msg/WholeBodyCommand")
            for name in ("teleop/command", "robot/command")
        ],
    )
    for number in range(5):
        log_ns = log_time_ns(number)
        for name, asked in (("teleop/command", 90), ("robot/command", 10)):
            data = serialize_message(command(asked + number, log_ns * 1e-9))
            writer.write(f"/{name}", log_ns, log_ns, data)
    writer.close()
    process = ros.start_node("replay", {"bag": str(save(writer.folder)), "arm": True})
    ros.wait_for(lambda: not process.running, "the replay to end", tick=robot.live)
    assert process.wait() == 0, process.output
    closed = [round(100 * message.left_gripper) for message in robot.commands]
    assert closed == played


def test_a_torn_bag_plays_what_it_holds(ros: Harness) -> None:
    robot = FakeRobot(ros)
    bag = bag_of(ros.folder)
    path = next(bag.glob("*.mcap"))
    path.write_bytes(path.read_bytes()[:-100])
    process = ros.start_node("replay", {"bag": str(bag), "arm": True, "rate": 10.0})
    ros.wait_for(lambda: not process.running, "the replay to end", tick=robot.live)
    assert process.wait() == 0 and "the bag is torn" in process.output
    assert len(robot.commands) == 6
