"""The topics by which a robot is known to brs, whoever simulates it.

The vendor's topics are those of the embodiment file. A simulator that knows joints only offers
plain topics instead, and node `external_sim` stands between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from brs_hardware.embodiment import Embodiment
from brs_sim.model import BASE_JOINTS

_GRIPPER = {"joint_state": "sensor_msgs/msg/JointState", "float32": "std_msgs/msg/Float32"}
_BASE = {
    "twist_stamped": "geometry_msgs/msg/TwistStamped",
    "twist": "geometry_msgs/msg/Twist",
}
JOINT_STATE = "sensor_msgs/msg/JointState"
JOINT_STATES = "simulator/joint_states"
POSITIONS = "simulator/position_targets"
VELOCITIES = "simulator/velocity_targets"


@dataclass(frozen=True)
class Topic:
    """One topic."""

    name: str  # relative, so that namespaces work
    kind: str  # such as sensor_msgs/msg/JointState
    told: bool  # by the robot or simulator; otherwise it listens
    latched: bool = False  # reliable and kept for late joiners; otherwise only the newest counts


def camera_topics(embodiment: Embodiment) -> tuple[Topic, ...]:
    """Colour, depth and intrinsics of every camera."""
    streams = (
        ("color/image_raw", "sensor_msgs/msg/Image"),
        ("depth/image_raw", "sensor_msgs/msg/Image"),
        ("camera_info", "sensor_msgs/msg/CameraInfo"),
    )
    return tuple(
        Topic(f"camera/{name}/{stream}", kind, told=True)
        for name in embodiment.cameras
        for stream, kind in streams
    )


def driver_topics(embodiment: Embodiment) -> tuple[Topic, ...]:
    """What the vendor's drivers and controllers tell and listen to, but for the cameras."""
    robot, vendor = embodiment, embodiment.vendor
    gripper, base = _GRIPPER[vendor.gripper_command], _BASE[vendor.base_command]
    groups = [robot.group(name) for name in robot.GROUPS]
    grippers = [robot.gripper(name) for name in robot.GRIPPERS]
    told = [group.feedback_topic for group in groups]
    told += [part.feedback_topic for part in grippers] + [robot.base.feedback_topic]
    topics = [Topic(name, JOINT_STATE, told=True) for name in told]
    topics.append(Topic(robot.base.odometry_topic, "nav_msgs/msg/Odometry", told=True))
    topics += [Topic(group.command_topic, JOINT_STATE, told=False) for group in groups]
    topics += [Topic(part.command_topic, gripper, told=False) for part in grippers]
    topics.append(Topic(robot.base.command_topic, base, told=False))
    topics.append(Topic(robot.base.brake_topic, "std_msgs/msg/Bool", told=False, latched=True))
    return tuple(topics)


def status_topics(embodiment: Embodiment) -> tuple[Topic, ...]:
    """What the vendor's drivers tell of motors, battery and remote control."""
    vendor = embodiment.vendor
    topics = [
        Topic(topic, "hdas_msg/msg/FeedbackStatus", told=True)
        for topic in vendor.status_topics.values()
    ]
    if vendor.battery is not None:
        topics.append(Topic(vendor.battery.topic, "hdas_msg/msg/Bms", told=True))
    return tuple(topics)


def servo_joints(embodiment: Embodiment) -> tuple[str, ...]:
    """Joints that go to positions: torso, arms, fingers."""
    robot = embodiment
    groups = [joint for name in robot.GROUPS for joint in robot.group(name).joints]
    return (*groups, *(joint for name in robot.GRIPPERS for joint in robot.gripper(name).joints))


def joint_topics() -> tuple[Topic, ...]:
    """Plain topics of a simulator: all joints' states, positions for the servos, and velocities
    for the base's joints (see BASE_JOINTS).
    """
    return (
        Topic(JOINT_STATES, JOINT_STATE, told=True),
        Topic(POSITIONS, JOINT_STATE, told=False),
        Topic(VELOCITIES, JOINT_STATE, told=False),
    )


def single_joint_topics(embodiment: Embodiment) -> dict[str, Topic]:
    """Joint -> topic, in place of the latter two where a simulator takes one number a topic."""
    return {
        joint: Topic(f"simulator/target/{joint}", "std_msgs/msg/Float64", told=False)
        for joint in (*BASE_JOINTS, *servo_joints(embodiment))
    }
