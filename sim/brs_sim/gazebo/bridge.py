"""The configuration of ros_gz_bridge: which topic of ROS is which of Gazebo."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from brs_hardware.embodiment import Embodiment
from brs_sim.external import contract

# Types as ros_gz_bridge pairs them.
_PAIRS = {
    "sensor_msgs/msg/Image": "gz.msgs.Image",
    "sensor_msgs/msg/CameraInfo": "gz.msgs.CameraInfo",
    "sensor_msgs/msg/JointState": "gz.msgs.Model",
    "std_msgs/msg/Float64": "gz.msgs.Double",
    "rosgraph_msgs/msg/Clock": "gz.msgs.Clock",
}
_STREAMS = {"color/image_raw": "image", "depth/image_raw": "depth_image"}
JOINT_STATES = "/brs/joint_states"
CLOCK = "/clock"


@dataclass(frozen=True)
class Entry:
    """One bridged topic."""

    ros_topic_name: str
    gz_topic_name: str
    ros_type_name: str
    gz_type_name: str
    direction: str  # GZ_TO_ROS or ROS_TO_GZ


def camera_topic(name: str) -> str:
    """Under which Gazebo publishes what a camera sees."""
    return f"/brs/camera/{name}"


def target_topic(joint: str) -> str:
    """Where Gazebo listens for the target of a joint."""
    return f"/brs/target/{joint}"


def bridge_entries(embodiment: Embodiment) -> tuple[Entry, ...]:
    """Clock, joint states, cameras and the targets of all joints."""
    clock = contract.Topic("/clock", "rosgraph_msgs/msg/Clock", told=True)
    states = contract.joint_topics()[0]
    entries = [_entry(clock, CLOCK), _entry(states, JOINT_STATES)]
    for topic in contract.camera_topics(embodiment):
        _, name, stream = topic.name.split("/", maxsplit=2)
        entries.append(_entry(topic, f"{camera_topic(name)}/{_STREAMS.get(stream, stream)}"))
    for joint, topic in contract.single_joint_topics(embodiment).items():
        entries.append(_entry(topic, target_topic(joint)))
    return tuple(entries)


def bridge_yaml(embodiment: Embodiment) -> str:
    """The file that ros_gz_bridge's parameter `config_file` names."""
    return yaml.safe_dump([vars(entry) for entry in bridge_entries(embodiment)], sort_keys=False)


def _entry(topic: contract.Topic, gazebo: str) -> Entry:
    direction = "GZ_TO_ROS" if topic.told else "ROS_TO_GZ"
    return Entry(topic.name, gazebo, topic.kind, _PAIRS[topic.kind], direction)
