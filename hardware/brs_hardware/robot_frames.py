"""Frames and joints of a robot as RViz and its kind want them, from the vendor's feedback.

Fixed joints are given once. Moving ones are given with the stamp of their own measurement, and
only as long as it is fresh: what is not measured any more disappears instead of standing still.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brs_hardware.description import Description, Joint, describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.feedback import FeedbackAssembler
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.transforms import invert, to_quaternion

WHEELS, ODOMETRY = "wheels", "odometry"
# Not every driver reports them: no loss before they came.
OPTIONAL = (WHEELS, ODOMETRY)
# A stamp older than the last by less came out of order; by more, the clock was set back.
_CLOCK_SET_BACK_S = 1.0
_SAME_PLACE_M = 0.002


@dataclass(frozen=True)
class Transforms:
    """Poses of child frames in their parents."""

    parents: tuple[str, ...]
    children: tuple[str, ...]
    stamps_s: np.ndarray  # (n,) of the measurements [s]; nan where it is fixed
    positions: np.ndarray  # (n, 3) [m]
    quaternions: np.ndarray  # (n, 4) x, y, z, w


@dataclass(frozen=True)
class JointPositions:
    """Measured joints under the names of the URDF."""

    stamp_s: float  # of the oldest [s]
    names: tuple[str, ...]
    positions: np.ndarray  # (n,) [rad] or [m]


class RobotFrames:
    """Keeps the newest measurement of each part and tells frames and joints from them.

    Parts are the embodiment's groups and grippers, `wheels` (steering) and `odometry`.

    Args:
        embodiment: the robot.
        timeout_s: a measurement that is older, or ahead of the clock by more, is not told [s].

    Raises:
        ConfigError: like `Kinematics`.
    """

    def __init__(self, embodiment: Embodiment, timeout_s: float = 0.5) -> None:
        self.timeout_s = timeout_s
        self._embodiment = embodiment
        self._feedback = FeedbackAssembler(embodiment)
        description = describe(embodiment)
        joints = {name: embodiment.group(name).joints for name in embodiment.GROUPS}
        joints |= {name: embodiment.gripper(name).joints for name in embodiment.GRIPPERS}
        joints[WHEELS] = _steering_joints(embodiment, description)
        self._slices: dict[str, slice] = {}
        end = 0
        for part, names in joints.items():
            self._slices[part] = slice(end, end := end + len(names))
        self.joints = tuple(name for names in joints.values() for name in names)
        kinematics = Kinematics(embodiment)
        at_zero = kinematics.poses(kinematics.links, {})
        self._moving = _Chain([description.joint(name) for name in self.joints], at_zero)
        unmoved = [joint for name, joint in description.joints.items() if name not in self.joints]
        # Joints that nobody measures, such as the roll of a wheel.
        self.unmeasured = tuple(joint.name for joint in unmoved if joint.kind != "fixed")
        self.static = _Chain(unmoved, at_zero).transforms(
            np.zeros(len(unmoved)), np.full(len(unmoved), math.nan)
        )
        self.root = description.root
        # One row a joint, and behind them the base in odom.
        self._values = np.zeros(len(self.joints))
        self._base = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        self._stamps_s = np.full(len(self.joints) + 1, math.nan)
        self._told_s = self._stamps_s.copy()
        self._slices[ODOMETRY] = slice(len(self.joints), len(self.joints) + 1)

    # -- measurements ------------------------------------------------------------------------

    def take_joints(
        self, group: str, stamp_s: float, names: Sequence[str], position: np.ndarray
    ) -> None:
        """Take a joint group's sample (m,) [rad]; see `FeedbackAssembler.joints`.

        Raises:
            ConfigError: an unknown joint name, a wrong count, or a value that is not finite.
        """
        nothing = np.zeros(0)
        sample = self._feedback.joints(group, stamp_s, names, position, nothing, nothing)
        self._take(group, stamp_s, sample.position)

    def take_gripper(self, name: str, stamp_s: float, stroke_mm: float) -> None:
        """Take a gripper's stroke [mm]. Raises ConfigError if it is not finite."""
        gripper = self._embodiment.gripper(name)
        if not math.isfinite(stroke_mm):
            raise ConfigError("the stroke is not a number", where=gripper.feedback_topic)
        # Each finger moves half of the stroke.
        self._take(name, stamp_s, np.full(len(gripper.joints), stroke_mm / 2000.0))

    def take_chassis(self, stamp_s: float, steering: np.ndarray) -> None:
        """Take the steering angles (m,) [rad] of the wheels; a driver may report none.

        Raises:
            ConfigError: fewer angles than wheels, or one that is not finite.
        """
        part = self._slices[WHEELS]
        count = part.stop - part.start
        if not len(steering) or not count:
            return
        if len(steering) < count or not np.all(np.isfinite(steering[:count])):
            raise ConfigError(
                f"{len(steering)} steering angles, {count} finite ones expected",
                where=self._embodiment.base.feedback_topic,
            )
        self._take(WHEELS, stamp_s, steering[:count])

    def take_odometry(self, stamp_s: float, position: np.ndarray, quaternion: np.ndarray) -> None:
        """Take the base in odom: position (3,) [m], quaternion (4,) x, y, z, w.

        Raises:
            ConfigError: a number that is not finite, or a quaternion that is no rotation.
        """
        length = float(np.linalg.norm(quaternion))
        if not np.all(np.isfinite(position)) or not abs(length - 1.0) < 0.1:
            raise ConfigError(
                "the pose of the base is none", where=self._embodiment.base.odometry_topic
            )
        if self._is_news(ODOMETRY, stamp_s):
            self._base = np.concatenate([position, quaternion / length])
            self._stamps_s[self._slices[ODOMETRY]] = stamp_s

    def _take(self, part: str, stamp_s: float, values: np.ndarray) -> None:
        if self._is_news(part, stamp_s):
            self._values[self._slices[part]] = values
            self._stamps_s[self._slices[part]] = stamp_s

    def _is_news(self, part: str, stamp_s: float) -> bool:
        last_s = self._stamps_s[self._slices[part].start]
        return not 0.0 <= last_s - stamp_s <= _CLOCK_SET_BACK_S

    # -- what they tell ----------------------------------------------------------------------

    def transforms(self, now_s: float) -> Transforms:
        """Poses that are fresh and were not told yet."""
        news = self._fresh(now_s) & (self._stamps_s != self._told_s)
        self._told_s[news] = self._stamps_s[news]
        of_joints = np.flatnonzero(news[:-1])
        told = self._moving.transforms(self._values, self._stamps_s[:-1])
        parents = tuple(told.parents[i] for i in of_joints)
        children = tuple(told.children[i] for i in of_joints)
        positions, quaternions = told.positions[of_joints], told.quaternions[of_joints]
        if news[-1]:
            parents, children = (*parents, "odom"), (*children, self.root)
            positions = np.vstack([positions, self._base[:3]])
            quaternions = np.vstack([quaternions, self._base[3:]])
        return Transforms(parents, children, self._stamps_s[news], positions, quaternions)

    def joint_positions(self, now_s: float) -> JointPositions | None:
        """All joints that are fresh; None where none is."""
        fresh = np.flatnonzero(self._fresh(now_s)[:-1])
        if not fresh.size:
            return None
        names = tuple(self.joints[i] for i in fresh)
        return JointPositions(float(self._stamps_s[fresh].min()), names, self._values[fresh])

    def lost(self, now_s: float) -> dict[str, str]:
        """Part -> why it is not told, of those that should be."""
        lost = {}
        for part, place in self._slices.items():
            stamps_s = self._stamps_s[place]
            if not stamps_s.size:
                continue
            age_s = now_s - float(stamps_s[0])
            if math.isnan(age_s):
                if part not in OPTIONAL:
                    lost[part] = "never came"
            elif age_s > self.timeout_s:
                lost[part] = f"{age_s:.1f} s old"
            elif age_s < -self.timeout_s:
                lost[part] = f"stamped {-age_s:.1f} s ahead of the clock"
        return lost

    def _fresh(self, now_s: float) -> np.ndarray:
        """(joints + 1,) of the joints and the base; what never came is not."""
        fresh: np.ndarray = np.abs(now_s - self._stamps_s) <= self.timeout_s
        return fresh


