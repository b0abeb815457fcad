"""Each rule of each sub-task, broken on purpose in an otherwise perfect run; and mechanisms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_sim.tasks import Deed, task_names
from brs_sim.tasks.deeds import perform
from brs_sim.tasks.rules import Near, StagedTask, Wiped
from brs_sim.violations import ViolationCounter
from brs_sim.world import World

R1 = load_embodiment("r1")
FAR = np.array([-1.2, 0.0, np.pi])
Break = Callable[[list[Deed]], list[Deed]]


def without(*indices: int) -> Break:
    return lambda deeds: [deed for i, deed in enumerate(deeds) if i not in indices]


def changed(index: int, **changes: object) -> Break:
    def change(deeds: list[Deed]) -> list[Deed]:
        return [replace(d, **changes) if i == index else d for i, d in enumerate(deeds)]  # type: ignore[arg-type]

    return change


def moved(index: int, by: tuple[float, float, float], *names: str) -> Break:
    """The deed puts these things (or all) somewhere else."""

    def change(deeds: list[Deed]) -> list[Deed]:
        objects = {
            name: (position + np.array(by) * (not names or name in names), turn)
            for name, (position, turn) in deeds[index].objects.items()
        }
        return changed(index, objects=objects)(deeds)

    return change


def after(first: Break, second: Break) -> Break:
    return lambda deeds: second(first(deeds))


def only(index: int, name: str) -> Break:
    """The deed moves nothing but this."""
    return lambda deeds: changed(index, objects={name: deeds[index].objects[name]})(deeds)


# task, sub-task that fails, how the solution is spoilt. What comes before it still counts.
BROKEN: list[tuple[str, int, Break]] = [
    ("trash", 0, lambda deeds: [replace(d, hold_s=min(d.hold_s, 0.05)) for d in deeds]),
    ("trash", 1, changed(1, base_pose=FAR)),
    ("trash", 1, moved(1, (0.0, 0.0, -0.4))),  # drags over the floor
    ("trash", 2, after(changed(2, fixtures={"lever": 0.9, "door": 1.0}), changed(3, fixtures={}))),
    ("trash", 3, moved(4, (0.55, 0.0, 0.0))),  # beside the bin
    ("trash", 3, after(changed(4, hold_s=0.3), without(5))),  # never let fall
    ("toilet", 0, changed(0, hold_s=0.3)),
    (
        "toilet",
        1,
        lambda deeds: [replace(d, fixtures=_less(d.fixtures, "lid", 1.2)) for d in deeds],
    ),
    ("toilet", 2, without(3, 4, 6, 7)),
    (
        "toilet",
        2,
        lambda deeds: [
            replace(d, objects={"sponge": deeds[0].objects["sponge"]}) if 2 <= i < 8 else d
            for i, d in enumerate(deeds)
        ],
    ),  # over the seat, in the air
    (
        "toilet",
        3,
        lambda deeds: [
            replace(d, fixtures={"lid": 0.2} if i >= 8 else d.fixtures)
            for i, d in enumerate(deeds)
        ],
    ),
    ("toilet", 4, without(9, 10, 11, 12)),
    ("toilet", 5, changed(-1 + 16, fixtures={"button": 0.003})),
    ("clothes", 0, changed(0, fixtures={"door": 0.9})),
    ("clothes", 1, without(1)),
    ("clothes", 2, moved(2, (0.0, -0.75, -0.35))),  # on the floor before the sofa bed
    ("clothes", 2, moved(2, (0.9, 0.0, 0.0))),  # half over its end
    ("clothes", 3, changed(4, fixtures={"door": 0.2})),
    ("clothes", 3, lambda deeds: [*deeds[:4], replace(deeds[1], hold_s=0.1), *deeds[4:]]),
    (
        "party",
        0,
        lambda deeds: [replace(d, base_pose=None if d.base_pose is None else FAR) for d in deeds],
    ),
    ("party", 1, changed(1, fixtures={"door": 1.1})),
    ("party", 2, without(2)),
    ("party", 3, after(only(3, "bowl_left"), only(4, "bowl_left"))),  # never both at once
    ("party", 4, without(4)),
    ("party", 5, moved(5, (-0.5, 0.0, 0.0), "bowl_right")),
    ("party", 5, without(7)),  # left open
]


def _less(fixtures: dict[str, float], name: str, most: float) -> dict[str, float]:
    return {key: min(value, most) if key == name else value for key, value in fixtures.items()}


@pytest.mark.parametrize(("name", "subtask", "spoil"), BROKEN)
def test_a_broken_rule_is_noticed(name: str, subtask: int, spoil: Break) -> None:
    world = World(R1, name, 2)
    perform(world, spoil(list(world.task.solution())))
    done = world.task_status().done
    assert done == tuple(i < subtask for i in range(len(done)))
    assert not world.task_status().success


def test_every_sub_task_is_broken_at_least_once() -> None:
    for name in task_names():
        task = World(R1, name, 0).task
        if isinstance(task, StagedTask):
            assert {i for n, i, _ in BROKEN if n == name} == set(range(len(task.subtasks)))


@pytest.mark.parametrize("box", ["box_left", "box_middle", "box_right"])
def test_a_box_beside_or_below_the_shelf_does_not_count(box: str) -> None:
    for by in ((0.0, -0.6, 0.3), (0.0, 0.0, 0.1)):  # before the shelf; still falling
        world = World(R1, "shelves", 2)
        perform(world, moved(0, by, box)(list(world.task.solution()))[:1])
        status = world.task_status()
        subtask = status.subtasks.index(f"{box} on shelf")
        assert [i for i, done in enumerate(status.done) if not done] == [subtask]


def test_a_box_that_the_gripper_touches_is_not_let_go() -> None:
    world = World(R1, "shelves", 0)
    perform(world, world.task.solution())
    assert world.task_status().success
    position, _ = world.objects()["box_left"]
    model, data = world.model, world._data
    tool = data.body("left_tcp").xpos
    world.chassis.place(world.chassis.pose() + np.append((position - tool)[:2], 0.0))
    world.place_object("box_left", (np.append(position[:2], tool[2]), np.array([1.0, 0, 0, 0])))
    assert not world.task.status(model, data).success


def test_door_is_latched_until_the_lever_is_pressed() -> None:
    def pushed(lever: float) -> float:
        world = World(R1, "trash", 3)
        world.turn_fixture("lever", lever)
        for _ in range(50):
            if lever:
                world.turn_fixture("lever", lever)
            world._data.qfrc_applied[world.model.joint("door").dofadr[0]] = 15.0  # [N m]
            world.step(0.01)
        return world.fixtures()["door"]

    assert pushed(0.0) < 0.02
    assert pushed(0.3) < 0.02
    assert pushed(0.8) > 0.1


@pytest.mark.parametrize(
    ("name", "joint", "angle"),
    [
        ("trash", "door", 0.9),
        ("clothes", "door", 1.2),
        ("party", "door", 0.7),
        ("toilet", "lid", 1.75),
    ],
)
def test_doors_stay_where_they_are_left(name: str, joint: str, angle: float) -> None:
    world = World(R1, name, 0)
    world.turn_fixture(joint, angle)
    world.step(1.0)
    assert world.fixtures()[joint] == pytest.approx(angle, abs=0.03)


def test_a_half_open_lid_falls_and_a_pressed_button_comes_back() -> None:
    world = World(R1, "toilet", 0)
    world.place_object("sponge", (np.array([0.0, 1.0, 0.5]), np.array([1.0, 0, 0, 0])))
    world.turn_fixture("lid", 0.8)
    world.turn_fixture("button", 0.01)
    world.step(2.0)
    assert world.fixtures()["lid"] < 0.02
    assert world.fixtures()["button"] < 0.001


def test_near_asks_for_distance_and_direction() -> None:
    world = World(R1, "party", 0)
    rule = Near(np.array([2.0, 1.0]), distance=1.0, facing=0.5)
    for pose, near in (
        ((1.2, 1.0, 0.0), True),
        ((1.2, 1.0, 0.45), True),
        ((1.2, 1.0, 0.55), False),
        ((0.9, 1.0, 0.0), False),
        ((2.0, 0.2, np.pi / 2 - 2 * np.pi), True),
        ((2.0, 0.2, -np.pi / 2), False),
    ):
        world.chassis.place(np.array(pose))
        assert rule(world.model, world._data) is near, pose


def test_wiping_counts_spots_in_the_frame_of_what_is_wiped() -> None:
    world = World(R1, "toilet", 0)
    spots = np.array([[-0.1, 0.1, 0.022], [-0.3, 0.1, 0.022]])
    rule = Wiped("sponge", "lid", spots, radius=0.05, share=1.0)
    lid = world._data.body("lid").xpos.copy()
    half = world._data.geom("sponge").id
    up = world.model.geom_size[half][2] - 0.0005
    world.place_object("sponge", (lid + spots[0] + [0, 0, up + 0.02], np.array([1.0, 0, 0, 0])))
    assert not rule(world.model, world._data) and not rule.clean.any()  # does not touch
    for i, spot in enumerate(spots):
        assert not rule(world.model, world._data)
        world.place_object("sponge", (lid + spot + [0, 0, up], np.array([1.0, 0, 0, 0])))
        assert rule(world.model, world._data) is (i == 1)
        assert rule.clean.tolist() == [True, i == 1]


def test_driving_into_furniture_is_counted_once_and_standing_is_not() -> None:
    world = World(R1, "shelves", 0)
    world.step(1.0)
    assert not world.violations()
    for _ in range(40):
        world.command_base(1.0, 0.0, 0.0)
        world.step(0.1)
    found = world.violations()
    assert found and found[0].kind == "collision"
    assert "table" in found[0].what
    assert found[0].amount > world.task.config.violations.collision_force_n
    assert len(found) < 4


def test_a_motor_at_its_limit_counts_after_a_while() -> None:
    world = World(R1, "shelves", 0)
    config = world.task.config.violations
    counter = ViolationCounter(world.model, config)
    data, dof = world._data, world.model.joint("left_arm_joint2").dofadr[0]
    limit = R1.left_arm.max_effort[1]

    def look(share: float, duration_s: float) -> int:
        for _ in range(round(duration_s / 0.01)):
            data.time += 0.01
            data.qfrc_actuator[dof] = -share * limit
            counter.look(data)
        return len(counter.found)

    assert look(0.9, 2.0) == 0
    assert look(1.0, config.overload_s - 0.05) == 0
    assert look(0.5, 0.1) == 0
    assert look(1.0, config.overload_s + 0.05) == 1
    assert look(1.0, 3.0) == 1  # still the same
    assert counter.found[0].kind == "power loss"
    assert counter.found[0].what == "left_arm_joint2"
    assert look(0.0, config.separate_s + 0.05) == 1
    assert look(1.0, config.overload_s + 0.05) == 2
