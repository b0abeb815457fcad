"""The perception node: clouds of what is there, from cameras that come, go and send nonsense."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brs_interfaces.msg import CloudState
from diagnostic_msgs.msg import DiagnosticArray
from harness import LATCHED, Harness
from rclpy.qos import qos_profile_sensor_data as SENSOR
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState, PointCloud2

from brs_hardware.cameras import CameraFrame, Intrinsics
from brs_hardware.collision_config import load_collision_config
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics
from brs_hardware.perception.cloud import PointCloud
from brs_hardware.perception.config import load_cloud
from brs_hardware.perception.fuser import CloudFuser
from brs_ml.episode import EpisodeReader
from brs_nodes import conversions
from brs_nodes.camera_topics import CameraPublisher, Rates
from brs_nodes.cloud_feed import CloudFeed
from brs_nodes.cloud_messages import cloud_from_message
from brs_sim.tasks.shelves import TABLE_CENTRE, TABLE_SIZE

ROBOT = load_embodiment("r1")
CAMERAS = tuple(ROBOT.cameras)
SIZE = (48, 64)
LENS = Intrinsics(SIZE[1], SIZE[0], 60.0, 60.0, 31.5, 23.5)
PERIOD_S = 0.05


class Robot:
    """Joints and cameras at rest in front of nothing but a slope, sent by the test itself."""

    def __init__(self, ros: Harness) -> None:
        self._publishers = {
            name: CameraPublisher(ros.node, name, Rates(compressed_hz=1000.0)) for name in CAMERAS
        }
        self._joints = {
            name: ros.node.create_publisher(JointState, ROBOT.group(name).feedback_topic, SENSOR)
            for name in ROBOT.GROUPS
        }
        self.sending, self.feels_joints = set(CAMERAS), True
        self._numbers = itertools.count()
        self._due_s = 0.0

    def tick(self) -> None:
        """Joints at each call, frames each 50 ms."""
        now = time.time()
        for name, publisher in self._joints.items():
            group = ROBOT.group(name)
            pose = ROBOT.poses["ready"][name]
            if self.feels_joints:
                publisher.publish(conversions.joint_state(now, group.joints, pose))
        if now < self._due_s:
            return
        self._due_s = now + PERIOD_S
        for name in self.sending:
            self._publishers[name].publish(frame(now, next(self._numbers)))


def frame(stamp_s: float, number: int) -> CameraFrame:
    rows = np.linspace(0.6, 0.9, SIZE[0], dtype=np.float32)
    depth = np.repeat(rows[:, None], SIZE[1], axis=1)
    color = np.full((*SIZE, 3), [200, number % 256, 30], np.uint8)
    return CameraFrame(stamp_s, color, depth, LENS, number)


def reason(state: CloudState, camera: str) -> str:
    """Why a camera is not in a cloud; empty if it is."""
    return dict(zip(state.left_out, state.reasons, strict=True)).get(camera, "")


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_a_camera_that_dies_leaves_a_cloud_of_the_rest_and_comes_back(
    ros: Harness, transport: str
) -> None:
    node = ros.start_node("perception", {"transport": transport})
    clouds = ros.collect(PointCloud2, "perception/cloud", SENSOR)
    states = ros.collect(CloudState, "perception/state", LATCHED)
    robot = Robot(ros)

    def made_of(*cameras: str) -> Callable[[], bool]:
        return lambda: bool(states) and set(states[-1].cameras) == set(cameras)

    ros.wait_for(made_of(*CAMERAS), "a cloud of all cameras", 90.0, tick=robot.tick)
    assert states[-1].left_out == [] and states[-1].points > 0
    robot.sending.remove("head")
    ros.wait_for(made_of("left_wrist", "right_wrist"), "a cloud of the rest", tick=robot.tick)
    assert reason(states[-1], "head").startswith("no frame for")
    before = len(clouds)
    ros.wait_for(lambda: len(clouds) > before + 5, "that it goes on", tick=robot.tick)
    robot.sending.add("head")
    ros.wait_for(made_of(*CAMERAS), "the head camera back", tick=robot.tick)

    # Nobody: no cloud is made, and that is told.
    robot.sending.clear()
    ros.wait_for(made_of(), "the word that there is no cloud", tick=robot.tick)
    assert set(states[-1].left_out) == set(CAMERAS)
    last = clouds[-1].header.stamp
    assert conversions.to_seconds(last) < time.time() - 0.5, "nothing old is given as new"
    robot.sending |= set(CAMERAS)
    ros.wait_for(made_of(*CAMERAS), "all cameras back", tick=robot.tick)
    newest = cloud_from_message(clouds[-1])
    assert clouds[-1].header.frame_id == "base_link"
    assert np.abs(newest.colors[:, 0].astype(int) - 200).max() < 8, "red is red"
    assert node.running


def test_frames_of_others_half_frames_and_missing_joints_are_told_by_name(ros: Harness) -> None:
    node = ros.start_node("perception")
    states = ros.collect(CloudState, "perception/state", LATCHED)
    health = ros.collect(DiagnosticArray, "/diagnostics")
    robot = Robot(ros)
    ros.wait_for(lambda: states and states[-1].points, "a cloud", 90.0, tick=robot.tick)
    robot.sending.remove("head")
    bad = ros.node.create_publisher(Image, "camera/head/color/image_raw", SENSOR)
    depths = ros.node.create_publisher(Image, "camera/head/depth/image_raw", SENSOR)

    def send(frame_id: str, pixels: np.ndarray, keep: int = 1) -> Callable[[], None]:
        def tick() -> None:
            robot.tick()
            now = time.time()
            picture = conversions.color_image(now, frame_id, pixels)
            picture.data = picture.data[: len(picture.data) // keep]
            bad.publish(picture)
            depths.publish(
                conversions.depth_image(
                    now, "head_camera_optical_frame", np.ones(pixels.shape[:2], np.float32)
                )
            )

        return tick

    whole = np.zeros((*SIZE, 3), np.uint8)
    for tick, told in (
        (
            send("left_wrist_camera_optical_frame", whole),
            "frame 'left_wrist_camera_optical_frame'",
        ),
        (send("head_camera_optical_frame", whole[::2, ::2].copy()), "32x24 colour"),
        (send("head_camera_optical_frame", whole, keep=2), "bytes for 64x48"),
    ):
        ros.wait_for(lambda told=told: told in reason(states[-1], "head"), told, tick=tick)
        assert "head: " in reason(states[-1], "head")
        assert set(states[-1].cameras) == {"left_wrist", "right_wrist"}, "the cloud goes on"
    ros.wait_for(
        lambda: health and "bytes for 64x48" in health[-1].status[0].message,
        "the diagnostics",
        tick=send("head_camera_optical_frame", whole, keep=2),
    )
    assert health[-1].status[0].level == b"\x01"
    robot.sending.add("head")
    ros.wait_for(lambda: len(states[-1].cameras) == 3, "all well again", tick=robot.tick)
    ros.wait_for(lambda: "head: well again" in node.output, "a line that says so")

    robot.feels_joints = False
    ros.wait_for(lambda: not states[-1].cameras, "no cloud without joints", tick=robot.tick)
    assert reason(states[-1], "head").startswith("torso: ended"), states[-1]
    robot.feels_joints = True
    ros.wait_for(lambda: len(states[-1].cameras) == 3, "a cloud again", tick=robot.tick)


def test_the_live_cloud_has_the_table_and_not_the_robot_and_a_bag_gives_the_same_clouds(
    ros: Harness,
) -> None:
    ros.start_node("r1_sim", {"camera_hz": 10.0})
    ros.start_node("perception", {"cloud": "shelves"})
    recorder = ros.start_node(
        "recorder", {"folder": str(ros.folder / "episodes"), "clouds": True, "auto_start": True}
    )
    clouds = ros.collect(PointCloud2, "perception/cloud", SENSOR)
    states = ros.collect(CloudState, "perception/state", LATCHED)
    joints = {
        name: ros.collect(JointState, ROBOT.group(name).feedback_topic, SENSOR)
        for name in ROBOT.GROUPS
    }
    arm = ros.node.create_publisher(JointState, ROBOT.left_arm.command_topic, 1)
    began_s = time.monotonic()

    def wave() -> None:
        """So that every cloud has joints of its own."""
        pose = ROBOT.poses["ready"]["left_arm"].copy()
        pose[0] -= 0.4 * (1.0 - np.cos(time.monotonic() - began_s))
        arm.publish(conversions.joint_state(time.time(), ROBOT.left_arm.joints, pose))

    ros.wait_for(lambda: states and len(states[-1].cameras) == 3, "three cameras", 90.0, tick=wave)
    before = len(clouds)
    ros.wait_for(lambda: len(clouds) > before + 20, "clouds", tick=wave)
    seen = cloud_from_message(clouds[-1])
    assert 1000 < len(seen) <= 4096
    stamp_s = conversions.to_seconds(clouds[-1].header.stamp)
    then = {
        name: np.array(
            min(
                heard, key=lambda m: abs(conversions.to_seconds(m.header.stamp) - stamp_s)
            ).position
        )
        for name, heard in joints.items()
    }
    assert own_points(seen, then) == 0
    top = np.array([*TABLE_CENTRE, TABLE_SIZE[2] + load_collision_config(ROBOT).floor_height_m])
    on_table = np.abs(seen.points - top) < [0.3, 0.6, 0.01]
    assert on_table.all(axis=1).sum() > 200, "the table's top is there, level and in its place"
    recorder.stop()
    ros.wait_for(lambda: not recorder.running, "the end of the recording")
    (bag,) = (ros.folder / "episodes").glob("*/")
    live, again = replayed(bag)
    common = live.keys() & again.keys()
    # Where a wait ran out in one of the two, their clouds are of other frames.
    assert len(common) > 5
    for key in common:
        assert np.array_equal(live[key].points, again[key].points), key
        assert np.array_equal(live[key].colors, again[key].colors), key


def own_points(cloud: PointCloud, joints: dict[str, np.ndarray]) -> int:
    """How many points lie within 4 cm of the middle of a link of the robot."""
    kinematics = Kinematics(ROBOT)
    poses = kinematics.poses(kinematics.links, joints)
    places = np.array([pose[:3, 3] for link, pose in poses.items() if "camera" not in link])
    ways = cloud.points[:, None] - places[None]
    return int((np.linalg.norm(ways, axis=2).min(axis=1) < 0.04).sum())


Key = tuple[int, int, tuple[str, ...]]


def replayed(bag: Path) -> tuple[dict[Key, PointCloud], dict[Key, PointCloud]]:
    """A bag's clouds as they were, and made again of its other topics.

    Each goes by the stamps of its newest and its oldest frame, and its cameras.
    """
    fuser = CloudFuser(ROBOT, load_cloud("shelves"))
    feed = CloudFeed(ROBOT, fuser, CAMERAS, "raw")
    kinds = {f"/{topic.lstrip('/')}": (topic, kind) for topic, (kind, _) in feed.topics.items()}
    clouds: dict[int, PointCloud] = {}
    live: dict[Key, PointCloud] = {}
    again: dict[Key, PointCloud] = {}
    topics = [*kinds, "/perception/cloud", "/perception/state"]
    for message in EpisodeReader(bag).messages(topics):
        if message.topic == "/perception/cloud":
            cloud = deserialize_message(message.data, PointCloud2)
            clouds[nanoseconds(cloud.header.stamp)] = cloud_from_message(cloud)
        elif message.topic == "/perception/state":
            state = deserialize_message(message.data, CloudState)
            stamp = nanoseconds(state.header.stamp)
            if stamp in clouds:
                key = (stamp, nanoseconds(state.oldest), tuple(state.cameras))
                live[key] = clouds[stamp]
        else:
            topic, kind = kinds[message.topic]
            feed.accept(topic, deserialize_message(message.data, kind))
            fused = fuser.step(message.log_time_ns * 1e-9)
            if fused is not None:
                ends = (conversions.to_time(s) for s in (fused.stamp_s, fused.oldest_s))
                newest, oldest = map(nanoseconds, ends)
                again[newest, oldest, fused.cameras] = fused.cloud
    assert feed.refused == 0
    return live, again


def nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
