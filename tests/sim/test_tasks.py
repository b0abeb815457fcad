"""Every registered task: repeatable, at rest, sound, unsolved at first, solvable, in order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from brs_hardware.config import build, config_folder, load_yaml
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_sim.tasks import make_task, task_names
from brs_sim.tasks.deeds import perform
from brs_sim.tasks.rules import StagedTask
from brs_sim.tasks.shelves import ShelvesConfig
from brs_sim.world import World

R1 = load_embodiment("r1")


@pytest.mark.parametrize("name", task_names())
class TestEveryTask:
    def test_scene_depends_on_the_seed_alone(self, name: str) -> None:
        first, same, other = (World(R1, name, seed) for seed in (4, 4, 5))
        assert np.array_equal(first.snapshot().qpos, same.snapshot().qpos)
        assert np.array_equal(first.model.geom_rgba, same.model.geom_rgba)
        assert np.array_equal(first.model.light_diffuse, same.model.light_diffuse)
        assert not np.array_equal(first.snapshot().qpos, other.snapshot().qpos)
        assert not np.array_equal(first.model.light_diffuse, other.model.light_diffuse)
        other.reset(4)
        assert np.array_equal(first.snapshot().qpos, other.snapshot().qpos)

    def test_same_commands_give_the_same_motion(self, name: str) -> None:
        ends = []
        for _ in range(2):
            world = World(R1, name, 6)
            world.command_base(0.3, 0.1, 0.2)
            world.command_joints("torso", np.array([0.5, -0.9, -0.5, 0.4]))
            world.step(0.4)
            ends.append(world.snapshot().qpos)
        assert np.array_equal(ends[0], ends[1])

    @pytest.mark.parametrize("seed", range(5))
    def test_scene_is_at_rest_and_unsolved(self, name: str, seed: int) -> None:
        world = World(R1, name, seed)
        before = world.objects()
        assert not world.task_status().success
        assert world.penetration_m() < 2e-3
        world.step(0.5)
        for body, (position, _) in world.objects().items():
            assert position == pytest.approx(before[body][0], abs=2e-3)
        assert world.penetration_m() < 2e-3
        status = world.task_status()
        assert not any(status.done)
        assert status.score == 0.0
        assert len(status.done) == len(status.subtasks)
        assert not world.violations()

    @pytest.mark.parametrize("seed", range(3))
    def test_solution_done_by_hand_succeeds(self, name: str, seed: int) -> None:
        world = World(R1, name, seed)
        scores = []
        for deed in world.task.solution():
            perform(world, [deed])
            scores.append(world.task_status().score)
        status = world.task_status()
        assert status.success
        assert all(status.done)
        assert status.score == 1.0
        assert all(after >= before for before, after in pairwise(scores))

    def test_doing_nothing_scores_nothing(self, name: str) -> None:
        world = World(R1, name, 7)
        world.step(3.0)
        assert world.task_status().score == 0.0

    def test_file_says_what_the_task_needs(self, name: str) -> None:
        task = make_task(name, R1, 0)
        values = load_yaml(config_folder() / "tasks" / f"{name}.yaml")
        with pytest.raises(ConfigError, match="unknown key"):
            build(task.config_type, values | {"extra": 1}, name)
        for key in values:
            with pytest.raises(ConfigError, match=key):
                build(task.config_type, {k: v for k, v in values.items() if k != key}, name)

    def test_unknown_things_are_refused_by_name(self, name: str) -> None:
        world = World(R1, name, 0)
        with pytest.raises(BrsError, match=world.task.objects[0]):
            world.place_object(f"{world.task.objects[0]}x", (np.zeros(3), np.zeros(4)))
        with pytest.raises(BrsError, match="unknown part"):
            world.turn_fixture("nothing", 0.0)


def test_unknown_task_lists_the_nearest() -> None:
    with pytest.raises(ConfigError, match="shelves"):
        make_task("shelve", R1, 0)


def test_later_sub_tasks_do_not_count_before_earlier_ones() -> None:
    for name in task_names():
        world = World(R1, name, 1)
        if not isinstance(world.task, StagedTask):
            continue
        perform(world, reversed(world.task.solution()))
        assert not world.task_status().success, name


def test_box_in_the_air_or_in_motion_is_not_put_away() -> None:
    world = World(R1, "shelves", 0)
    box = world.task.subtasks.index("box_left on shelf")
    position, turn = world.task.solution()[0].objects["box_left"]
    world.place_object("box_left", (position + np.array([0.0, 0.0, 0.05]), turn))
    world.step(0.02)
    assert not world.task_status().done[box]
    assert not world.task_status().done[0]  # what falls was not lifted
    world.step(0.5)
    assert world.task_status().done[box]
    assert not world.task_status().success


def test_a_configuration_of_ones_own_is_drawn_from() -> None:
    values = load_yaml(config_folder() / "tasks" / "shelves.yaml")
    values["box_mass"] = [0.11, 0.11]
    config = build(ShelvesConfig, values, "own")
    world = World(R1, "shelves", 0, config)
    assert world.model.body("box_left").mass[0] == pytest.approx(0.11)
