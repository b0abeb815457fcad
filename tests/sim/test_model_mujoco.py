"""The generated MuJoCo model: stands still, has its parts, and costs little."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from brs_hardware.description import describe
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_sim.model import BASE_JOINTS, THIRD_PERSON, build_model, floor_to_base

R1 = load_embodiment("r1")
MODEL = build_model(R1)


def placed(pose: str) -> mujoco.MjData:
    data = mujoco.MjData(MODEL)
    for group, values in R1.poses[pose].items():
        for joint, value in zip(R1.group(group).joints, values, strict=True):
            data.joint(joint).qpos[0] = data.actuator(joint).ctrl[0] = value
    mujoco.mj_forward(MODEL, data)
    return data


def test_every_driven_joint_has_a_servo_and_no_other_moves() -> None:
    groups = [R1.group(name).joints for name in R1.GROUPS]
    groups += [R1.gripper(name).joints for name in R1.GRIPPERS]
    names = {*BASE_JOINTS, *(joint for group in groups for joint in group)}
    assert {MODEL.joint(i).name for i in range(MODEL.njnt)} == names
    assert {MODEL.actuator(i).name for i in range(MODEL.nu)} == names


def test_robot_weighs_what_its_description_says() -> None:
    assert MODEL.body_mass.sum() == pytest.approx(describe(R1).mass)


def test_base_stands_on_its_wheels() -> None:
    assert floor_to_base(R1) == pytest.approx(0.0415, abs=1e-3)
    data = placed("ready")
    lowest = [data.xpos[i][2] for i in range(MODEL.nbody) if "wheel" in MODEL.body(i).name]
    assert min(lowest) == pytest.approx(R1.base.wheel_radius)


@pytest.mark.parametrize("pose", sorted(R1.poses))
def test_robot_does_not_touch_itself_and_holds_its_pose(pose: str) -> None:
    data = placed(pose)
    assert data.ncon == 0
    before = data.qpos.copy()
    mujoco.mj_step(MODEL, data, 500)
    assert np.abs(data.qpos - before).max() < 1e-3


def test_arm_against_trunk_is_a_contact() -> None:
    data = placed("ready")
    data.joint("right_arm_joint2").qpos[0] = 3.2  # the upper arm swings in
    mujoco.mj_forward(MODEL, data)
    touching = {MODEL.body(MODEL.geom_bodyid[geom]).name for geom in data.contact.geom.flatten()}
    assert any(name.startswith("right_arm") for name in touching)
    assert any(name.startswith("torso") for name in touching)


def test_cameras_look_along_the_optical_frames_of_the_urdf() -> None:
    data = placed("ready")
    kinematics = Kinematics(R1)
    base = data.body("base_link").xpos
    for name in R1.cameras:
        optical = kinematics.pose(optical_frame(name), R1.poses["ready"])
        camera = data.camera(name)
        assert camera.xpos == pytest.approx(optical[:3, 3] + base, abs=1e-6)
        matrix = camera.xmat.reshape(3, 3)
        # MuJoCo: x right, y up, looks along -z; optical: x right, y down, looks along z.
        assert matrix * [1, -1, -1] == pytest.approx(optical[:3, :3], abs=1e-6)
    assert MODEL.camera(THIRD_PERSON).id >= 0
