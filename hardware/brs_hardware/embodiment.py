"""What one robot is: joint names, limits, topics, cameras; read from config/robots/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brs_hardware import config
from brs_hardware.galaxea.interface import VendorInterface

# A robot of 96 kg must not go on for longer than this without news, whatever a file says.
LONGEST_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class JointGroup:
    """Position-controlled joints that share one pair of vendor topics."""

    joints: tuple[str, ...]
    lower: np.ndarray  # (n,) [rad]
    upper: np.ndarray  # (n,) [rad]
    max_velocity: np.ndarray  # (n,) [rad/s], what brs allows, below the vendor's limit
    max_acceleration: np.ndarray  # (n,) [rad/s^2]
    max_jerk: np.ndarray  # (n,) [rad/s^3]
    max_effort: np.ndarray  # (n,) [N m]
    feedback_topic: str
    command_topic: str

    def __post_init__(self) -> None:
        count = len(self.joints)
        numbers = ("lower", "upper", "max_velocity", "max_acceleration", "max_jerk", "max_effort")
        for name in numbers:
            if getattr(self, name).shape != (count,):
                raise ValueError(f"'{name}' needs {count} numbers, one a joint of {self.joints}")
        if np.any(self.lower >= self.upper):
            raise ValueError("'lower' must be below 'upper' for every joint")
        config.positive(self, *numbers[2:])


@dataclass(frozen=True)
class Torso(JointGroup):
    """The torso, and what a person's sticks and buttons mean for it."""

    hip_pitch: str = ""  # joint that leans the trunk; "" where there is none
    waist_yaw: str = ""  # joint that turns it
    # (n,) [rad] between which up and down move it; joints that are alike in both stay as they
    # are. Empty: it has no such postures.
    stand: np.ndarray = field(default_factory=lambda: np.zeros(0))
    squat: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hip_pitch", "waist_yaw"):
            if (joint := getattr(self, name)) and joint not in self.joints:
                raise ValueError(f"'{name}' is '{joint}', which is none of {self.joints}")
        if not self.stand.size and not self.squat.size:
            return
        for name in ("stand", "squat"):
            posture = getattr(self, name)
            if posture.shape != self.lower.shape:
                raise ValueError(f"'{name}' needs {self.lower.size} numbers, one a joint")
            if np.any(posture < self.lower) or np.any(posture > self.upper):
                raise ValueError(f"'{name}' lies outside of 'lower' and 'upper'")
        if np.all(self.stand == self.squat):
            raise ValueError("'stand' and 'squat' are the same")


@dataclass(frozen=True)
class HandConfig:
    """A hand with fingers on a serial port, closed like one gripper (Inspire RH56)."""

    port: str
    baud: int = 115200
    hand_id: int = 1
    force_limit: int = 500  # 0..1000 gram-force of each finger; BRS
    speed: int = 1000  # 0..1000; BRS
    # (6,) 0 bent .. 1000 straight: little, ring, middle, index, thumb bend, thumb rotation. Equal
    # numbers in both keep a joint out of it.
    open_angles: np.ndarray = field(default_factory=lambda: np.array([1000.0] * 6))
    closed_angles: np.ndarray = field(
        default_factory=lambda: np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1000.0])
    )

    def __post_init__(self) -> None:
        for name in ("force_limit", "speed", "open_angles", "closed_angles"):
            value = np.asarray(getattr(self, name))
            if np.any(value < 0) or np.any(value > 1000):
                raise ValueError(f"'{name}' must lie within 0 and 1000")
        if self.open_angles.shape != (6,) or self.closed_angles.shape != (6,):
            raise ValueError("'open_angles' and 'closed_angles' need 6 numbers each")
        if np.all(self.open_angles == self.closed_angles):
            raise ValueError("'open_angles' and 'closed_angles' are the same")


@dataclass(frozen=True)
class Gripper:
    """Parallel gripper; inside the stack 0 is open and 1 closed, the vendor speaks of stroke."""

    joints: tuple[str, ...]  # finger joints, each moving half of the stroke
    stroke_open_mm: float
    stroke_closed_mm: float
    max_speed: float  # [1/s], closing fraction a second
    feedback_topic: str
    command_topic: str
    end_effector: str = "parallel_jaw"  # or another that brs_hardware.end_effectors knows
    hand: HandConfig | None = None  # where the end effector is a hand

    def __post_init__(self) -> None:
        config.positive(self, "max_speed")
        if self.stroke_open_mm == self.stroke_closed_mm:
            raise ValueError("'stroke_open_mm' and 'stroke_closed_mm' are the same")

    def to_stroke_mm(self, closed: float) -> float:
        """Stroke [mm] for a closing fraction 0..1."""
        return self.stroke_open_mm + closed * (self.stroke_closed_mm - self.stroke_open_mm)

    def to_closed(self, stroke_mm: float) -> float:
        """Closing fraction, clipped to 0..1, for a stroke [mm]."""
        span = self.stroke_closed_mm - self.stroke_open_mm
        # Not np.clip, which takes ten times as long for one number, hundreds of times a second.
        return min(max((stroke_mm - self.stroke_open_mm) / span, 0.0), 1.0)


