"""Generated homes: repeatable, at rest, drivable by two independent checks, and solvable."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.config import build, config_folder, load_yaml
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_sim.homes.catalogue import KINDS
from brs_sim.homes.floor import Floor, Rectangle
from brs_sim.homes.plan import Plan, draw_plan
from brs_sim.model import robot_root
from brs_sim.operator.reach import Reach
from brs_sim.tasks import make_task, task_names
from brs_sim.tasks.deeds import perform
from brs_sim.tasks.home import Home, HomeConfig
from brs_sim.world import World

R1 = load_embodiment("r1")
VALUES = load_yaml(config_folder() / "tasks" / "home.yaml")
SHAPE = build(HomeConfig, VALUES, "home").plan


def plan_of(seed: int) -> Plan:
    return draw_plan(np.random.default_rng(seed), SHAPE)


def away_from(point: np.ndarray, thing: Rectangle) -> float:
    """Distance [m] of a point from a rectangle, by clamping."""
    nearest = np.minimum(np.maximum(point, thing.low), thing.high)
    return float(np.hypot(*(point - nearest)))


def robot_touches(world: World) -> set[str]:
    """Bodies other than itself and the floor that the robot overlaps in this state."""
    model, data = world.model, world._data
    root = model.body(robot_root(model)).id
    found = set()
    for pair in model.geom_bodyid[data.contact.geom.reshape(-1, 2)]:
        own = model.body_rootid[pair] == root
        if own.any() and not own.all():
            found.add(model.body(pair[~own][0]).name)
    return found - {"world"}


def solid_shapes(model: mujoco.MjModel, body: str) -> list[int]:
    return [
        g
        for g in range(model.ngeom)
        if model.geom_bodyid[g] == model.body(body).id and model.geom_contype[g]
    ]


class TestPlan:
    @given(st.integers(0, 2**31 - 1))
    @settings(max_examples=12, deadline=None)
    def test_no_piece_stands_in_another_or_in_a_doorway(self, seed: int) -> None:
        plan = plan_of(seed)
        assert SHAPE.rooms[0] <= len(plan.rooms) <= SHAPE.rooms[1]
        for i, piece in enumerate(plan.pieces):
            room, own = plan.rooms[piece.room].area, piece.footprint
            assert np.all(own.low >= room.low) and np.all(own.high <= room.high)
            assert np.all(own.size <= KINDS[piece.kind].size[1][[0, 1]].max())
            for other in plan.pieces[i + 1 :]:
                gap = np.maximum(own.low - other.footprint.high, other.footprint.low - own.high)
                assert gap.max() > 0.02
            for door in plan.doorways:
                assert not own.overlaps(door.leaf())
        assert len({piece.name for piece in plan.pieces}) == len(plan.pieces)

    @given(st.integers(0, 2**31 - 1))
    @settings(max_examples=6, deadline=None)
    def test_a_way_as_wide_as_the_robot_leads_to_every_station(self, seed: int) -> None:
        plan = plan_of(seed)
        assert {room.kind for room in plan.rooms} >= {"living", "kitchen"}
        for station in plan.stations.values():
            path = plan.floor().path(plan.start, station[:2])
            assert path is not None
            steps = np.abs(np.diff(path, axis=0)).sum(axis=1)
            assert steps == pytest.approx(0.05, abs=1e-6)
            for spot in path[::4]:
                away = [away_from(spot, thing) for thing in plan.obstacles]
                walls = [*(spot - plan.area.low), *(plan.area.high - spot)]
                assert min(*away, *walls) >= SHAPE.robot_width_m / 2 - 1e-6

    def test_same_seed_same_plan(self) -> None:
        first, same, other = plan_of(3), plan_of(3), plan_of(4)
        assert [p.name for p in first.pieces] == [p.name for p in same.pieces]
        assert all(
            map(np.array_equal, [p.place for p in first.pieces], [p.place for p in same.pieces])
        )
        assert np.array_equal(first.start, same.start)
        assert not np.array_equal(first.area.high, other.area.high)

    def test_what_blocks_a_doorway_is_noticed(self) -> None:
        plan = plan_of(0)
        door = plan.doorways[0]
        chair = replace(plan.pieces[0], place=door.middle, size=np.array([0.5, 0.5, 0.5]))
        blocked = replace(plan, pieces=(*plan.pieces, chair), _floors={})
        assert plan.is_drivable()
        lost = replace(plan, start=plan.pieces[0].place, _floors={})
        assert not lost.is_drivable()
        assert not blocked.is_drivable()

    @pytest.mark.parametrize(
        "change",
        [{"rooms": [3, 2]}, {"pieces": [0, 2]}, {"doorway_m": [0.9, 1.2]}, {"wheels": 4}],
    )
    def test_a_malformed_shape_is_refused(self, change: dict[str, object]) -> None:
        with pytest.raises(ConfigError, match=next(iter(change))):
            build(HomeConfig, VALUES | {"plan": VALUES["plan"] | change}, "home")

    def test_too_many_rooms_are_told(self) -> None:
        with pytest.raises(ValueError, match="larger"):
            draw_plan(np.random.default_rng(0), replace(SHAPE, rooms=(12, 12)))


class TestFloor:
    @given(st.integers(0, 2**31 - 1), st.floats(0.05, 0.5))
    @settings(max_examples=30, deadline=None)
    def test_free_means_free(self, seed: int, radius: float) -> None:
        """Against distances to each rectangle: never free where the disc would touch one."""
        random = np.random.default_rng(seed)
        area = Rectangle(np.zeros(2), np.array([3.0, 2.0]))
        corners = random.uniform(0, 2, (4, 2))
        things = [Rectangle(low, low + random.uniform(0.05, 0.8, 2)) for low in corners]
        floor = Floor(area, things, radius)
        for spot in random.uniform([0, 0], [3, 2], (60, 2)):
            spot = (np.floor(spot / 0.05) + 0.5) * 0.05
            away = min(*(away_from(spot, thing) for thing in things), *spot, *(area.high - spot))
            if floor.joins(spot[None]):
                assert away >= radius - 1e-9
            else:
                assert away <= radius + 0.11  # cells are 5 cm

    def test_two_halves_do_not_hang_together(self) -> None:
        area = Rectangle(np.zeros(2), np.array([3.0, 1.0]))
        wall = Rectangle(np.array([1.4, 0.0]), np.array([1.5, 0.7]))
        ends = np.array([[0.5, 0.5], [2.5, 0.5]])
        assert Floor(area, [wall], 0.1).joins(ends)
        assert not Floor(area, [wall], 0.2).joins(ends)
        assert Floor(area, [wall], 0.2).path(*ends) is None


class TestScene:
    @pytest.mark.parametrize("seed", range(6))
    def test_at_rest_and_unsolved(self, seed: int) -> None:
        world = World(R1, "home", seed)
        before, turned = world.objects(), world.fixtures()
        assert world.penetration_m() < 2e-3
        assert not robot_touches(world)
        world.step(0.5)
        for name, (position, _) in world.objects().items():
            assert position == pytest.approx(before[name][0], abs=2e-3), name
        for name, value in world.fixtures().items():
            assert value == pytest.approx(turned[name], abs=2e-3), name
        assert world.penetration_m() < 2e-3
        assert world.task_status().score == 0.0
        assert not world.violations()

    @pytest.mark.parametrize("seed", range(3))
    def test_robot_drives_to_every_station_without_touching(self, seed: int) -> None:
        """Its real shapes, headings at random, moved along the paths of the plan."""
        world = World(R1, "home", seed)
        assert isinstance(world.task, Home)
        plan, random = world.task.plan, np.random.default_rng(seed)
        for name, station in plan.stations.items():
            path = plan.floor().path(plan.start, station[:2])
            assert path is not None
            for spot in path[::6]:
                world.chassis.place(np.append(spot, random.uniform(-np.pi, np.pi)))
                mujoco.mj_forward(world.model, world._data)
                assert not robot_touches(world), (name, spot)

    @pytest.mark.parametrize("seed", range(3))
    def test_every_door_and_drawer_opens_and_shuts(self, seed: int) -> None:
        """By distances of shapes, as contacts between a piece and its parts are left out."""
        world = World(R1, "home", seed)
        model, data = world.model, world._data
        doors = {door.name for door in world.task.plan.doorways}
        for name in world.fixtures():
            around = "walls" if name in doors else model.body(model.body(name).parentid[0]).name
            low, high = model.joint(name).range
            for share in (0.0, 0.3, 0.7):
                world.turn_fixture(name, low + share * (high - low))
                for one in solid_shapes(model, name):
                    for other in solid_shapes(model, around):
                        gap = mujoco.mj_geomDistance(model, data, one, other, 0.01, None)
                        assert gap > -1e-6, (name, share)

    def test_depends_on_the_seed_alone(self) -> None:
        first, same, other = (World(R1, "home", seed) for seed in (4, 4, 5))
        for world in (first, same):
            world.command_base(0.3, 0.1, 0.2)
            world.step(0.2)
        assert np.array_equal(first.snapshot().qpos, same.snapshot().qpos)
        assert np.array_equal(first.model.geom_rgba, same.model.geom_rgba)
        assert first.model.ngeom != other.model.ngeom

    @pytest.mark.parametrize("seed", range(3))
    def test_solution_done_by_hand_succeeds_in_order_only(self, seed: int) -> None:
        world = World(R1, "home", seed)
        perform(world, world.task.solution())
        assert world.task_status().success
        world.reset(seed)
        perform(world, reversed(world.task.solution()))
        assert not world.task_status().success

    @pytest.mark.parametrize("seed", range(2))
    def test_the_thing_and_its_mat_are_within_reach(self, seed: int) -> None:
        world, reach = World(R1, "home", seed), Reach(R1)
        for grasp in world.task.grasps():
            found = reach.solve(world, grasp)
            assert found.position_error_m < 0.005, grasp.name
            assert found.angle_error_rad < 0.05, grasp.name
            assert found.overlap_m < 0.002, (grasp.name, found.overlap)

    def test_a_thing_beside_the_mat_does_not_count(self) -> None:
        world = World(R1, "home", 1)
        deeds = list(world.task.solution())
        position, turn = deeds[3].objects["wanted"]
        beside = position + np.array([0.2, 0.0, 0.0])
        deeds[3] = replace(deeds[3], objects={"wanted": (beside, turn)})
        perform(world, deeds)
        assert world.task_status().done == (True, True, True, False)

    def test_home_is_no_part_of_the_benchmark(self) -> None:
        assert "home" not in task_names()
        assert task_names(generated=True) == ("home",)
        assert make_task("home", R1, 0).name == "home"
