"""Every registered task: repeatable, at rest, unsolved at first, solvable."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_sim.tasks import make_task, task_names
from brs_sim.world import World

R1 = load_embodiment("r1")


@pytest.mark.parametrize("name", task_names())
class TestEveryTask:
    def test_scene_depends_on_the_seed_alone(self, name: str) -> None:
        first, same, other = (World(R1, name, seed) for seed in (4, 4, 5))
        assert np.array_equal(first.snapshot().qpos, same.snapshot().qpos)
        assert np.array_equal(first.model.geom_rgba, same.model.geom_rgba)
        assert not np.array_equal(first.snapshot().qpos, other.snapshot().qpos)
        other.reset(4)
        assert np.array_equal(first.snapshot().qpos, other.snapshot().qpos)

    @pytest.mark.parametrize("seed", range(5))
    def test_scene_is_at_rest_and_unsolved(self, name: str, seed: int) -> None:
        world = World(R1, name, seed)
        before = world.objects()
        assert not world.task_status().success
        world.step(0.5)
        for body, (position, _) in world.objects().items():
            assert position == pytest.approx(before[body][0], abs=2e-3)
        assert world.penetration_m() < 1e-3
        status = world.task_status()
        assert not any(status.done)
        assert len(status.done) == len(status.subtasks)

    @pytest.mark.parametrize("seed", range(2))
    def test_solution_put_there_by_hand_succeeds(self, name: str, seed: int) -> None:
        world = World(R1, name, seed)
        for body, pose in world.task.solution().items():
            world.place_object(body, pose)
        world.step(0.3)
        status = world.task_status()
        assert status.success
        assert all(status.done)
        assert status.time_s == pytest.approx(0.3)

    def test_one_object_less_is_no_success(self, name: str) -> None:
        world = World(R1, name, 0)
        for body, pose in list(world.task.solution().items())[1:]:
            world.place_object(body, pose)
        world.step(0.3)
        assert not world.task_status().success


def test_unknown_task_lists_the_nearest() -> None:
    with pytest.raises(ConfigError, match="shelves"):
        make_task("shelve", R1, 0)


def test_box_in_the_air_or_in_motion_is_not_put_away() -> None:
    world = World(R1, "shelves", 0)
    position, turn = world.task.solution()["box_left"]
    world.place_object("box_left", (position + np.array([0.0, 0.0, 0.05]), turn))
    world.step(0.02)
    assert not world.task_status().done[0]
    world.step(0.5)
    assert world.task_status().done[0]