def urdf_text(embodiment: Embodiment) -> str:
    """The URDF of the robot, with camera frames where the embodiment has the cameras.

    Raises:
        ConfigError: the URDF lacks the frames of a camera.
    """
    text = embodiment.urdf_path.read_text()
    robot = ElementTree.fromstring(text)
    moved = False
    for name, camera in embodiment.cameras.items():
        optical = _joint_above(robot, optical_frame(name))
        body = optical.find("parent")
        frame = _joint_above(robot, body.attrib["link"] if body is not None else "")
        origin = frame.find("origin")
        if origin is None:
            origin = ElementTree.SubElement(frame, "origin")
        for key, wanted in (("xyz", camera.position), ("rpy", camera.rpy)):
            given = [float(number) for number in origin.attrib.get(key, "0 0 0").split()]
            if not np.allclose(given, wanted, rtol=0.0, atol=1e-9):
                origin.attrib[key], moved = " ".join(f"{number:.9g}" for number in wanted), True
    return ElementTree.tostring(robot, encoding="unicode") if moved else text


def _joint_above(robot: ElementTree.Element, link: str) -> ElementTree.Element:
    joint = robot.find(f"joint/child[@link='{link}']/..")
    if joint is None:
        raise ConfigError(f"no joint holds the link '{link}'", where=robot.attrib.get("name", ""))
    return joint


