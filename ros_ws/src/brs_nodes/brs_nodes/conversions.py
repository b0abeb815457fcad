"""Messages to library types and back; the one place where it is done, live and from bags."""

from __future__ import annotations

import math
from array import array

import numpy as np
from brs_interfaces import msg as brs_msg
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState, Joy

from brs_hardware.cameras import Intrinsics
from brs_hardware.types import (
    JOYCON_BUTTONS,
    JointGroupState,
    JoyConSample,
    LeaderSample,
    WholeBodyCommand,
    WholeBodyState,
)


def to_time(stamp_s: float) -> Time:
    """builtin_interfaces/Time from seconds."""
    nanoseconds = round(stamp_s * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def to_seconds(time: Time) -> float:
    """Seconds from builtin_interfaces/Time."""
    return float(time.sec + time.nanosec * 1e-9)


def doubles(values: np.ndarray) -> array:
    """A float64[] field's content, without a Python object for each element."""
    return array("d", np.ascontiguousarray(values, dtype=np.float64).tobytes())


def joint_state(
    stamp_s: float,
    names: tuple[str, ...],
    position: np.ndarray,
    velocity: np.ndarray | None = None,
    effort: np.ndarray | None = None,
) -> JointState:
    """sensor_msgs/JointState from (n,) arrays [rad, rad/s, N m] (mm for gripper strokes)."""
    message = JointState(name=list(names), position=doubles(position))
    message.header.stamp = to_time(stamp_s)
    if velocity is not None:
        message.velocity = doubles(velocity)
    if effort is not None:
        message.effort = doubles(effort)
    return message


def command_to_message(command: WholeBodyCommand) -> brs_msg.WholeBodyCommand:
    message = brs_msg.WholeBodyCommand(
        source=command.source,
        base_velocity=np.asarray(command.base_velocity, dtype=np.float64),
        torso=doubles(command.torso),
        left_arm=doubles(command.left_arm),
        right_arm=doubles(command.right_arm),
        left_gripper=float(command.left_gripper),
        right_gripper=float(command.right_gripper),
    )
    message.header.stamp = to_time(command.stamp_s)
    message.header.frame_id = "base_link"
    return message


def command_from_message(message: brs_msg.WholeBodyCommand) -> WholeBodyCommand:
    return WholeBodyCommand(
        stamp_s=to_seconds(message.header.stamp),
        base_velocity=np.array(message.base_velocity),
        torso=np.array(message.torso),
        left_arm=np.array(message.left_arm),
        right_arm=np.array(message.right_arm),
        left_gripper=message.left_gripper,
        right_gripper=message.right_gripper,
        source=message.source,
    )


def _group_to_message(group: JointGroupState) -> brs_msg.JointGroupState:
    return brs_msg.JointGroupState(
        position=doubles(group.position),
        velocity=doubles(group.velocity),
        effort=doubles(group.effort),
    )


def _group_from_message(message: brs_msg.JointGroupState) -> JointGroupState:
    return JointGroupState(
        position=np.array(message.position),
        velocity=np.array(message.velocity),
        effort=np.array(message.effort),
    )


def state_to_message(state: WholeBodyState) -> brs_msg.WholeBodyState:
    message = brs_msg.WholeBodyState(
        base_pose=np.asarray(state.base_pose, dtype=np.float64),
        base_velocity=np.asarray(state.base_velocity, dtype=np.float64),
        torso=_group_to_message(state.torso),
        left_arm=_group_to_message(state.left_arm),
        right_arm=_group_to_message(state.right_arm),
        left_gripper=state.left_gripper,
        right_gripper=state.right_gripper,
    )
    message.header.stamp = to_time(state.stamp_s)
    message.header.frame_id = "base_link"
    return message


def state_from_message(message: brs_msg.WholeBodyState) -> WholeBodyState:
    return WholeBodyState(
        stamp_s=to_seconds(message.header.stamp),
        base_pose=np.array(message.base_pose),
        base_velocity=np.array(message.base_velocity),
        torso=_group_from_message(message.torso),
        left_arm=_group_from_message(message.left_arm),
        right_arm=_group_from_message(message.right_arm),
        left_gripper=message.left_gripper,
        right_gripper=message.right_gripper,
    )


def leader_to_message(sample: LeaderSample, joints: tuple[str, ...]) -> JointState:
    """Leader angles as one JointState, left arm first, under the follower's joint names."""
    return joint_state(sample.stamp_s, joints, np.concatenate([sample.left_arm, sample.right_arm]))


def leader_from_message(message: JointState, left_joints: int) -> LeaderSample:
    position = np.array(message.position)
    return LeaderSample(
        stamp_s=to_seconds(message.header.stamp),
        left_arm=position[:left_joints],
        right_arm=position[left_joints:],
    )


def joycon_to_message(side: str, sample: JoyConSample) -> Joy:
    message = Joy(
        axes=array("f", sample.stick.tolist()),
        buttons=array("i", [int(name in sample.buttons) for name in JOYCON_BUTTONS[side]]),
    )
    message.header.stamp = to_time(sample.stamp_s)
    message.header.frame_id = f"joycon_{side}"
    return message


def joycon_from_message(side: str, message: Joy) -> JoyConSample:
    names = JOYCON_BUTTONS[side]
    return JoyConSample(
        stamp_s=to_seconds(message.header.stamp),
        stick=np.array(message.axes[:2], dtype=float),
        buttons=frozenset(n for n, held in zip(names, message.buttons, strict=False) if held),
    )


def color_image(stamp_s: float, frame_id: str, color: np.ndarray) -> Image:
    """sensor_msgs/Image rgb8 from (H, W, 3) uint8."""
    height, width = color.shape[:2]
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", color.tobytes())
    message.header.stamp, message.header.frame_id = to_time(stamp_s), frame_id
    return message


def depth_image(stamp_s: float, frame_id: str, depth: np.ndarray) -> Image:
    """sensor_msgs/Image 32FC1 from (H, W) float32 [m], 0 where unknown."""
    height, width = depth.shape
    message = Image(height=height, width=width, encoding="32FC1", step=4 * width)
    message.data = array("B", depth.astype("<f4", copy=False).tobytes())
    message.header.stamp, message.header.frame_id = to_time(stamp_s), frame_id
    return message


def compressed_image(stamp_s: float, frame_id: str, kind: str, data: bytes) -> CompressedImage:
    """sensor_msgs/CompressedImage; `kind` is its format, as image_transport names it."""
    message = CompressedImage(format=kind)
    message.data = array("B", data)
    message.header.stamp, message.header.frame_id = to_time(stamp_s), frame_id
    return message


def camera_info(stamp_s: float, frame_id: str, lens: Intrinsics) -> CameraInfo:
    """sensor_msgs/CameraInfo of a pinhole."""
    message = CameraInfo(height=lens.height, width=lens.width, distortion_model="plumb_bob")
    message.d = doubles(np.array(lens.distortion))
    message.k = lens.matrix.ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([lens.matrix, np.zeros((3, 1))]).ravel()
    message.header.stamp, message.header.frame_id = to_time(stamp_s), frame_id
    return message


def planar_pose(pose: Pose) -> np.ndarray:
    """(3,) x, y [m], yaw [rad] of a pose on the floor."""
    yaw = 2.0 * math.atan2(pose.orientation.z, pose.orientation.w)
    return np.array([pose.position.x, pose.position.y, yaw])
