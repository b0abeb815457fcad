"""The description node: a late joiner sees the robot, moved as it is, and lost parts vanish."""

from __future__ import annotations

import math
import time
from typing import Any

import mujoco
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from harness import LATCHED, Harness
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import optical_frame
from brs_hardware.transforms import TransformBuffer, TransformError
from brs_nodes import conversions
from brs_nodes.conversions import to_seconds
from brs_nodes.tf_messages import put_transforms
from brs_sim.model import BASE_JOINTS
from brs_sim.world import World

pytestmark = pytest.mark.system
ROBOT = load_embodiment("r1")
# Of ROS 2's own package, as it stands in the metadata of anybody's bag.
TF_HASH = "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"


class SimulatedHead:
    """Where the simulator puts the head camera."""

    def __init__(self) -> None:
        self.model = World(ROBOT).model
        self.data = mujoco.MjData(self.model)

    def pose(self, base: np.ndarray, torso: np.ndarray) -> np.ndarray:
        """Pose (4, 4) in odom, which lies at the height of base_link."""
        names = (*BASE_JOINTS, *ROBOT.torso.joints)
        for name, value in zip(names, (*base, *torso), strict=True):
            self.data.joint(name).qpos[0] = value
        mujoco.mj_forward(self.model, self.data)
        pose = np.eye(4)
        # MuJoCo's cameras look along -z with y up.
        pose[:3, :3] = self.data.cam("head").xmat.reshape(3, 3) @ np.diag([1, -1, -1])
        pose[:3, 3] = self.data.cam("head").xpos
        pose[2, 3] -= self.data.body("base_link").xpos[2]
        return pose


def test_a_late_joiner_sees_the_camera_where_the_simulator_has_it(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 0.0, "use_sim_time": True})
    ros.start_node("description", {"use_sim_time": True})
    moving = ros.collect(TFMessage, "/tf")
    ros.wait_for(lambda: moving, "transforms")
    static = ros.collect(TFMessage, "/tf_static", LATCHED)
    descriptions = ros.collect(String, "robot_description", LATCHED)
    ros.wait_for(lambda: static and descriptions, "what was published before")
    assert descriptions[0].data == ROBOT.urdf_path.read_text()
    (publisher,) = ros.node.get_publishers_info_by_topic("/tf")
    assert str(publisher.topic_type_hash) == TF_HASH

    joints = ros.collect(JointState, "joint_states")
    torso = ros.collect(JointState, ROBOT.torso.feedback_topic, SENSOR)
    odometry = ros.collect(Odometry, ROBOT.base.odometry_topic, SENSOR)
    lean = ros.node.create_publisher(JointState, ROBOT.torso.command_topic, 1)
    drive = ros.node.create_publisher(TwistStamped, ROBOT.base.command_topic, 1)

    def move() -> None:
        """Gently from standstill: between two samples the way is taken as straight."""
        elapsed_s = 0.0
        if torso:
            elapsed_s = to_seconds(torso[-1].header.stamp) - to_seconds(torso[0].header.stamp)
        angles = 0.15 * (1.0 - math.cos(1.5 * elapsed_s)) * np.array([1.0, -1.0, -1.0, 2.0])
        lean.publish(conversions.joint_state(0.0, ROBOT.torso.joints, angles))
        twist = TwistStamped()
        twist.twist.linear.x = -0.2 * min(elapsed_s, 1.0)
        twist.twist.angular.z = 0.3 * min(elapsed_s, 1.0)
        drive.publish(twist)

    ros.wait_for(lambda: len(odometry) > 150, "three seconds of driving", tick=move)

    buffer = TransformBuffer(max_gap_s=0.045)
    put_transforms(buffer, static[0], static=True)
    for message in moving:
        put_transforms(buffer, message, static=False)
    head, errors_m, turns, places = SimulatedHead(), [], [], []
    angles_at = {to_seconds(m.header.stamp): np.array(m.position) for m in torso}
    for message in odometry:
        stamp_s, base = to_seconds(message.header.stamp), message.pose.pose
        yaw = 2.0 * math.atan2(base.orientation.z, base.orientation.w)
        try:
            seen = buffer.lookup("odom", optical_frame("head"), stamp_s)
        except TransformError:
            continue  # before the first or after the last, or a busy machine left a gap
        if stamp_s not in angles_at:
            continue
        place = np.array([base.position.x, base.position.y, yaw])
        truth = head.pose(place, angles_at[stamp_s])
        errors_m.append(np.linalg.norm(seen[:3, 3] - truth[:3, 3]))
        turns.append(np.arccos(min(1.0, (np.trace(seen[:3, :3].T @ truth[:3, :3]) - 1) / 2)))
        places.append(truth[:3, 3])
    assert len(errors_m) > 30
    assert np.ptp(places, axis=0).max() > 0.1, "it moved"
    assert max(errors_m) < 0.001 and max(turns) < 0.002
    assert [frame for frame, parent in buffer.frames.items() if not parent] == ["odom"]
    assert {*ROBOT.torso.joints, "steer_motor_joint1"} <= set(joints[-1].name)


def test_parts_without_feedback_vanish_and_garbage_is_refused(ros: Harness) -> None:
    node = ros.start_node(
        "description", {"frame_prefix": "left/", "timeout_s": 0.3}, namespace="left"
    )
    moving = ros.collect(TFMessage, "/tf")
    joints = ros.collect(JointState, "left/joint_states")
    health = ros.collect(DiagnosticArray, "/diagnostics")
    parts: dict[str, Any] = {name: ROBOT.group(name) for name in ROBOT.GROUPS}
    parts |= {name: ROBOT.gripper(name) for name in ROBOT.GRIPPERS}
    topics = {
        name: ros.node.create_publisher(JointState, f"left/{part.feedback_topic}", SENSOR)
        for name, part in parts.items()
    }
    bad = {"torso": np.array([0.0, math.nan, 0.0, 0.0]), "left_arm": np.zeros(2)}

    def give(*left_out: str, malformed: bool = False) -> None:
        for name, publisher in topics.items():
            values = np.zeros(len(parts[name].joints))
            if malformed:
                values = bad.get(name, values)
            if name not in left_out:
                publisher.publish(conversions.joint_state(time.time(), (), values))

    def told() -> set[str]:
        return {entry.child_frame_id for m in moving[-3:] for entry in m.transforms}

    def says(text: str) -> bool:
        return any(text in status.message for array in health[-2:] for status in array.status)

    ros.wait_for(lambda: "left/torso_link4" in told(), "the torso", tick=give)
    ros.wait_for(lambda: says("joints"), "good health", tick=give)
    assert all(m.header.frame_id.startswith("left/") for t in moving for m in t.transforms)

    ros.wait_for(lambda: says("no feedback of torso"), "the warning", tick=lambda: give("torso"))
    moving.clear()
    joints.clear()
    ros.wait_for(lambda: len(moving) > 5, "the others", tick=lambda: give("torso"))
    ros.wait_for(lambda: joints, "joints", tick=lambda: give("torso"))
    assert not any("torso" in frame for frame in told())
    assert not any("torso" in name for name in joints[-1].name)
    assert "left/left_arm_link1" in told()

    ros.wait_for(
        lambda: says("no feedback of torso, left_arm"),
        "the refusal of garbage",
        tick=lambda: give(malformed=True),
    )
    assert node.output.count("torso_joint2 is not a number") == 1
    assert node.output.count("2 joint positions, 6 expected") == 1
    ros.wait_for(lambda: "left/torso_link4" in told(), "the torso again", tick=give)
