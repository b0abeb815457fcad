"""The robot can bring a hand to every place at which a task needs one, in scenes of 20 seeds."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics
from brs_sim.model import floor_to_base
from brs_sim.operator.hands import TOOLS
from brs_sim.operator.motions import planar_pose
from brs_sim.operator.reach import Reach, Reached
from brs_sim.tasks import Grasp, task_names
from brs_sim.world import World

R1 = load_embodiment("r1")
SEEDS = range(20)
NEAR_M, ALONG_RAD, OVERLAP_M = 0.005, 0.05, 0.002


@pytest.fixture(scope="module")
def reach() -> Reach:
    return Reach(R1)


def pose_reached(world: World, reached: Reached) -> np.ndarray:
    """Pose (4, 4) of the tool in the world, by kinematics that know nothing of the search."""
    model = world.model
    order = {name: i for i, name in enumerate(Reach(R1).joints)}
    joints = {
        name: np.array([reached.qpos[order[joint]] for joint in R1.group(name).joints])
        for name in R1.GROUPS
    }
    for name in R1.GROUPS:
        assert np.all(joints[name] >= R1.group(name).lower - 1e-6)
        assert np.all(joints[name] <= R1.group(name).upper + 1e-6)
    assert model.nq > len(order)
    base = planar_pose(reached.qpos[:3], floor_to_base(R1))
    return np.asarray(base @ Kinematics(R1).pose(TOOLS[reached.arm], joints))


@pytest.mark.parametrize("name", task_names())
def test_every_grasp_is_reached_clear_of_the_furniture(name: str, reach: Reach) -> None:
    for seed in SEEDS:
        world = World(R1, name, seed)
        for grasp in world.task.grasps():
            found = reach.solve(world, grasp)
            case = f"{grasp.name}, seed {seed}: {found.overlap}"
            assert found.position_error_m < NEAR_M, case
            assert found.angle_error_rad < ALONG_RAD, case
            assert found.overlap_m < OVERLAP_M, case
            if seed == 0:
                assert pose_reached(world, found) == pytest.approx(grasp.tool, abs=NEAR_M), case
                assert found.qpos[:3] == pytest.approx(grasp.stance, abs=1e-3)


def test_what_is_out_of_reach_or_in_the_way_is_told(reach: Reach) -> None:
    world = World(R1, "shelves", 0)
    box = world.task.grasps()[0]
    far = Grasp("far", box.tool + np.pad([[2.0]], ((0, 3), (3, 0))), box.stance)
    assert reach.solve(world, far).position_error_m > 0.1
    in_the_shelf = Grasp("inside", box.tool, np.array([0.0, 1.4, 0.0]))
    found = reach.solve(world, in_the_shelf)
    assert found.overlap_m > 0.02
    assert "shelf" in found.overlap or "walls" in found.overlap
