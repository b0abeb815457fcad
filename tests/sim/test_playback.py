"""A recording is drawn as it was: robot, things, and how far doors and lids were open."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_sim.playback import posed
from brs_sim.tasks import task_names
from brs_sim.world import World

R1 = load_embodiment("r1")


@pytest.mark.parametrize("name", task_names())
def test_posed_scene_is_the_recorded_one(name: str) -> None:
    world = World(R1, name, 3)
    random = np.random.default_rng(1)
    world.chassis.place(np.array([-0.4, 0.2, 0.7]))
    for part in world.task.fixtures:
        low, high = world.model.joint(part).range
        world.turn_fixture(part, float(random.uniform(0.3 * low, 0.8 * high)))
    for i, thing in enumerate(world.task.objects):
        turn = random.normal(size=4)
        place = np.array([-0.9, 0.3 + 0.5 * i, 1.0])
        world.place_object(thing, (place, turn / np.linalg.norm(turn)))
    fresh = World(R1, name, 3)
    again = posed(fresh, world.whole_body_state(), world.objects())
    recorded = world.snapshot().qpos
    assert again.qpos == pytest.approx(recorded, abs=1e-6)
    untouched = posed(fresh, fresh.whole_body_state(), {})
    assert untouched.qpos == pytest.approx(fresh.snapshot().qpos, abs=1e-6)
    if world.task.fixtures:
        assert not np.allclose(untouched.qpos, recorded, atol=0.05)
