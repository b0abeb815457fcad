"""Assembles the measured robot from the vendor's separate feedback streams."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.types import JointGroupState, WholeBodyState


class FeedbackAssembler:
    """Keeps the newest sample of each stream and joins them on request.

    Args:
        embodiment: the robot.
        needs_pose: whether a pose of the base is a part without which there is no state. Else one
            may come, and counts however old it is.
    """

    def __init__(self, embodiment: Embodiment, needs_pose: bool = False) -> None:
        self.embodiment = embodiment
        self._needs_pose = needs_pose
        self._groups: dict[str, tuple[float, JointGroupState]] = {}
        self._grippers: dict[str, tuple[float, float]] = {}
        self._base_velocity: tuple[float, np.ndarray] | None = None
        self._base_pose: tuple[float, np.ndarray] | None = None
        # Group -> the names last seen and the entries that are its joints.
        self._orders: dict[str, tuple[Sequence[str], np.ndarray]] = {}

    def joints(
        self,
        group: str,
        stamp_s: float,
        names: Sequence[str],
        position: np.ndarray,
        velocity: np.ndarray,
        effort: np.ndarray,
    ) -> JointGroupState:
        """Take a joint group's sample; returns it in the group's order.

        Args:
            group: `torso`, `left_arm` or `right_arm`.
            stamp_s: of the measurement [s].
            names: of the entries; empty where the driver gives none, then the first entries count.
            position: (m,) [rad], at least as many as the group has joints.
            velocity: (m,) [rad/s] or empty.
            effort: (m,) [N m] or empty.

        Raises:
            ConfigError: an unknown joint name, a wrong count, or a value that is not finite.
        """
        joints = self.embodiment.group(group).joints
        where = self.embodiment.group(group).feedback_topic
        if len(position) < len(joints):
            raise ConfigError(
                f"{len(position)} joint positions, {len(joints)} expected",
                where=where,
                remedy="check the robot:= argument against the robot at hand",
            )
        order = self._order(group, names)
        if len(position) <= order.max():
            raise ConfigError(f"{len(names)} names, {len(position)} positions", where=where)
        zeros = np.zeros(len(joints))
        state = JointGroupState(
            position=position[order],
            velocity=velocity[order] if len(velocity) > order.max() else zeros,
            effort=effort[order] if len(effort) > order.max() else zeros,
        )
        for what, values in vars(state).items():
            if not np.all(np.isfinite(values)):
                joint = joints[int(np.argmin(np.isfinite(values)))]
                raise ConfigError(
                    f"the {what} of {joint} is not a number",
                    where=where,
                    remedy="check its encoder and driver",
                )
        self._groups[group] = (stamp_s, state)
        return state

    def _order(self, group: str, names: Sequence[str]) -> np.ndarray:
        """Which entries are the group's joints, in our order; remembered while names stay."""
        cached = self._orders.get(group)
        if cached is None or cached[0] != names:
            cached = (list(names), joint_order(self.embodiment, group, names))
            self._orders[group] = cached
        return cached[1]

    def gripper(self, name: str, stamp_s: float, stroke_mm: float) -> None:
        """Take a gripper's stroke [mm]. Raises ConfigError if it is not finite."""
        gripper = self.embodiment.gripper(name)
        if not math.isfinite(stroke_mm):
            raise ConfigError("the stroke is not a number", where=gripper.feedback_topic)
        self._grippers[name] = (stamp_s, gripper.to_closed(stroke_mm))

    def chassis(self, stamp_s: float, position: np.ndarray, velocity: np.ndarray) -> None:
        """Take the chassis feedback, as this SDK generation fills it.

        Args:
            stamp_s: of the measurement [s].
            position: steering angles of the wheels [rad]; unused where the driver gives the body.
            velocity: vx, vy [m/s], wz [rad/s] first ("body"), or wheel speeds [m/s] ("wheels").

        Raises:
            ConfigError: too few values, or one that is not finite.
        """
        base = self.embodiment.base
        wheels = self.embodiment.vendor.base_feedback == "wheels"
        count = len(base.wheel_positions) if wheels else 3
        if len(velocity) < count or (wheels and len(position) < count):
            raise ConfigError(
                f"{len(position)} positions and {len(velocity)} velocities, {count} expected",
                where=base.feedback_topic,
                remedy="check 'base_feedback' of the embodiment file",
            )
        if wheels:
            velocity = body_velocity(base.wheel_positions, position[:count], velocity[:count])
        self.base_velocity(stamp_s, velocity[:3])

    def base_velocity(self, stamp_s: float, velocity: np.ndarray) -> None:
        """Take the base velocity (3,) vx, vy [m/s], wz [rad/s] in base_link."""
        if not np.all(np.isfinite(velocity)):
            raise ConfigError(
                "the base velocity is not a number", where=self.embodiment.base.feedback_topic
            )
        self._base_velocity = (stamp_s, velocity)

    def base_pose(self, stamp_s: float, pose: np.ndarray) -> None:
        """Take the base pose (3,) x, y [m], yaw [rad] in odom. Raises ConfigError: not finite."""
        if not np.all(np.isfinite(pose)):
            raise ConfigError(
                "the base pose is not a number", where=self.embodiment.base.odometry_topic
            )
        self._base_pose = (stamp_s, pose)

    def missing(self) -> list[str]:
        """Feedback topics that never delivered."""
        robot = self.embodiment
        topics = [robot.group(n).feedback_topic for n in robot.GROUPS if n not in self._groups]
        topics += [
            robot.gripper(n).feedback_topic for n in robot.GRIPPERS if n not in self._grippers
        ]
        topics += [] if self._base_velocity else [robot.base.feedback_topic]
        lacks_pose = self._needs_pose and self._base_pose is None
        return topics + ([robot.base.odometry_topic] if lacks_pose else [])

    def state(self) -> WholeBodyState | None:
        """The robot as measured, stamped with its oldest part; None until every part came."""
        if self._base_velocity is None or self.missing():
            return None
        stamps = [stamp_s for stamp_s, _ in (*self._groups.values(), *self._grippers.values())]
        pose_s, pose = self._base_pose or (np.inf, np.zeros(3))
        if self._needs_pose:
            stamps.append(pose_s)
        return WholeBodyState(
            stamp_s=min(*stamps, self._base_velocity[0]),
            base_pose=pose,
            base_velocity=self._base_velocity[1],
            torso=self._groups["torso"][1],
            left_arm=self._groups["left_arm"][1],
            right_arm=self._groups["right_arm"][1],
            left_gripper=self._grippers["left_gripper"][1],
            right_gripper=self._grippers["right_gripper"][1],
        )


