"""A robot at rest, and commands that keep it there."""

from __future__ import annotations

import dataclasses

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.types import JointGroupState, WholeBodyCommand, WholeBodyState


def state_at(robot: Embodiment, stamp_s: float, pose: str = "ready") -> WholeBodyState:
    """The robot at rest in one of its named poses."""

    def rest(name: str) -> JointGroupState:
        position = np.array(robot.poses[pose][name])
        return JointGroupState(position, np.zeros_like(position), np.zeros_like(position))

    return WholeBodyState(
        stamp_s=stamp_s,
        base_pose=np.zeros(3),
        base_velocity=np.zeros(3),
        torso=rest("torso"),
        left_arm=rest("left_arm"),
        right_arm=rest("right_arm"),
        left_gripper=0.0,
        right_gripper=0.0,
    )


def command_like(state: WholeBodyState, stamp_s: float, **changes: object) -> WholeBodyCommand:
    """A command that keeps the robot where it is, but for the changes."""
    command = WholeBodyCommand(
        stamp_s=stamp_s,
        base_velocity=np.zeros(3),
        torso=state.torso.position.copy(),
        left_arm=state.left_arm.position.copy(),
        right_arm=state.right_arm.position.copy(),
        left_gripper=0.0,
        right_gripper=0.0,
    )
    return dataclasses.replace(command, **changes)  # type: ignore[arg-type]
