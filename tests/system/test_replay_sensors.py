"""Sensor replay: into any node, in loops, from the middle; never to what moves a robot."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from brs_interfaces.msg import WholeBodyCommand
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from harness import LATCHED, Harness
from hypothesis import given
from hypothesis import strategies as st
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from brs_hardware.embodiment import load_embodiment
from brs_ml.episode import EpisodeInfo, EpisodeReader, EpisodeWriter, Qos, Topic
from brs_ml.episode.folder import make_working_folder, save
from brs_nodes.replay_sensors import moves_a_robot, recorded_sensors, with_later_stamps
from brs_nodes.robot_topics import command_topics, sensor_topics

pytestmark = pytest.mark.system
ROBOTS = ("r1", "r1_pro", "r1_lite")
START_NS = 1_000 * 10**9
STEP_NS = 50_000_000
FEEDBACK = load_embodiment("r1").torso.feedback_topic
LATE_NS = 3_000_000  # between capture and recording
LAST_RESORT = QoSProfile(depth=200)


def bag_of(folder: Path, count: int = 6) -> Path:
    """Torso feedback each 50 ms, something latched at 0 ms and 120 ms, and a vendor command."""
    latched = (Qos(durability="transient_local", depth=1),)
    command = f"/{load_embodiment('r1').torso.command_topic}"
    joints = "sensor_msgs/msg/JointState"
    topics = [
        Topic(f"/{FEEDBACK}", joints, qos=(Qos(),)),
        Topic("/said", "std_msgs/msg/String", qos=latched),
        Topic(command, joints),
        Topic("/teleop/command", "brs_interfaces/msg/WholeBodyCommand"),
    ]
    writer = EpisodeWriter(make_working_folder(folder, "t", 0.0), EpisodeInfo(robot="r1"), topics)
    for number in range(count):
        log_ns = START_NS + number * STEP_NS
        message = JointState(name=[str(number)])
        message.header.stamp = Time(nanoseconds=log_ns - LATE_NS).to_msg()
        for name in (f"/{FEEDBACK}", command):
            writer.write(name, log_ns, log_ns, serialize_message(message))
        writer.write("/teleop/command", log_ns, 0, serialize_message(WholeBodyCommand()))
        if number in (0, 3):
            text = serialize_message(String(data=f"said {number}"))
            writer.write("/said", log_ns - (number > 0) * 30_000_000, 0, text)
    writer.close()
    return save(writer.folder)


def nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def test_from_the_middle_in_loops_with_the_time_of_the_bag_on_the_clock(ros: Harness) -> None:
    heard = ros.collect(JointState, FEEDBACK, LAST_RESORT)
    clock: list[Clock] = ros.collect(Clock, "/clock", LAST_RESORT)
    said = ros.collect(String, "said", LATCHED)
    parameters = {"bag": str(bag_of(ros.folder)), "commands": False, "sensors": True}
    parameters |= {"topics": "said", "start_s": 0.14, "loop": True, "clock": True, "rate": 5.0}
    process = ros.start_node("replay", parameters)
    ros.wait_for(lambda: len(heard) >= 10, "three loops")
    assert process.running
    # 150, 200 and 250 ms; then again, the time going on.
    assert [message.name[0] for message in heard[:9]] == ["3", "4", "5"] * 3
    stamps = [nanoseconds(message.header.stamp) for message in heard]
    first_ns = START_NS + 3 * STEP_NS - LATE_NS
    # The loop begins with what was latched, 10 ms before, and ends 100 ms after its last message.
    period_ns = (START_NS + 5 * STEP_NS + 100_000_000) - (START_NS + 140_000_000)
    expected = [first_ns + loop * period_ns + n * STEP_NS for loop in range(3) for n in range(3)]
    assert stamps[:9] == expected
    times = [nanoseconds(message.clock) for message in clock]
    assert times == sorted(times) and times[0] >= START_NS + 140_000_000
    assert said[0].data == "said 3", "what was latched before the middle"
    assert {message.data for message in said} == {"said 3"}


def test_stamps_are_moved_to_now_as_old_as_they_were(ros: Harness) -> None:
    heard: list[tuple[int, JointState]] = []

    def hear(message: JointState) -> None:
        heard.append((ros.node.get_clock().now().nanoseconds, message))

    ros.node.create_subscription(JointState, "other/feedback", hear, LAST_RESORT)
    before_ns = ros.node.get_clock().now().nanoseconds
    process = ros.start_node(
        "replay",
        {
            "bag": str(bag_of(ros.folder)),
            "commands": False,
            "topics": f"{FEEDBACK}:=other/feedback",
            "rate": 2.0,
        },
    )
    ros.wait_for(lambda: not process.running, "the end")
    assert process.wait() == 0, process.output
    assert [message.name[0] for _, message in heard] == [str(n) for n in range(6)]
    stamps = [nanoseconds(message.header.stamp) for _, message in heard]
    # On the clock of now, at twice the speed, and never of the future.
    assert [b - a for a, b in itertools.pairwise(stamps)] == [STEP_NS // 2] * 5
    assert stamps[0] >= before_ns - LATE_NS
    assert all(stamp <= now_ns - LATE_NS for stamp, (now_ns, _) in zip(stamps, heard, strict=True))


def test_recorded_stamps_can_be_kept(ros: Harness) -> None:
    heard = ros.collect(JointState, FEEDBACK, LAST_RESORT)
    parameters = {"bag": str(bag_of(ros.folder)), "commands": False, "sensors": True}
    ros.start_node("replay", {**parameters, "stamps": "recorded"}).wait()
    ros.wait_for(lambda: len(heard) == 6, "all")
    stamps = [nanoseconds(message.header.stamp) for message in heard]
    assert stamps == [START_NS + n * STEP_NS - LATE_NS for n in range(6)]


def test_no_name_leads_to_what_moves_a_robot(ros: Harness) -> None:
    """By its own name, by a new name, by a namespace, or by a remapping of ROS."""
    command = load_embodiment("r1").torso.command_topic
    base = {"bag": str(bag_of(ros.folder)), "commands": False}
    processes = [
        ros.start_node("replay", {**base, "topics": topics}, namespace=namespace, remap=remap)
        for topics, namespace, remap in (
            (command, "", {}),
            (f"{FEEDBACK}:=/{command}", "", {}),
            (f"{FEEDBACK}:=harmless", "", {"harmless": command}),
            (f"{FEEDBACK}:={command}", "robot7", {}),
            ("teleop/command", "", {}),
        )
    ]
    for process in processes:
        assert process.wait() == 1, process.output
        assert "robots are moved by it" in process.output and "Traceback" not in process.output
    ros.executor.spin_once(0.0)
    assert not ros.node.get_publishers_info_by_topic(f"/{command}")


@pytest.mark.parametrize("robot", ROBOTS)
def test_every_robots_commands_are_known_and_no_sensor_is_one(robot: str) -> None:
    embodiment = load_embodiment(robot)
    commands = command_topics(embodiment)
    assert len(commands) >= 7
    for topic in commands:
        assert moves_a_robot(f"/{topic}") and moves_a_robot(f"/a/b/{topic}")
    for topic in sensor_topics(embodiment):
        assert not moves_a_robot(f"/{topic}")
    assert moves_a_robot("/motion_target/something_new")
    assert moves_a_robot("/ns/policy/command") and not moves_a_robot("/robot/command")


def test_sensors_of_an_episode_are_found_by_what_it_holds(ros: Harness) -> None:
    found = recorded_sensors(EpisodeReader(bag_of(ros.folder)), load_embodiment("r1"))
    assert found == [FEEDBACK]


STAMPS = st.builds(TimeMessage, sec=st.integers(0, 2**31 - 10), nanosec=st.integers(0, 10**9 - 1))


@given(STAMPS, STAMPS, st.integers(0, 5 * 10**9))
def test_all_stamps_move_and_missing_ones_stay(
    first: TimeMessage, second: TimeMessage, shift_ns: int
) -> None:
    def later(stamp: TimeMessage) -> int:
        return nanoseconds(stamp) + shift_ns if nanoseconds(stamp) else 0

    joints = JointState(name=["a"])
    joints.header.stamp = first
    joints.header.frame_id = "f"
    moved = deserialize_message(
        with_later_stamps(JointState, serialize_message(joints), shift_ns), JointState
    )
    assert nanoseconds(moved.header.stamp) == later(first)
    assert (moved.name, moved.header.frame_id) == (["a"], "f")
    tree = TFMessage(transforms=[TransformStamped(), TransformStamped()])
    tree.transforms[0].header.stamp, tree.transforms[1].header.stamp = first, second
    data = with_later_stamps(TFMessage, serialize_message(tree), shift_ns)
    got = [nanoseconds(t.header.stamp) for t in deserialize_message(data, TFMessage).transforms]
    assert got == [later(first), later(second)]
    text = serialize_message(String(data="x"))
    assert with_later_stamps(String, text, shift_ns) == text


def test_what_contradicts_itself_is_one_clear_line(ros: Harness) -> None:
    bag = str(bag_of(ros.folder))
    for parameters, said in (
        ({"loop": True}, "parameter loop: is for sensors only"),
        ({"clock": True, "commands": False, "use_sim_time": True}, "parameter clock"),
        ({"commands": False, "stamps": "yesterday"}, "no kind of stamps 'yesterday'"),
    ):
        process = ros.start_node("replay", {"bag": bag, **parameters})
        assert process.wait() == 1 and said in process.output, process.output
