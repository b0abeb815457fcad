"""What a CloudFuser is told, from messages; no middleware."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from brs_hardware.cameras import CameraFrame, Intrinsics
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import optical_frame
from brs_nodes import conversions
from brs_nodes.cloud_feed import CloudFeed

ROBOT = load_embodiment("r1")
CAMERAS = tuple(ROBOT.cameras)


class Listener:
    """Stands where a CloudFuser would, and remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def add_joints(self, group: str, stamp_s: float, positions: np.ndarray) -> None:
        self.told.append((group, stamp_s, positions.tolist()))

    def add_base(self, stamp_s: float, pose: np.ndarray) -> None:
        self.told.append(("base", stamp_s, np.round(pose, 6).tolist()))

    def add_frame(self, camera: str, frame: CameraFrame) -> None:
        self.told.append((camera, frame.stamp_s, frame.depth[0, 0]))


def feed_of(listener: Listener, **options: Any) -> CloudFeed:
    return CloudFeed(ROBOT, listener, CAMERAS, **{"transport": "raw", **options})  # type: ignore[arg-type]


def test_joints_are_told_in_our_order_and_grippers_by_how_far_they_are_closed() -> None:
    listener = Listener()
    feed = feed_of(listener)
    arm, gripper = ROBOT.left_arm, ROBOT.right_gripper
    angles = np.arange(len(arm.joints)) / 10.0
    backwards = conversions.joint_state(1.0, arm.joints[::-1], angles[::-1])
    feed.accept(arm.feedback_topic, backwards)
    half = 0.5 * (gripper.stroke_open_mm + gripper.stroke_closed_mm)
    feed.accept(gripper.feedback_topic, conversions.joint_state(2.0, ("g",), np.array([half])))
    feed.accept(gripper.feedback_topic, JointState())
    odometry = Odometry()
    odometry.header.stamp = conversions.to_time(3.0)
    odometry.pose.pose.position.x = 0.5
    odometry.pose.pose.orientation.z = odometry.pose.pose.orientation.w = np.sqrt(0.5)
    feed.accept(ROBOT.base.odometry_topic, odometry)
    assert listener.told == [
        ("left_arm", 1.0, angles.tolist()),
        ("right_gripper", 2.0, [0.5]),
        ("base", 3.0, [0.5, 0.0, round(np.pi / 2, 6)]),
    ]
    assert feed.refused == 0


@pytest.mark.parametrize(
    ("names", "count", "told"),
    [(("a",), 1, "is not in the feedback"), ((), 2, "2 joint positions, 4 expected")],
)
def test_joints_of_another_robot_are_refused_by_name_until_they_fit(
    names: tuple[str, ...], count: int, told: str
) -> None:
    listener = Listener()
    feed, torso = feed_of(listener), ROBOT.torso
    feed.accept(torso.feedback_topic, conversions.joint_state(1.0, names, np.zeros(count)))
    assert not listener.told
    assert feed.refused == 1
    assert told in feed.problems["torso"]
    feed.accept(torso.feedback_topic, conversions.joint_state(1.0, torso.joints, np.zeros(4)))
    assert not feed.problems
    assert len(listener.told) == 1


def test_frames_are_matched_from_messages_or_handed_over_at_the_rate_of_clouds() -> None:
    listener = Listener()
    feed = feed_of(listener)
    place = (1.0, "head_camera_optical_frame")
    lens = Intrinsics(4, 3, 5.0, 5.0, 1.5, 1.0)
    depth = np.full((3, 4), 0.5, np.float32)
    base = "camera/head"
    feed.accept(f"{base}/camera_info", conversions.camera_info(*place, lens))
    feed.accept(f"{base}/depth/image_raw", conversions.depth_image(*place, depth))
    picture = conversions.color_image(*place, np.zeros((3, 4, 3), np.uint8))
    feed.accept(f"{base}/color/image_raw", picture)
    assert listener.told == [("head", 1.0, 0.5)]

    own = feed_of(listener, transport=None, cloud_hz=10.0)
    assert not any(topic.startswith("camera/") for topic in own.topics)
    listener.told.clear()
    for i in range(60):
        frame = CameraFrame(i / 30, np.zeros((3, 4, 3), np.uint8), depth, lens, i)
        own.add_frame("left_wrist", frame)
    assert len(listener.told) == 20


def test_an_unknown_transport_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown transport 'compresed'.*compressed"):
        feed_of(Listener(), transport="compresed")


def test_poor_pictures_that_come_by_topics_are_used_and_told() -> None:
    listener = Listener()
    feed = feed_of(listener)
    pinhole = Intrinsics(128, 96, 90.0, 90.0, 63.5, 47.5)
    dark, depth = np.zeros((96, 128, 3), np.uint8), np.ones((96, 128), np.float32)
    for i in range(40):
        place = (1.0 + i / 15, optical_frame("head"))
        feed.accept("camera/head/camera_info", conversions.camera_info(*place, pinhole))
        feed.accept("camera/head/color/image_raw", conversions.color_image(*place, dark))
        feed.accept("camera/head/depth/image_raw", conversions.depth_image(*place, depth))
        feed.judge()
    assert len(listener.told) == 40
    assert [line.split(":")[0] for line in feed.poor_pictures()] == ["head"]
    assert "is dark" in feed.poor_pictures()[0]
