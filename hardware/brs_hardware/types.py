"""What crosses the seams of the stack. Joint order is the embodiment's; units are SI."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class WholeBodyCommand:
    """Target of the whole robot at one moment."""

    stamp_s: float  # capture time of what caused it [s, ROS clock]
    base_velocity: np.ndarray  # (3,) vx, vy [m/s], wz [rad/s] in base_link
    torso: np.ndarray  # (n,) [rad]
    left_arm: np.ndarray  # (n,) [rad]
    right_arm: np.ndarray  # (n,) [rad]
    left_gripper: float  # 0 open .. 1 closed
    right_gripper: float  # 0 open .. 1 closed
    source: str = "teleop"


@dataclass(frozen=True)
class JointGroupState:
    """Measured joints of one group."""

    position: np.ndarray  # (n,) [rad]
    velocity: np.ndarray  # (n,) [rad/s]
    effort: np.ndarray  # (n,) [N m]


@dataclass(frozen=True)
class WholeBodyState:
    """Measured robot."""

    stamp_s: float  # oldest stamp of its parts [s]
    base_pose: np.ndarray  # (3,) x, y [m], yaw [rad] in odom
    base_velocity: np.ndarray  # (3,) vx, vy [m/s], wz [rad/s] in base_link
    torso: JointGroupState
    left_arm: JointGroupState
    right_arm: JointGroupState
    left_gripper: float  # 0 open .. 1 closed
    right_gripper: float  # 0 open .. 1 closed


@dataclass(frozen=True)
class LeaderSample:
    """Both JoyLo arms at one moment, in the robot's joint convention."""

    stamp_s: float
    left_arm: np.ndarray  # (n,) [rad]
    right_arm: np.ndarray  # (n,) [rad]


@dataclass(frozen=True)
class LeaderMotion:
    """Both JoyLo arms at one moment with what moves them; joints in the order left, right."""

    stamp_s: float
    position: np.ndarray  # (joints,) [rad] in the robot's convention
    velocity: np.ndarray  # (joints,) [rad/s]
    current: np.ndarray  # (joints,) [A] of one motor of each joint


@dataclass(frozen=True)
class JoyConSample:
    """One Joy-Con at one moment."""

    stamp_s: float
    stick: np.ndarray  # (2,) horizontal (right +), vertical (up +), -1..1 after dead zone
    buttons: frozenset[str] = field(default_factory=frozenset)  # names held down


# Order of the buttons in sensor_msgs/Joy on joylo/joy_left and joylo/joy_right.
JOYCON_BUTTONS = {
    "left": ("up", "down", "left", "right", "l", "zl", "minus", "capture", "stick", "sl", "sr"),
    "right": ("a", "b", "x", "y", "r", "zr", "plus", "home", "stick", "sl", "sr"),
}
