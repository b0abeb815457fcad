"""Frames of a robot against a walk through its URDF, and what happens when feedback ends."""

from __future__ import annotations

import dataclasses
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.config import config_folder
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import optical_frame
from brs_hardware.robot_frames import RobotFrames, Transforms, urdf_text
from brs_hardware.transforms import TransformBuffer, to_matrix

ROBOTS = sorted(path.stem for path in (config_folder() / "robots").glob("*.urdf"))
NOW_S = 100.0
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])
R1 = load_embodiment("r1")
FRAMES = RobotFrames(R1)  # of the tests that hypothesis repeats


def turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def walk(urdf: Path, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Pose of every link in base_link; joints that are not named stand at zero."""
    links = {"base_link": np.eye(4)}
    joints = ElementTree.parse(urdf).getroot().findall("joint")
    while joints:
        for joint in list(joints):
            parent = joint.find("parent").attrib["link"]
            if parent not in links:
                continue
            pose = np.eye(4)
            origin = joint.find("origin").attrib
            pose[:3, 3] = [float(x) for x in origin.get("xyz", "0 0 0").split()]
            roll, pitch, yaw = (float(x) for x in origin.get("rpy", "0 0 0").split())
            x, y, z = np.eye(3)
            pose[:3, :3] = turn(z, yaw) @ turn(y, pitch) @ turn(x, roll)
            value, motion = values.get(joint.attrib["name"], 0.0), np.eye(4)
            if joint.attrib["type"] != "fixed":
                axis = np.array([float(x) for x in joint.find("axis").attrib["xyz"].split()])
                if joint.attrib["type"] == "prismatic":
                    motion[:3, 3] = value * axis
                else:
                    motion[:3, :3] = turn(axis, value)
            links[joint.find("child").attrib["link"]] = links[parent] @ pose @ motion
            joints.remove(joint)
    return links


def put(buffer: TransformBuffer, told: Transforms) -> None:
    rows = zip(
        told.parents, told.children, told.stamps_s, told.positions, told.quaternions, strict=True
    )
    for parent, child, stamp_s, position, quaternion in rows:
        if math.isnan(stamp_s):
            buffer.set_static(parent, child, to_matrix(position, quaternion))
        else:
            buffer.add(parent, child, stamp_s, to_matrix(position, quaternion))


def give_all(frames: RobotFrames, robot: Embodiment, stamp_s: float = NOW_S) -> dict[str, float]:
    """Random feedback of all parts; returns the joints by name."""
    rng = np.random.default_rng(7)
    values: dict[str, float] = {}
    for name in robot.GROUPS:
        group = robot.group(name)
        position = rng.uniform(group.lower, group.upper)
        frames.take_joints(name, stamp_s, (), position)
        values |= dict(zip(group.joints, position, strict=True))
    for name in robot.GRIPPERS:
        stroke_mm = rng.uniform(0, 90)
        frames.take_gripper(name, stamp_s, stroke_mm)
        values |= dict.fromkeys(robot.gripper(name).joints, stroke_mm / 2000)
    steering = rng.uniform(-1.5, 1.5, 3)
    frames.take_chassis(stamp_s, steering)
    return values | {f"steer_motor_joint{i + 1}": angle for i, angle in enumerate(steering)}


@pytest.mark.parametrize("name", ROBOTS)
def test_composed_frames_are_where_the_urdf_puts_the_links(name: str) -> None:
    robot = load_embodiment(name)
    frames, buffer = RobotFrames(robot), TransformBuffer()
    put(buffer, frames.static)
    values = give_all(frames, robot)
    frames.take_odometry(NOW_S, np.array([1.0, -2.0, 0.0]), np.array([0, 0, 0.6, 0.8]))
    put(buffer, frames.transforms(NOW_S))
    base = np.eye(4)
    base[:3, 3] = 1.0, -2.0, 0.0
    base[:3, :3] = turn(np.array([0, 0, 1.0]), 2 * math.asin(0.6))
    links = walk(robot.urdf_path, values)
    for link, pose in links.items():
        np.testing.assert_allclose(buffer.lookup("base_link", link, NOW_S), pose, atol=1e-7)
        np.testing.assert_allclose(buffer.lookup("odom", link, NOW_S), base @ pose, atol=1e-7)
    # One tree, in which everything hangs on odom and nothing is missing.
    assert [frame for frame, parent in buffer.frames.items() if not parent] == ["odom"]
    assert set(buffer.frames) == {"odom", *links}
    assert all(optical_frame(camera) in links for camera in robot.cameras)


def test_without_odometry_the_root_is_the_base(robot: Embodiment) -> None:
    frames, buffer = RobotFrames(robot), TransformBuffer()
    put(buffer, frames.static)
    give_all(frames, robot)
    put(buffer, frames.transforms(NOW_S))
    assert [frame for frame, parent in buffer.frames.items() if not parent] == ["base_link"]
    assert frames.lost(NOW_S) == {}


@pytest.mark.parametrize("name", ROBOTS)
def test_all_measured_joints_are_told_under_the_names_of_the_urdf(name: str) -> None:
    robot = load_embodiment(name)
    frames = RobotFrames(robot)
    values = give_all(frames, robot)
    joints = frames.joint_positions(NOW_S)
    assert joints is not None and joints.stamp_s == NOW_S
    assert dict(zip(joints.names, joints.positions, strict=True)) == pytest.approx(values)
    # A wheel's roll is not measured; the frame does not turn and the joint is not told.
    assert set(frames.unmeasured) == {f"wheel_motor_joint{i}" for i in (1, 2, 3)}


def test_joints_are_told_by_the_names_of_the_driver(robot: Embodiment) -> None:
    frames = RobotFrames(robot)
    names = robot.torso.joints
    frames.take_joints("torso", NOW_S, names[::-1], np.array([0.4, 0.3, 0.2, 0.1]))
    joints = frames.joint_positions(NOW_S)
    assert joints is not None and joints.names == names
    assert joints.positions == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_every_measurement_is_told_once_with_its_own_stamp(robot: Embodiment) -> None:
    frames = RobotFrames(robot)
    give_all(frames, robot, NOW_S - 0.2)
    frames.take_joints("torso", NOW_S, (), np.zeros(4))
    told = frames.transforms(NOW_S)
    stamps = dict(zip(told.children, told.stamps_s, strict=True))
    assert stamps["torso_link2"] == NOW_S and stamps["left_arm_link3"] == NOW_S - 0.2
    joints = frames.joint_positions(NOW_S)
    assert joints is not None and joints.stamp_s == NOW_S - 0.2, "the oldest of them"
    assert frames.transforms(NOW_S + 0.1).children == ()
    frames.take_odometry(NOW_S + 0.1, np.zeros(3), NO_TURN)
    assert frames.transforms(NOW_S + 0.1).children == ("base_link",)


def test_what_is_not_measured_any_more_is_not_told(robot: Embodiment) -> None:
    frames = RobotFrames(robot, timeout_s=0.5)
    assert frames.transforms(NOW_S).children == () and frames.joint_positions(NOW_S) is None
    assert set(frames.lost(NOW_S)) == {*robot.GROUPS, *robot.GRIPPERS}
    give_all(frames, robot)
    frames.take_odometry(NOW_S, np.zeros(3), NO_TURN)
    later_s = NOW_S + 0.75
    for name in ("torso", "right_arm"):
        frames.take_joints(name, later_s, (), np.zeros(len(robot.group(name).joints)))
    told = frames.transforms(later_s)
    assert {child.rsplit("_", 1)[0] for child in told.children} == {"torso", "right_arm"}
    joints = frames.joint_positions(later_s)
    assert joints is not None
    assert joints.names == robot.torso.joints + robot.right_arm.joints
    lost = frames.lost(later_s)
    assert set(lost) == {"left_arm", "left_gripper", "right_gripper", "wheels", "odometry"}
    assert set(lost.values()) == {"0.8 s old"}
    # Long after it, and with nothing new, nothing is left.
    assert frames.joint_positions(later_s + 9.0) is None


def test_a_stamp_ahead_of_the_clock_is_not_told(robot: Embodiment) -> None:
    frames = RobotFrames(robot)
    frames.take_joints("torso", NOW_S + 3.0, (), np.zeros(4))
    assert frames.transforms(NOW_S).children == ()
    assert frames.lost(NOW_S)["torso"] == "stamped 3.0 s ahead of the clock"
    frames.take_joints("torso", NOW_S, (), np.ones(4))
    assert len(frames.transforms(NOW_S).children) == 4, "it goes on once the clock is right"


def test_late_comers_change_nothing_but_a_clock_set_back_does(robot: Embodiment) -> None:
    frames = RobotFrames(robot)
    frames.take_joints("torso", NOW_S, (), np.ones(4))
    frames.take_joints("torso", NOW_S - 0.01, (), np.zeros(4))
    joints = frames.joint_positions(NOW_S)
    assert joints is not None and joints.positions == pytest.approx(1.0)
    frames.take_joints("torso", 1.0, (), np.zeros(4))
    joints = frames.joint_positions(1.0)
    assert joints is not None and joints.positions == pytest.approx(0.0)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["torso", "left_gripper", "wheels", "odometry"]),
    st.lists(st.floats(-3, 3), max_size=7),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_malformed_feedback_is_refused_and_changes_nothing(
    part: str, values: list[float], bad: float
) -> None:
    frames = FRAMES
    give_all(frames, R1)
    frames.take_odometry(NOW_S, np.zeros(3), NO_TURN)
    before = frames.joint_positions(NOW_S)
    wrong = np.array([bad, *values])
    with pytest.raises(ConfigError) as caught:
        if part == "torso":
            frames.take_joints(part, NOW_S + 0.1, (), wrong)
        elif part == "left_gripper":
            frames.take_gripper(part, NOW_S + 0.1, bad)
        elif part == "wheels":
            frames.take_chassis(NOW_S + 0.1, wrong)
        else:
            frames.take_odometry(NOW_S + 0.1, np.full(3, bad), NO_TURN)
    assert "\n" not in str(caught.value)
    after = frames.joint_positions(NOW_S)
    assert before is not None and after is not None
    assert after.stamp_s == before.stamp_s
    np.testing.assert_array_equal(after.positions, before.positions)


def test_wrong_counts_and_rotations_that_are_none_are_refused(robot: Embodiment) -> None:
    frames = RobotFrames(robot)
    with pytest.raises(ConfigError, match="3 joint positions, 4 expected"):
        frames.take_joints("torso", NOW_S, (), np.zeros(3))
    with pytest.raises(ConfigError, match="2 steering angles, 3 finite ones expected"):
        frames.take_chassis(NOW_S, np.zeros(2))
    with pytest.raises(ConfigError, match="the pose of the base is none"):
        frames.take_odometry(NOW_S, np.zeros(3), np.zeros(4))
    frames.take_chassis(NOW_S, np.zeros(0))  # a driver may not report them
    assert frames.joint_positions(NOW_S) is None


def test_the_description_has_cameras_where_they_were_measured_to_be(
    robot: Embodiment, tmp_path: Path
) -> None:
    assert urdf_text(robot) == robot.urdf_path.read_text()
    mount = {"position": np.array([0.07, 0.05, 0.5]), "rpy": np.array([0.02, 0.4, -0.03])}
    cameras = {**robot.cameras, "head": dataclasses.replace(robot.cameras["head"], **mount)}
    measured = dataclasses.replace(robot, cameras=cameras)
    path = tmp_path / "measured.urdf"
    path.write_text(urdf_text(measured))
    as_described, as_measured = walk(robot.urdf_path, {}), walk(path, {})
    moved = {
        link for link, pose in as_measured.items() if not np.allclose(pose, as_described[link])
    }
    assert {"head_camera_link", optical_frame("head")} <= moved
    assert all(link.startswith("head_camera") for link in moved)
    buffer = TransformBuffer()
    put(buffer, RobotFrames(measured).static)
    in_link = np.linalg.inv(as_measured["torso_link4"]) @ as_measured[optical_frame("head")]
    seen = buffer.lookup("torso_link4", optical_frame("head"), 0.0)
    np.testing.assert_allclose(seen, in_link, atol=1e-7)


@pytest.mark.parametrize("name", ROBOTS)
def test_descriptions_need_no_file_that_a_viewer_elsewhere_lacks(name: str) -> None:
    text = load_embodiment(name).urdf_path.read_text()
    meshes = [element.attrib["filename"] for element in ElementTree.fromstring(text).iter("mesh")]
    assert all(mesh.startswith("package://") for mesh in meshes)
