"""What the page is given of an episode is what was recorded, also where the bag is damaged."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from ml.dataset.synthetic_episodes import (
    Recipe,
    command_at,
    picture_at,
    proprioception_at,
    record,
)
from PIL import Image
from view_samples import DELAY_NS, START_NS, SampleBag, cloud, image, state

from brs_cli.browser.contents import Contents, read_contents
from brs_cli.browser.findings import Findings
from brs_cli.browser.library import CLOUD, Library, labels_of, packed, row_of
from brs_cli.browser.pictures import Pictures
from brs_cli.browser.shapes import drawing_of
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics
from brs_ml.episode import EpisodeError
from brs_ml.episode.edit import mark
from brs_ml.episode.store import EpisodeStore
from brs_ml.quality import report
from brs_ml.quality.findings import Finding

ROBOT = load_embodiment("r1")
STATE = "brs_interfaces/msg/WholeBodyState"
SAFETY, TASK = "brs_interfaces/msg/SafetyState", "brs_interfaces/msg/TaskState"


def column(contents: Contents, panel: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    samples = getattr(contents.panels[panel], kind)
    return np.array(samples.times_s), np.array(samples.rows)


def test_curves_are_the_recorded_numbers_at_their_times(tmp_path: Path) -> None:
    contents = read_contents(record(tmp_path / "a", Recipe(seconds=2.0)), ROBOT)
    parts = {"base": slice(0, 3), "torso": slice(3, 7), "left_arm": slice(7, 13)}
    parts |= {"grippers": [13, 20], "right_arm": slice(14, 20)}
    assert contents.duration_s == pytest.approx(1.99, abs=0.02)
    for name, part in parts.items():
        for kind, truth in (("measured", proprioception_at), ("commanded", command_at)):
            times_s, rows = column(contents, name, kind)
            # Stamps are 2 ms before reception, and time 0 is the first message's reception.
            expected = np.array([truth(time_s + 0.002)[part] for time_s in times_s])
            np.testing.assert_allclose(rows, expected, atol=1e-6)
            # 100 a second are thinned out to 25.
            assert len(times_s) == pytest.approx(50, abs=3)
    headings = np.array(contents.base_poses.rows)[:, 2]
    assert headings[-1] > math.pi, "a heading that passes pi goes on"


def test_a_heading_that_is_told_between_minus_pi_and_pi_makes_no_jump(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    for step in range(20):
        yaw = (3.0 + 0.05 * step + math.pi) % math.tau - math.pi
        bag.put("/robot/state", STATE, step * 0.05, state(0.0, (0.0, 0.0, yaw)))
    headings = np.array(read_contents(bag.finish(), ROBOT).base_poses.rows)[:, 2]
    assert np.ptp(np.diff(headings)) < 1e-6


def test_pictures_are_read_where_they_stand(tmp_path: Path) -> None:
    path = record(tmp_path / "a", Recipe(seconds=2.0))
    contents = read_contents(path, ROBOT)
    # Room for few, so that they are read again and again.
    pictures = Pictures(path, contents.cameras, kept_bytes=3_000)
    for camera in ("head", "wrist"):
        times_s = contents.cameras[camera].times_s
        assert len(times_s) == 30
        for number in (0, 29, 7, 8, 28, 1):
            data, kind = pictures.get(camera, number)
            shown = np.asarray(Image.open(io.BytesIO(data))).astype(float)
            truth = picture_at(times_s[number] + 0.002, camera).astype(float)
            assert kind == "image/jpeg"
            assert np.abs(shown - truth).max() < 8
    for camera, number in (("tail", 0), ("head", -1), ("head", 30)):
        with pytest.raises(EpisodeError, match="no picture"):
            pictures.get(camera, number)


def test_events_come_once_when_they_begin(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    for step in range(10):
        time_s = step * 0.1
        bag.put("/robot/state", STATE, time_s, state(0.0))
        events = [
            {"rule": "command_stale", "severity": 2, "part": "", "message": f"{step} s old"},
            {"rule": "joint_limit", "severity": 1, "part": "torso_joint1", "message": "at limit"},
        ]
        bag.put("/robot/safety", SAFETY, time_s, {"events": events[: 2 if step < 5 else 0]})
        bag.put("/sim/task", TASK, time_s, {"subtasks": ["one", "two"], "done": [step > 6, False]})
    events = read_contents(bag.finish(), ROBOT).events
    assert [(e.kind, e.level, e.text) for e in events] == [
        ("safety", "ERROR", "command_stale: 0 s old"),
        ("safety", "WARN", "joint_limit torso_joint1: at limit"),
        ("task", "INFO", "one done"),
    ]
    assert events[2].time_s == pytest.approx(0.7 - DELAY_NS * 1e-9)


def test_clouds_and_moving_boxes(tmp_path: Path) -> None:
    points = np.array([[0.5, 0.1, 0.2], [1.0, -0.5, 0.4]], np.float32)
    colors = np.array([[255, 0, 10], [3, 200, 0]], np.uint8)
    bag = SampleBag(tmp_path)
    bag.put("/robot/state", STATE, 0.0, state(0.0))
    bag.put("/perception/cloud", "sensor_msgs/msg/PointCloud2", 0.1, cloud(points, colors))
    for x in (0.0, 1.0):
        pose = {"position": {"x": x, "y": 2.0, "z": 0.5}, "orientation": {"w": 1.0}}
        cube = {"ns": "box", "id": 3, "type": 1, "pose": pose}
        cube |= {"scale": {"x": 0.1, "y": 0.2, "z": 0.3}, "color": {"r": 1.0, "a": 1.0}}
        # An array has no header; an empty one must do no harm.
        for markers in ([cube], []):
            bag.put("/sim/objects", "visualization_msgs/msg/MarkerArray", x, {"markers": markers})
    path = bag.finish()
    contents = read_contents(path, ROBOT)
    assert contents.problems == []
    assert contents.cloud is not None
    data, _ = Pictures(path, {CLOUD: contents.cloud}).get(CLOUD, 0)
    np.testing.assert_array_equal(np.frombuffer(data[:24], "<f4").reshape(2, 3), points)
    np.testing.assert_array_equal(np.frombuffer(data[24:], np.uint8).reshape(2, 3), colors)
    box = contents.boxes["box 3"]
    assert box.size == pytest.approx((0.1, 0.2, 0.3))
    assert [row[0] for row in box.poses.rows] == [0.0, 1.0]


def test_without_the_robot_node_the_vendors_feedback_is_shown(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    joints = ROBOT.left_arm.joints
    for step in range(5):
        # In an order of the vendor's own.
        fields = {"name": list(reversed(joints)), "position": [6.0, 5.0, 4.0, 3.0, 2.0, step]}
        bag.put("/hdas/feedback_arm_left", "sensor_msgs/msg/JointState", step * 0.1, fields)
    _, rows = column(read_contents(bag.finish(), ROBOT), "left_arm", "measured")
    np.testing.assert_array_equal(rows, [[step, 2, 3, 4, 5, 6] for step in range(5)])


def test_what_is_malformed_is_a_line_and_the_rest_is_shown(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    few = {**state(0.0), "torso": {"position": [0.0, 0.0]}}
    bag.put("/robot/state", STATE, 0.0, state(0.0))
    bag.put("/robot/state", STATE, 0.1, few)
    bag.put("/robot/state", STATE, 0.2, state(1.0))
    pixels = np.zeros((4, 4), np.uint16)
    bag.put("/camera/head/color/image_raw", "sensor_msgs/msg/Image", 0.2, image(pixels, "16UC1"))
    path = bag.finish()
    contents = read_contents(path, ROBOT)
    assert len(contents.panels["torso"].measured.rows) == 2
    assert contents.problems == ["/robot/state: torso has 4 numbers, the message 2"]
    with pytest.raises(EpisodeError, match="damaged"):
        Pictures(path, contents.cameras).get("head", 0)


def test_a_torn_bag_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = record(tmp_path / "a", Recipe(seconds=2.0))
    bag = path / "a_0.mcap"
    bag.write_bytes(bag.read_bytes()[: bag.stat().st_size // 2])
    contents = read_contents(path, ROBOT)
    assert "torn" in contents.problems[0]
    assert 0.3 < contents.duration_s < 1.9
    assert len(contents.panels["torso"].measured.rows) > 5


def test_numbers_that_are_none_leave_gaps_in_valid_json(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    bag.put("/robot/state", STATE, 0.0, {**state(0.0), "base_velocity": [math.nan, math.inf, 1.0]})
    sent = packed(read_contents(bag.finish(), ROBOT))
    base = next(panel for panel in sent["panels"] if panel["key"] == "base")
    assert base["measured"]["columns"] == [[None], [None], [1.0]]
    json.dumps(sent, allow_nan=False)


def test_the_library_reads_an_episode_once_and_refuses_what_is_outside(tmp_path: Path) -> None:
    root = tmp_path / "set"
    record(root / "a", Recipe(seconds=0.3))
    record(tmp_path / "b", Recipe(seconds=0.3))
    library = Library(EpisodeStore(root), "r1")
    shares: list[float] = []
    first = library.open("a", shares.append)
    assert shares
    assert library.open("a") is first
    with pytest.raises(EpisodeError):
        library.open("../b")


def test_marks_are_told_in_the_time_of_the_curves(tmp_path: Path) -> None:
    drivers = (("teleop", 0.2, 0.5),)
    path = record(tmp_path / "a", Recipe(seconds=1.0, drivers=drivers))
    mark(path, 0.5, "grasp")
    entry = EpisodeStore(tmp_path).entry("a")
    labels = labels_of(entry.info, read_contents(path, ROBOT).start_ns)
    assert labels["marks"] == [{"name": "grasp", "time": pytest.approx(0.5, abs=1e-3)}]
    # Its spans are stamps; time 0 is the first reception, 2 ms later.
    spans = [{"source": "teleop", "start": pytest.approx(0.198), "stop": pytest.approx(0.498)}]
    assert labels["drivers"] == spans
    length = entry.info.changed(start_ns=START_NS, stop_ns=START_NS + 10**9)
    row = row_of(dataclasses.replace(entry, info=length), None)
    assert (row["success"], row["drivers"], row["findings"]) == ("success", "teleop 30%", None)


def test_the_findings_are_those_of_the_check(tmp_path: Path) -> None:
    found = Finding("a", "lost", "warning", "/odom", "3 messages")
    both = Finding("a", "outlier", "warning", "", "twice as long")
    episodes = (report.EpisodeReport("a", (found,)), report.EpisodeReport("b", ()))
    path = tmp_path / "report.json"
    report.write_json(report.Report("set", episodes, (both,)), path)
    findings = Findings.of(path)
    assert [findings.count(name) for name in ("a", "b", "c")] == [2, 0, None]
    assert findings.lines("a")[0] == "warning: lost: /odom 3 messages"
    assert Findings().count("a") is None
    path.write_text("[]")
    with pytest.raises(ConfigError, match="no quality report"):
        Findings.of(path)


@pytest.mark.parametrize("name", ["r1", "r1_pro", "r1_lite"])
def test_joints_are_drawn_where_the_kinematics_have_them(name: str) -> None:
    robot = load_embodiment(name)
    drawing = drawing_of(robot)
    assert drawing.left_out == 0
    assert 0.0 < drawing.height_m < 0.2
    random = np.random.default_rng(1)
    joints = {
        group: random.uniform(robot.group(group).lower, robot.group(group).upper)
        for group in robot.GROUPS
    }
    angles = {
        joint: angle
        for group, values in joints.items()
        for joint, angle in zip(robot.group(group).joints, values, strict=True)
    }
    poses = {drawing.root: np.eye(4)}
    for joint in drawing.joints:
        place = np.eye(4)
        x, y, z = joint.axis
        skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        q = angles.get(joint.name, 0.0)
        # As the player does it: Rodrigues' formula behind the joint's own rotation.
        turn = np.eye(3) + math.sin(q) * skew + (1 - math.cos(q)) * skew @ skew
        place[:3, :3], place[:3, 3] = joint.rotation @ turn, joint.position
        poses[joint.child] = poses[joint.parent] @ place
    links = tuple(link for link in poses if link != drawing.root and "camera" not in link)
    truth = Kinematics(robot).poses(("base_link", *links), joints)
    from_base = np.linalg.inv(poses["base_link"])
    for link in links:
        np.testing.assert_allclose(from_base @ poses[link], truth[link], atol=1e-6)