class _Chain:
    """Poses of the children of some joints, all computed at once.

    Args:
        joints: that move by one number each, or are fixed.
        at_zero: (4, 4) pose of each link in the root with all joints at zero.
    """

    def __init__(self, joints: list[Joint], at_zero: dict[str, np.ndarray]) -> None:
        self._parents = tuple(joint.parent for joint in joints)
        self._children = tuple(joint.child for joint in joints)
        poses = np.array([invert(at_zero[j.parent]) @ at_zero[j.child] for j in joints])
        poses = poses.reshape(-1, 4, 4)
        axes = np.array([joint.axis for joint in joints]).reshape(-1, 3)
        axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
        slides = np.array([joint.kind == "prismatic" for joint in joints], dtype=bool)
        self._origins = poses[:, :3, 3]
        self._rotations = to_quaternion(poses)  # (n, 4)
        # What a joint's number is multiplied with: metres in the parent, and half the angle.
        self._slide = np.einsum("nij,nj->ni", poses[:, :3, :3], axes) * slides[:, None]
        self._turn = 0.5 * ~slides
        # Quaternion of the child at zero, times its axis as a quaternion without a real part.
        vector, real = self._rotations[:, :3], self._rotations[:, 3:]
        self._turned = np.hstack(
            [
                real * axes + np.cross(vector, axes),
                -np.sum(vector * axes, axis=1, keepdims=True),
            ]
        )

    def transforms(self, values: np.ndarray, stamps_s: np.ndarray) -> Transforms:
        """For the joints at these values (n,) [rad] or [m], measured at these times (n,) [s]."""
        half = self._turn * values
        return Transforms(
            self._parents,
            self._children,
            stamps_s,
            self._origins + self._slide * values[:, None],
            self._rotations * np.cos(half)[:, None] + self._turned * np.sin(half)[:, None],
        )


def _steering_joints(embodiment: Embodiment, description: Description) -> tuple[str, ...]:
    """The joint that steers each wheel, in their order; none where the URDF lacks one."""
    found = []
    for wheel in embodiment.base.wheel_positions:
        for joint in description.joints.values():
            upright = joint.kind in ("revolute", "continuous") and abs(joint.axis[2]) > 0.99
            near = np.linalg.norm(joint.origin[:2] - wheel) < _SAME_PLACE_M
            if joint.parent == description.root and upright and near:
                found.append(joint.name)
    return tuple(found) if len(found) == len(embodiment.base.wheel_positions) else ()
