"""Assembles the measured robot from the vendor's separate feedback streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.types import JointGroupState, WholeBodyState


class FeedbackAssembler:
    """Keeps the newest sample of each stream and joins them on request."""

    def __init__(self, embodiment: Embodiment) -> None:
        self.embodiment = embodiment
        self._groups: dict[str, tuple[float, JointGroupState]] = {}
        self._grippers: dict[str, tuple[float, float]] = {}
        self._base_velocity: tuple[float, np.ndarray] | None = None
        self._base_pose = np.zeros(3)

    def joints(
        self,
        group: str,
        stamp_s: float,
        names: Sequence[str],
        position: np.ndarray,
        velocity: np.ndarray,
        effort: np.ndarray,
    ) -> None:
        """Take a joint group's sample; names may be empty (then in the embodiment's order).

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
        order = list(range(len(joints)))
        if names:
            unknown = [joint for joint in joints if joint not in names]
            if unknown:
                raise ConfigError(
                    f"joint '{unknown[0]}' is not in the feedback",
                    where=where,
                    remedy=did_you_mean(unknown[0], names),
                )
            order = [list(names).index(joint) for joint in joints]
        if not np.all(np.isfinite(position)):
            raise ConfigError(
                "a joint position is not a number", where=where, remedy="check its encoder"
            )
        zeros = np.zeros(len(joints))
        self._groups[group] = (
            stamp_s,
            JointGroupState(
                position=position[order],
                velocity=velocity[order] if len(velocity) > max(order) else zeros,
                effort=effort[order] if len(effort) > max(order) else zeros,
            ),
        )

    def gripper(self, name: str, stamp_s: float, stroke_mm: float) -> None:
        """Take a gripper's stroke [mm]. Raises ConfigError if it is not finite."""
        gripper = self.embodiment.gripper(name)
        if not np.isfinite(stroke_mm):
            raise ConfigError("the stroke is not a number", where=gripper.feedback_topic)
        self._grippers[name] = (stamp_s, gripper.to_closed(stroke_mm))

    def base_velocity(self, stamp_s: float, velocity: np.ndarray) -> None:
        """Take the base velocity (3,) vx, vy [m/s], wz [rad/s] in base_link."""
        if not np.all(np.isfinite(velocity)):
            raise ConfigError(
                "the base velocity is not a number", where=self.embodiment.base.feedback_topic
            )
        self._base_velocity = (stamp_s, velocity)

    def base_pose(self, pose: np.ndarray) -> None:
        """Take the base pose (3,) x, y [m], yaw [rad] in odom."""
        self._base_pose = pose

    def missing(self) -> list[str]:
        """Feedback topics that never delivered."""
        robot = self.embodiment
        topics = [robot.group(n).feedback_topic for n in robot.GROUPS if n not in self._groups]
        topics += [
            robot.gripper(n).feedback_topic for n in robot.GRIPPERS if n not in self._grippers
        ]
        return topics + ([] if self._base_velocity else [robot.base.feedback_topic])

    def state(self) -> WholeBodyState | None:
        """The robot as measured, stamped with its oldest part; None until every part came."""
        if self._base_velocity is None or self.missing():
            return None
        stamps = [stamp_s for stamp_s, _ in (*self._groups.values(), *self._grippers.values())]
        return WholeBodyState(
            stamp_s=min(*stamps, self._base_velocity[0]),
            base_pose=self._base_pose,
            base_velocity=self._base_velocity[1],
            torso=self._groups["torso"][1],
            left_arm=self._groups["left_arm"][1],
            right_arm=self._groups["right_arm"][1],
            left_gripper=self._grippers["left_gripper"][1],
            right_gripper=self._grippers["right_gripper"][1],
        )
