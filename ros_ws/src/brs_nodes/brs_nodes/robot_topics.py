"""Topics of a robot, by what they are for."""

from __future__ import annotations

from typing import Any

from brs_hardware.embodiment import Embodiment

CAMERA_STREAMS = ("color/image_raw", "depth/image_raw", "camera_info")


def sensor_topics(robot: Embodiment) -> list[str]:
    """What the robot and its cameras tell."""
    topics = [part.feedback_topic for part in _parts(robot)]
    topics += [robot.base.odometry_topic, *robot.vendor.status_topics.values()]
    topics += [robot.vendor.battery.topic] if robot.vendor.battery else []
    topics += [f"camera/{name}/{stream}" for name in robot.cameras for stream in CAMERA_STREAMS]
    return [topic for topic in topics if topic]


def command_topics(robot: Embodiment) -> list[str]:
    """What moves the robot."""
    topics = [part.command_topic for part in _parts(robot)]
    return [topic for topic in (*topics, robot.base.brake_topic) if topic]


def _parts(robot: Embodiment) -> list[Any]:
    parts: list[Any] = [robot.base, *map(robot.group, robot.GROUPS)]
    return parts + [robot.gripper(name) for name in robot.GRIPPERS]
