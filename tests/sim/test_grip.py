"""What the tasks want moved can be gripped and lifted by contact alone, on the real physics."""

from __future__ import annotations

import mink
import mujoco
import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_sim.operator.hands import GRIPPERS
from brs_sim.operator.reach import Reach, Reached
from brs_sim.tasks import Grasp
from brs_sim.tasks.rules import Aloft
from brs_sim.world import World

R1 = load_embodiment("r1")
LIFT_M, STEPS = 0.10, 10


@pytest.fixture(scope="module")
def reach() -> Reach:
    return Reach(R1)


def command(world: World, reach: Reach, qpos: np.ndarray) -> None:
    for name in R1.GROUPS:
        joints = R1.group(name).joints
        world.command_joints(name, np.array([qpos[reach.joints.index(j)] for j in joints]))


def take_posture(world: World, reach: Reach, reached: Reached) -> None:
    """The robot is there at once, its servos too."""
    for name, value in zip(reach.joints, reached.qpos, strict=True):
        world._data.joint(name).qpos[0] = value
    world.chassis.place(reached.qpos[:3])
    command(world, reach, reached.qpos)
    world._data.ctrl[world._ctrl] = world._all_targets
    mujoco.mj_forward(world.model, world._data)


def raised(reach: Reach, reached: Reached, tool: np.ndarray) -> np.ndarray:
    """(n,) joints of the posture with the tool at (4, 4), found from the posture reached."""
    tools = {"left_arm": "left_tcp", "right_arm": "right_tcp"}
    configuration = mink.Configuration(reach._model, reached.qpos)
    task = mink.FrameTask(tools[reached.arm], "body", position_cost=1.0, orientation_cost=0.3)
    task.set_target(mink.SE3.from_matrix(tool))
    base = mink.DampingTask(reach._model, cost=np.pad([1e3] * 3, (0, reach._model.nv - 3)))
    for _ in range(20):
        velocity = mink.solve_ik(
            configuration, [task, base], 0.05, "daqp", damping=1e-3, limits=reach._limits
        )
        configuration.integrate_inplace(velocity, 0.05)
    return np.asarray(configuration.q)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize(
    ("task", "grasp_name", "thing"),
    [
        ("shelves", "box_left", "box_left"),
        ("trash", "neck of the bag", "bag"),
        ("toilet", "sponge", "sponge"),
        ("clothes", "shoulder of the jacket", "jacket"),
        ("party", "rim of bowl_left", "bowl_left"),
        ("party", "rim of bowl_right", "bowl_right"),
    ],
)
def test_it_is_gripped_and_lifted(
    reach: Reach, task: str, grasp_name: str, thing: str, seed: int
) -> None:
    world = World(R1, task, seed)
    grasp: Grasp = next(g for g in world.task.grasps() if g.name == grasp_name)
    reached = reach.solve(world, grasp)
    take_posture(world, reach, reached)
    gripper = GRIPPERS[reached.arm]
    world.command_gripper(gripper, 0.0)
    world.step(0.8)
    assert world.feedback().grippers[gripper].stroke_mm > 3.0  # something is between the fingers
    before = world.objects()[thing][0]
    for up in np.linspace(0.0, LIFT_M, STEPS):
        tool = grasp.tool.copy()
        tool[2, 3] += up
        if task == "clothes":  # the hook is led off the rod towards the robot
            tool[0, 3] -= 2.0 * max(up - 0.035, 0.0)
        command(world, reach, raised(reach, reached, tool))
        world.step(0.12)
    held = Aloft(thing)
    for _ in range(60):
        world.step(0.01)
        lifted = held(world.model, world._data)
    assert lifted
    assert world.objects()[thing][0][2] > before[2] + 0.5 * LIFT_M
    assert not [v for v in world.violations() if v.kind == "power loss"]
