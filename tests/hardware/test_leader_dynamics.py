"""Gravity of the leader's arms against MuJoCo, and masses found again from holding currents."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest
from virtual_leader import VirtualLeader, limits, scaled

from brs_hardware.embodiment import Embodiment
from brs_hardware.leader_control import load_leader_control
from brs_hardware.leader_dynamics import GravityModel, LeaderModel, identify_gravity
from brs_hardware.leader_identification import hold_in_poses, spread_poses

MODEL = load_leader_control().model
MOTORS = np.tile([2, 2, 1, 1, 1, 1], 2)


def tilted() -> LeaderModel:
    """Arms mounted askew, each another way."""
    left = dataclasses.replace(MODEL.left, mount_rpy_rad=np.array([0.3, -0.8, 1.9]))
    right = dataclasses.replace(MODEL.right, mount_rpy_rad=np.array([-1.2, 0.1, 0.4]))
    return dataclasses.replace(MODEL, left=left, right=right)


def mujoco_torque(model: LeaderModel, pose: np.ndarray) -> np.ndarray:
    """The same arms written as MJCF, whose bias force at rest is the holding torque."""
    bodies = ""
    for arm in (model.left, model.right):
        roll, pitch, yaw = arm.mount_rpy_rad
        # eulerseq XYZ (extrinsic): about fixed x, then y, then z.
        bodies += f'<body euler="{roll} {pitch} {yaw}">'
        for link in arm.links:
            numbers = [" ".join(map(str, v)) for v in (link.origin_m, link.axis, link.centre_m)]
            bodies += (
                f'<body pos="{numbers[0]}"><joint axis="{numbers[1]}"/>'
                f'<inertial pos="{numbers[2]}" mass="{link.mass_kg}"'
                ' diaginertia="1e-5 1e-5 1e-5"/>'
            )
        bodies += "</body>" * (len(arm.links) + 1)
    compiled = mujoco.MjModel.from_xml_string(
        '<mujoco><compiler angle="radian" eulerseq="XYZ"/><option gravity="0 0 -9.81"/>'
        f"<worldbody>{bodies}</worldbody></mujoco>"
    )
    data = mujoco.MjData(compiled)
    data.qpos[:] = pose
    mujoco.mj_forward(compiled, data)
    return data.qfrc_bias.copy()


@pytest.mark.parametrize("model", [MODEL, tilted()], ids=["upright", "tilted"])
def test_holding_torques_are_those_of_mujoco(model: LeaderModel) -> None:
    gravity, random = GravityModel(model), np.random.default_rng(1)
    for _ in range(50):
        pose = random.uniform(-3.0, 3.0, 12)
        torque = gravity.torque(pose)
        assert torque == pytest.approx(mujoco_torque(model, pose), abs=1e-9)
        parameters = gravity.parameters.reshape(2, -1)
        linear = [gravity.regressor(pose)[arm] @ parameters[arm] for arm in range(2)]
        assert np.concatenate(linear) == pytest.approx(torque, abs=1e-9)
    assert np.abs(torque).max() > 0.02


def test_masses_are_found_from_the_currents_that_hold_the_arms(robot: Embodiment) -> None:
    truth = scaled(MODEL, 1.4, 0.7)
    leader = VirtualLeader(robot, truth=truth)
    low, high = limits(robot)
    poses = spread_poses(low, high, 12)
    positions, currents = hold_in_poses(leader.leader, poses, leader.bus.advance)
    assert not leader.powered
    fit = identify_gravity(MODEL, positions, currents, MOTORS)
    assert fit.after_nm < 0.2 * fit.before_nm
    found, true, old = (GravityModel(m) for m in (fit.model, truth, MODEL))
    errors = {"found": [], "old": []}
    for pose in spread_poses(low, high, 50, seed=9):  # none of those it learnt from
        wanted = true.torque(pose)
        errors["found"].append(found.torque(pose) - wanted)
        errors["old"].append(old.torque(pose) - wanted)
    assert np.abs(errors["found"]).max() < 0.2 * np.abs(errors["old"]).max()


def test_noise_does_not_move_what_the_poses_do_not_tell() -> None:
    random = np.random.default_rng(2)
    positions = np.tile(random.uniform(-1.0, 1.0, 12), (3, 1))  # three times the same pose
    gravity = GravityModel(MODEL)
    torque = np.array([gravity.torque(pose) for pose in positions])
    currents = torque / (MOTORS * MODEL.motor.torque_constant_nm_a)
    noisy = currents + random.normal(0.0, 0.01, currents.shape)
    fit = identify_gravity(MODEL, positions, noisy, MOTORS)
    for before, after in zip(MODEL.left.links, fit.model.left.links, strict=True):
        assert after.mass_kg == pytest.approx(before.mass_kg, abs=0.02)
    with pytest.raises(ValueError, match="one row"):
        identify_gravity(MODEL, positions[:1], currents[:1], MOTORS)
