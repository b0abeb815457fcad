"""Physics stays sound: nothing creeps, sinks in or gains energy; and what does is noticed."""

from __future__ import annotations

import pytest

from brs_hardware.embodiment import load_embodiment
from brs_sim.tasks import task_names
from brs_sim.tasks.endurance import endure
from brs_sim.world import World

R1 = load_embodiment("r1")


@pytest.mark.parametrize("name", task_names())
def test_scene_stays_sound_while_the_robot_moves(name: str) -> None:
    worst = endure(World(R1, name, 8), duration_s=8.0)
    assert worst.overlap_m < 2e-3
    assert worst.speed_m_s < 0.02
    assert worst.drift_m < 5e-3
    assert worst.is_sound


def test_what_moves_by_itself_is_noticed() -> None:
    world = World(R1, "party", 0)
    push = world.model.joint("bowl_left").dofadr[0]
    world._data.qfrc_applied[push] = 3.0  # [N], more than friction holds
    assert not endure(world, duration_s=0.5).is_sound
