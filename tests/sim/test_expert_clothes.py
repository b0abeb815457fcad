"""The expert for `clothes`: where it believes things to be, and the first half of an episode."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_sim.operator.clothes import ClothesScript
from brs_sim.operator.rollout import Delays, roll_out
from brs_sim.tasks.clothes import Clothes
from brs_sim.tasks.deeds import perform
from brs_sim.world import World

R1 = load_embodiment("r1")


def script_in(world: World) -> ClothesScript:
    script = ClothesScript(R1, world.seed)
    script.hands.see(0.0, world.whole_body_state(), world.objects())
    return script


@pytest.mark.parametrize("seed", range(4))
def test_it_knows_handle_and_shoulder(seed: int) -> None:
    world = World(R1, "clothes", seed)
    script = script_in(world)
    handle, shoulder, _ = (grasp.tool[:3, 3] for grasp in world.task.grasps())
    assert script._handle() == pytest.approx(handle)
    assert script._shoulder() == pytest.approx(shoulder)
    world.turn_fixture("door", 1.1)
    script = script_in(world)
    assert script._angle() == pytest.approx(1.1)
    model, data = world.model, world._data
    rods = [
        data.geom_xpos[g][:2]
        for g in range(model.ngeom)
        if model.body(model.geom_bodyid[g]).name == "door" and model.geom_size[g][0] == 0.009
    ]
    assert script._handle()[:2] == pytest.approx(rods[0], abs=1e-6)


def test_it_sees_how_far_it_has_come() -> None:
    world = World(R1, "clothes", 2)
    assert isinstance(world.task, Clothes)
    script = script_in(world)
    assert script._hangs()
    assert not script._is_laid()
    assert not script._holds()
    perform(world, world.task.solution()[:4])
    script = script_in(world)
    assert script._is_laid()
    assert not script._hangs()
    along = script._along_shoulders()
    across = world._data.body("jacket").xmat.reshape(3, 3)[:2, 0]
    assert along == pytest.approx(across / np.linalg.norm(across))


def test_the_wardrobe_is_opened_and_the_jacket_taken() -> None:
    delays = Delays(sight_s=0.02, command_s=0.01, jitter_s=0.006)
    rollout = roll_out(R1, "clothes", seed=1, delays=delays, limit_s=46.0)
    assert rollout.done[:2] == (True, True)
