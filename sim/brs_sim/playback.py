"""Poses a world as it was measured, so that a recording can be drawn from any camera later."""

from __future__ import annotations

import mujoco
import numpy as np

from brs_hardware.types import WholeBodyState
from brs_sim.model import BASE_JOINTS
from brs_sim.tasks.registry import Pose
from brs_sim.world import Snapshot, World


def posed(world: World, state: WholeBodyState, objects: dict[str, Pose]) -> Snapshot:
    """A snapshot of the world's scene with robot and objects where they were measured.

    Args:
        world: of the same robot, task and seed as the recording; it is not changed.
        state: measured robot; its base pose is in the world.
        objects: poses of the movable objects; those not named stay where the seed put them.
    """
    embodiment, template = world.embodiment, world.snapshot()
    model, qpos = template.model, template.qpos
    values: dict[str, float] = dict(zip(BASE_JOINTS, state.base_pose, strict=True))
    for name in embodiment.GROUPS:
        joints = embodiment.group(name).joints
        values.update(zip(joints, getattr(state, name).position, strict=True))
    for name in embodiment.GRIPPERS:
        gripper = embodiment.gripper(name)
        opening_m = gripper.to_stroke_mm(getattr(state, name)) / 1000.0
        values.update(dict.fromkeys(gripper.joints, opening_m / len(gripper.joints)))
    for joint, value in values.items():
        qpos[_address(model, joint)] = value
    for name, (position, rotation) in objects.items():
        address = _address(model, name)
        qpos[address : address + 7] = np.concatenate([position, rotation])
    return Snapshot(state.stamp_s, model, qpos)


def _address(model: mujoco.MjModel, joint: str) -> int:
    return int(model.joint(joint).qposadr[0])