@dataclass(frozen=True)
class Base:
    """Holonomic base commanded by velocity (vx, vy [m/s], wz [rad/s] in base_link)."""

    max_velocity: np.ndarray  # (3,)
    max_acceleration: np.ndarray  # (3,) [m/s^2, m/s^2, rad/s^2]
    deadband: np.ndarray  # (3,) commands below are zero
    wheel_radius: float  # [m]
    wheel_positions: np.ndarray  # (wheels, 2) steer axes in base_link [m]
    feedback_topic: str
    command_topic: str
    brake_topic: str
    odometry_topic: str

    def __post_init__(self) -> None:
        for name in ("max_velocity", "max_acceleration", "deadband"):
            if getattr(self, name).shape != (3,):
                raise ValueError(f"'{name}' needs 3 numbers: x, y, turning")
        if self.wheel_positions.ndim != 2 or self.wheel_positions.shape[1:] != (2,):
            raise ValueError("'wheel_positions' needs x and y of each wheel")
        config.positive(self, "max_velocity", "max_acceleration", "wheel_radius")
        if np.any(self.deadband < 0.0):
            raise ValueError("'deadband' must not be negative")


@dataclass(frozen=True)
class Camera:
    """RGB-D camera fixed to a link; the optical frame looks along +z, x right, y down."""

    link: str
    position: np.ndarray  # (3,) [m] in the link
    rpy: np.ndarray  # (3,) [rad] of the camera body frame (x forward) in the link
    width: int  # [px]
    height: int  # [px]
    vertical_fov: float  # [rad]
    depth_range: np.ndarray  # (2,) [m]

    def __post_init__(self) -> None:
        config.positive(self, "width", "height")
        if not 0.0 < self.vertical_fov < np.pi:
            raise ValueError("'vertical_fov' must lie between 0 and pi")
        if self.position.shape != (3,) or self.rpy.shape != (3,):
            raise ValueError("'position' and 'rpy' need 3 numbers each")
        if self.depth_range.shape != (2,) or not 0 <= self.depth_range[0] < self.depth_range[1]:
            raise ValueError("'depth_range' needs nearest and farthest, in metres")


@dataclass(frozen=True)
class Embodiment:
    """One robot. Arms may have any number of joints; the rest of the stack asks here."""

    name: str
    urdf: str  # file beside the YAML
    base: Base
    torso: Torso
    left_arm: JointGroup
    right_arm: JointGroup
    left_gripper: Gripper
    right_gripper: Gripper
    cameras: dict[str, Camera]
    vendor: VendorInterface = field(default_factory=VendorInterface)
    poses: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    # Vendor state older than this is stale.
    feedback_timeout_s: float = 0.1
    path: str = ""

    GROUPS = ("torso", "left_arm", "right_arm")
    GRIPPERS = ("left_gripper", "right_gripper")
    PARTS = (*GROUPS, *GRIPPERS, "base")

    def __post_init__(self) -> None:
        if not 0.0 < self.feedback_timeout_s <= LONGEST_TIMEOUT_S:
            raise ValueError(f"'feedback_timeout_s' must lie within 0 and {LONGEST_TIMEOUT_S} s")
        self._check_vendor()
        for pose, groups in self.poses.items():
            for name, values in groups.items():
                if name not in self.GROUPS:
                    raise ValueError(f"pose '{pose}': '{name}' is none of {self.GROUPS}")
                group = self.group(name)
                if values.shape != (len(group.joints),):
                    raise ValueError(f"pose '{pose}': '{name}' has the wrong number of joints")
                if np.any((values < group.lower) | (values > group.upper)):
                    raise ValueError(f"pose '{pose}': '{name}' lies beyond the joints' limits")

    def _check_vendor(self) -> None:
        for name, names in self.vendor.feedback_names.items():
            if name not in self.GROUPS or len(names) != len(self.group(name).joints):
                raise ValueError(
                    f"'feedback_names' of '{name}': one name a joint of {self.GROUPS}"
                )
        for name, count in self.vendor.feedback_counts.items():
            if name not in self.GROUPS or count < len(self.group(name).joints):
                raise ValueError(
                    f"'feedback_counts' of '{name}': a count for each of {self.GROUPS}"
                )
        for what in ("status_topics", "listeners"):
            unknown = set(getattr(self.vendor, what)) - set(self.PARTS)
            if unknown:
                raise ValueError(f"'{what}': {sorted(unknown)} are none of {self.PARTS}")

    def group(self, name: str) -> JointGroup:
        """The joint group `torso`, `left_arm` or `right_arm`."""
        group: JointGroup = getattr(self, name)
        return group

    def gripper(self, name: str) -> Gripper:
        """The gripper `left_gripper` or `right_gripper`."""
        gripper: Gripper = getattr(self, name)
        return gripper

    @property
    def urdf_path(self) -> Path:
        """Absolute path of the robot description."""
        return Path(self.path).parent / self.urdf


def load_embodiment(name: str = "r1") -> Embodiment:
    """The robot `name` (a file in config/robots, or a path to a YAML file).

    Raises:
        ConfigError: unknown robot, malformed YAML, unknown keys, wrong counts.
    """
    # Beside a robot lie its collisions and its stability, which are no robots.
    path = config.named_file("robots", name, "robot", "*.urdf")
    values = config.load_yaml(path)
    if isinstance(values, dict):
        values = {**values, "path": str(path.resolve())}
    return config.build(Embodiment, values, str(path))
