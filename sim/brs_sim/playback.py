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
        objects: poses of what can be moved, furniture's moving parts among them; what is not
            named stays where the seed put it.
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
    for name in filter(objects.__contains__, world.task.objects):
        address = _address(model, name)
        qpos[address : address + 7] = np.concatenate(objects[name])
    for name in filter(objects.__contains__, world.task.fixtures):
        qpos[_address(model, name)] = _travel(model, qpos, name, objects[name])
    return Snapshot(state.stamp_s, model, qpos)


def _address(model: mujoco.MjModel, joint: str) -> int:
    return int(model.joint(joint).qposadr[0])


def _travel(model: mujoco.MjModel, qpos: np.ndarray, name: str, pose: Pose) -> float:
    """How far the joint [rad] or [m] of a part is from zero where the part has this pose.

    Args:
        model: of the scene.
        qpos: of the scene; whatever carries the part is where it was measured.
        name: of the part and its joint.
        pose: of the part.
    """
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    data.qpos[_address(model, name)] = 0.0
    mujoco.mj_kinematics(model, data)
    body, joint = data.body(name), model.joint(name)
    position, rotation = pose
    if joint.type[0] == mujoco.mjtJoint.mjJNT_SLIDE:
        return float((position - body.xpos) @ data.joint(name).xaxis)
    turn, back = np.zeros(3), np.zeros(4)
    mujoco.mju_negQuat(back, body.xquat)
    mujoco.mju_mulQuat(back, back.copy(), rotation)
    mujoco.mju_quat2Vel(turn, back, 1.0)
    return float(turn @ joint.axis)
