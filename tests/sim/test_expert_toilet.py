"""Skills of the toilet's expert on small scenes, and one whole episode."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brs_hardware.embodiment import load_embodiment
from brs_sim.geometry import tool_pose
from brs_sim.operator.motions import yaw_of
from brs_sim.operator.rollout import Delays, roll_out
from brs_sim.operator.surfaces import (
    Hinge,
    Wiping,
    along,
    fist_reach,
    pose_of,
    stance,
    withdrawn,
)
from brs_sim.tasks.furniture import turned
from brs_sim.world import World

R1 = load_embodiment("r1")
angles = st.floats(-3.0, 3.0)


@given(angles, st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
def test_a_stance_has_its_place_ahead_and_aside(yaw: float, ahead: float, left: float) -> None:
    place = np.array([1.0, -2.0, 0.4])
    base = stance(place, yaw, ahead, left)
    seen = tool_pose(np.append(base[:2], 0.0), base[2], 0.0) @ [ahead, left, 0.4, 1.0]
    assert seen[:3] == pytest.approx(place)


@given(angles, st.floats(-1.4, 1.4), angles)
def test_a_hand_is_withdrawn_the_way_it_points(yaw: float, pitch: float, roll: float) -> None:
    pose = tool_pose(np.array([0.3, 0.2, 0.9]), yaw, pitch, roll)
    back = withdrawn(pose, 0.12)
    assert back @ [0.12, 0.0, 0.0, 1.0] == pytest.approx(pose[:, 3])
    assert back[:3, :3] == pytest.approx(pose[:3, :3])


@given(angles, st.floats(-1.5, 1.5), angles)
def test_a_fist_reaches_as_far_as_its_farthest_corner(
    yaw: float, pitch: float, roll: float
) -> None:
    corners = np.array([[x, y, z] for x in (-0.038, 0.018) for y in (-1, 1) for z in (-1, 1)])
    corners *= [1.0, 0.016, 0.018]
    pose = tool_pose(np.zeros(3), yaw, pitch, roll)
    down = np.array([0.0, 0.0, -1.0])
    farthest = max(float(down @ (pose[:3, :3] @ corner)) for corner in corners)
    assert fist_reach(pose, down) == pytest.approx(farthest)


def test_the_fist_is_that_of_the_robot() -> None:
    world = World(R1, "toilet", 0)
    model, data = world.model, mujoco.MjData(world.model)
    for joint in R1.left_gripper.joints:
        data.joint(joint).qpos[0] = 0.0
    mujoco.mj_kinematics(model, data)
    tool = data.body("left_tcp").xmat.reshape(3, 3)
    shapes = [i for i in range(model.ngeom) if model.geom_contype[i] and "left_gripper_finger" in
              model.body(model.geom_bodyid[i]).name]  # fmt: skip
    for direction in np.eye(3):
        outward = tool @ direction
        farthest = max(
            outward @ (data.geom_xpos[i] - data.body("left_tcp").xpos)
            + np.abs(outward @ data.geom_xmat[i].reshape(3, 3)) @ model.geom_size[i]
            for i in shapes
        )
        assert fist_reach(tool, outward) == pytest.approx(farthest, abs=2e-3)


@given(st.floats(0.0, 1.0))
def test_along_goes_through_every_corner_at_an_even_pace(share: float) -> None:
    place = along(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]]))
    gone = 4.0 * share
    expected = [gone, 0.0] if gone < 3.0 else [3.0, gone - 3.0]
    assert place(share) == pytest.approx(expected)


@pytest.mark.parametrize(("task", "part", "axis"), [("toilet", "lid", 1.0), ("party", "door", -1)])
def test_a_hinge_turns_as_the_simulated_one_does(task: str, part: str, axis: float) -> None:
    world = World(R1, task, 2)
    closed = world.objects()[part]
    hinge = Hinge(closed[0], np.array([0.0, axis, 0.0]))
    world.turn_fixture(part, 1.1)
    position, quaternion = world.objects()[part]
    assert hinge.angle(quaternion) == pytest.approx(world.fixtures()[part])
    corner = np.array([-0.3, 0.1, 0.2])
    assert hinge.turned(closed[0] + corner, 1.1) == pytest.approx(
        (pose_of(position, quaternion) @ [*corner, 1.0])[:3]
    )


@given(angles)
def test_pose_of_a_thing_that_lies_flat(yaw: float) -> None:
    pose = pose_of(np.array([1.0, 2.0, 3.0]), turned(yaw))
    assert pose == pytest.approx(tool_pose(np.array([1.0, 2.0, 3.0]), yaw_of(turned(yaw)), 0.0))


def test_wiping_counts_what_the_tool_lay_on() -> None:
    spots = np.array([[0.0, 0.0, 0.4], [0.2, 0.0, 0.4], [0.4, 0.0, 0.4], [0.6, 0.0, 0.4]])
    wiping = Wiping(spots, 0.07)
    wiping.look(np.array([0.03, 0.03, 0.42]), 0.42)  # over it, not on it
    assert not wiping.clean.any()
    wiping.look(np.array([0.03, 0.03, 0.42]), 0.4005)
    assert wiping.clean.tolist() == [True, False, False, False]
    assert wiping.passed(np.array([[-0.1, 0.0], [0.1, 0.0]]))
    assert not wiping.passed(np.array([[-0.1, 0.0], [0.25, 0.0]]))
    wiping.look(np.array([0.2, 0.0, 0.42]), 0.4)
    wiping.tries = 1
    assert not wiping.enough  # a first time, all but one are wanted
    wiping.tries = 2
    assert wiping.enough
    wiping.tries = 1
    wiping.look(np.array([0.4, 0.0, 0.42]), 0.4)
    assert wiping.enough


@pytest.mark.timeout(300)
def test_the_toilet_is_cleaned() -> None:
    lid: list[float] = []
    rollout = roll_out(
        R1,
        "toilet",
        seed=3,
        delays=Delays(sight_s=0.02, command_s=0.01, jitter_s=0.006),
        watch=lambda world: lid.append(world.fixtures()["lid"]),
    )
    assert rollout.finished
    assert rollout.done == (True,) * 6
    assert max(lid) > 1.6  # lifted past its balance, and lowered again
    assert abs(lid[-1]) < 0.02
