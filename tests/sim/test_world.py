"""The vendor's interface of the simulated robot: what is commanded happens, within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_sim.chassis import wheel_motion
from brs_sim.world import World

R1 = load_embodiment("r1")


@pytest.fixture
def world() -> World:
    return World(R1, "shelves", seed=3)


def test_joints_go_where_they_are_told(world: World) -> None:
    target = np.array([1.2, 2.5, -1.8, 0.3, -0.2, 0.4])
    world.command_joints("left_arm", target)
    world.command_joints("torso", np.array([0.4, -0.6, -0.2, 0.2]))
    world.step(1.0)
    feedback = world.feedback()
    assert feedback.joints["left_arm"].position == pytest.approx(target, abs=5e-3)
    assert feedback.joints["torso"].position == pytest.approx([0.4, -0.6, -0.2, 0.2], abs=5e-3)
    assert np.abs(feedback.joints["left_arm"].velocity).max() < 0.02


def test_targets_beyond_the_limits_stop_at_them(world: World) -> None:
    world.command_joints("right_arm", np.array([-1.5, 2.8, -2.4, 0.0, 9.0, 0.0]))
    world.step(0.8)
    reached = world.feedback().joints["right_arm"].position[4]
    assert reached == pytest.approx(R1.right_arm.upper[4], abs=0.02)


def test_motors_are_no_faster_than_the_vendors(world: World) -> None:
    start = world.feedback().joints["torso"].position[3]
    world.command_joints("torso", np.array([0.0, -0.1, -0.1, 3.0]))
    world.step(0.4)
    # The waist turns at no more than 2.5 rad/s, however far the target is.
    assert 0.3 < world.feedback().joints["torso"].position[3] - start <= 2.5 * 0.4


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_base_moves_in_its_own_frame(world: World, yaw: float) -> None:
    world.chassis.place(np.array([-1.0, -1.0, yaw]))
    for _ in range(10):
        world.command_base(0.2, -0.1, 0.0)
        world.step(0.1)
    feedback = world.feedback()
    assert feedback.base_velocity == pytest.approx([0.2, -0.1, 0.0], abs=5e-3)
    moved = feedback.base_pose[:2] - [-1.0, -1.0]
    forward = np.array([np.cos(yaw), np.sin(yaw)])
    leftward = np.array([-np.sin(yaw), np.cos(yaw)])
    # 1 s at speed, less what speeding up at 2.5 m/s^2 costs
    assert moved @ forward == pytest.approx(0.2 - 0.2**2 / 5.0, abs=0.01)
    assert moved @ leftward == pytest.approx(-0.1 + 0.1**2 / 5.0, abs=0.01)


def test_base_stops_without_commands_and_under_the_brake(world: World) -> None:
    world.command_base(0.0, 0.0, 0.4)
    world.step(0.45)
    assert world.feedback().base_velocity[2] == pytest.approx(0.4, abs=0.02)
    world.step(0.35)
    assert world.feedback().base_velocity == pytest.approx([0, 0, 0], abs=0.01)
    world.brake(True)
    world.command_base(0.0, 0.0, 0.4)
    world.step(0.3)
    assert world.feedback().base_velocity == pytest.approx([0, 0, 0], abs=0.01)
    world.brake(False)
    world.command_base(0.0, 0.0, 0.4)
    world.step(0.3)
    assert world.feedback().base_velocity[2] == pytest.approx(0.4, abs=0.02)


def test_blocked_base_does_not_store_its_way(world: World) -> None:
    world.chassis.place(np.array([0.7, 0.0, 0.0]))
    poses = []
    for velocity in (0.3, 0.3, -0.3):  # into the table, on against it, and away
        for _ in range(6):
            world.command_base(velocity, 0.0, 0.0)
            world.step(0.1)
        poses.append(world.feedback().base_pose[0])
    assert poses[1] - poses[0] < 0.05  # 0.18 m if nothing were in the way
    assert poses[2] < poses[1] - 0.05


def test_gripper_stroke_and_force(world: World) -> None:
    world.command_gripper("left_gripper", 30.0)
    world.step(1.0)
    assert world.feedback().grippers["left_gripper"].stroke_mm == pytest.approx(30.0, abs=1.0)
    state = world.whole_body_state()
    assert state.left_gripper == pytest.approx(R1.left_gripper.to_closed(30.0), abs=0.02)
    assert state.right_gripper == pytest.approx(0.0, abs=0.02)


def test_fractions_of_time_steps_add_up(world: World) -> None:
    for _ in range(100):
        world.step(1.0 / 300.0)
    assert world.time_s == pytest.approx(1.0 / 3.0, abs=2e-3)


def test_same_seed_and_commands_give_the_same_motion() -> None:
    ends = []
    for _ in range(2):
        world = World(R1, "shelves", seed=5)
        world.command_base(0.2, 0.1, 0.3)
        world.command_gripper("right_gripper", 10.0)
        world.step(0.4)
        ends.append(world.snapshot().qpos)
    assert np.array_equal(ends[0], ends[1])


def test_snapshot_and_feedback_stay_as_they_were(world: World) -> None:
    snapshot, feedback = world.snapshot(), world.feedback()
    before = snapshot.qpos.copy(), feedback.joints["left_arm"].position.copy()
    world.command_joints("left_arm", np.zeros(6))
    world.step(0.3)
    assert np.array_equal(snapshot.qpos, before[0])
    assert np.array_equal(feedback.joints["left_arm"].position, before[1])
    assert not np.array_equal(world.snapshot().qpos, before[0])


def test_wrong_commands_are_refused_by_name(world: World) -> None:
    with pytest.raises(BrsError, match="left_arm"):
        world.command_joints("left_amr", np.zeros(6))
    with pytest.raises(BrsError, match="6 finite"):
        world.command_joints("left_arm", np.array([0, 0, 0, 0, 0, np.nan]))
    with pytest.raises(BrsError, match="left_gripper"):
        world.command_gripper("left_griper", 5.0)
    with pytest.raises(BrsError, match="finite"):
        world.command_base(np.inf, 0.0, 0.0)
    with pytest.raises(ConfigError, match="shelves"):
        World(R1, "shelfs")


velocities = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-2, 2))


@given(velocities)
def test_wheels_roll_without_slip(velocity: tuple[float, float, float]) -> None:
    positions = R1.base.wheel_positions
    angles, speeds = wheel_motion(np.array(velocity), positions, 0.07)
    vx, vy, wz = velocity
    for (x, y), angle, speed in zip(positions, angles, speeds, strict=True):
        assert abs(angle) <= np.pi / 2 + 1e-6
        rolled = 0.07 * speed * np.array([np.cos(angle), np.sin(angle)])
        ground = np.cross([0.0, 0.0, wz], [x, y, 0.0])[:2] + np.array([vx, vy])
        assert rolled == pytest.approx(ground, abs=1e-9)
