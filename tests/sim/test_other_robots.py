"""Every robot in config/robots loads, has the documented kinematics and runs in the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.config import config_folder
from brs_hardware.description import describe
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_sim.model import build_model, floor_to_base
from brs_sim.world import World

ROBOTS = sorted(
    path.stem
    for path in (config_folder() / "robots").glob("*.yaml")
    if path.with_suffix(".urdf").exists()
)


def test_the_generations_are_there() -> None:
    assert {"r1", "r1_lite", "r1_pro"} <= set(ROBOTS)


@pytest.mark.parametrize("name", ROBOTS)
def test_limits_of_the_file_lie_within_those_of_the_description(name: str) -> None:
    robot = load_embodiment(name)
    description = describe(robot)
    for group in map(robot.group, robot.GROUPS):
        for i, joint in enumerate(group.joints):
            limits = description.joint(joint)
            assert group.lower[i] >= limits.lower - 1e-3, joint
            assert group.upper[i] <= limits.upper + 1e-3, joint
            assert group.max_velocity[i] <= limits.velocity, joint
    for pose in robot.poses.values():
        for part, values in pose.items():
            group = robot.group(part)
            assert np.all(values >= group.lower) and np.all(values <= group.upper), part


@pytest.mark.parametrize("name", ROBOTS)
def test_cameras_of_the_description_are_those_of_the_file(name: str) -> None:
    robot = load_embodiment(name)
    kinematics = Kinematics(robot)
    for camera_name, camera in robot.cameras.items():
        link = kinematics.pose(camera.link, robot.poses["ready"])
        optical = kinematics.pose(optical_frame(camera_name), robot.poses["ready"])
        roll, pitch, yaw = camera.rpy
        turn = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
        np.testing.assert_allclose(optical[:3, 3], link[:3, :3] @ camera.position + link[:3, 3])
        np.testing.assert_allclose(optical[:3, 2], link[:3, :3] @ turn[:, 0], atol=1e-5)
        np.testing.assert_allclose(optical[:3, 0], -link[:3, :3] @ turn[:, 1], atol=1e-5)


def _about(axis: int, angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    first, second = [i for i in range(3) if i != axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    return turn.T if axis == 1 else turn


@pytest.mark.parametrize(
    ("name", "gripper"),
    [
        # Sums of the joint origins that the vendor's descriptions give, all frames parallel.
        ("r1_pro", [-0.079522, 0.252, 0.716571]),
        ("r1_lite", [0.151161, 0.33435 + 0.00036 - 0.00185 + 0.0005 - 0.0005, 1.182495]),
    ],
)
def test_zero_pose_is_the_sum_of_the_documented_origins(name: str, gripper: list[float]) -> None:
    link = Kinematics(load_embodiment(name)).pose("left_gripper_link", {})
    np.testing.assert_allclose(link[:3, 3], gripper, atol=2e-3)
    np.testing.assert_allclose(link[:3, :3], np.eye(3), atol=1e-9)


@pytest.mark.parametrize("name", ["r1_lite", "r1_pro"])
def test_forearm_forward_pose_has_its_grippers_in_front(name: str) -> None:
    robot = load_embodiment(name)
    kinematics = Kinematics(robot)
    left = kinematics.pose("left_tcp", robot.poses["ready"])[:3, 3]
    right = kinematics.pose("right_tcp", robot.poses["ready"])[:3, 3]
    assert left[0] > 0.2 and left[1] > 0.1 and right[1] < -0.1
    assert right[[0, 2]] == pytest.approx(left[[0, 2]], abs=0.07)


@pytest.mark.parametrize("name", ROBOTS)
def test_simulator_runs_it(name: str) -> None:
    robot = load_embodiment(name)
    model = build_model(robot)
    assert model.body_mass.sum() == pytest.approx(describe(robot).mass)
    assert floor_to_base(robot) == pytest.approx(0.0, abs=0.06)
    world = World(robot)
    goal = np.array(robot.poses["ready"]["left_arm"])
    goal[-1] += 0.4
    for _ in range(100):
        world.command_base(0.2, 0.0, 0.0)
        world.command_joints("left_arm", goal)
        world.command_gripper("left_gripper", robot.left_gripper.stroke_closed_mm)
        world.step(0.02)
    state = world.whole_body_state()
    np.testing.assert_allclose(state.left_arm.position, goal, atol=0.05)
    np.testing.assert_allclose(state.torso.position, robot.poses["ready"]["torso"], atol=0.02)
    assert state.left_gripper > 0.9
    assert state.base_velocity[0] == pytest.approx(0.2, abs=0.03)