def joint_order(embodiment: Embodiment, group: str, names: Sequence[str]) -> np.ndarray:
    """Indices (n,) of a group's joints among the entries of its feedback.

    Raises:
        ConfigError: the driver names its entries, and a joint of ours is not among them.
    """
    joints = embodiment.vendor.feedback_names.get(group, embodiment.group(group).joints)
    if not names or embodiment.vendor.joint_order == "position":
        return np.arange(len(joints))
    unknown = [joint for joint in joints if joint not in names]
    if unknown:
        raise ConfigError(
            f"joint '{unknown[0]}' is not in the feedback",
            where=embodiment.group(group).feedback_topic,
            remedy=did_you_mean(unknown[0], names),
        )
    return np.array([list(names).index(joint) for joint in joints])


def body_velocity(wheels: np.ndarray, angles: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """Base velocity that fits steered, rolling wheels best (least squares).

    Args:
        wheels: (n, 2) steer axes in base_link [m], n >= 2.
        angles: (n,) steering angles [rad].
        speeds: (n,) rolling speeds at the rim [m/s].

    Returns:
        (3,) vx, vy [m/s], wz [rad/s] in base_link.
    """
    count = len(wheels)
    matrix = np.zeros((2 * count, 3))
    matrix[:count, 0] = matrix[count:, 1] = 1.0
    matrix[:count, 2], matrix[count:, 2] = -wheels[:, 1], wheels[:, 0]
    rolled = np.concatenate([speeds * np.cos(angles), speeds * np.sin(angles)])
    velocity: np.ndarray = np.linalg.lstsq(matrix, rolled, rcond=None)[0]
    return velocity
