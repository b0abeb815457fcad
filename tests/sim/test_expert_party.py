"""The expert of `party` opens and shuts the dishwasher and carries bowls, by teleoperation."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.teleop import TeleopMapper
from brs_hardware.types import JoyConSample, LeaderSample
from brs_sim.commanded import CommandedRobot
from brs_sim.operator import ScriptedOperator
from brs_sim.tasks.party import FLOOR, RACK
from brs_sim.world import World

R1 = load_embodiment("r1")
TICK_S = 0.01


def play(world: World, until: str, limit_s: float) -> ScriptedOperator:
    """The expert drives the world until it begins a phase, at most for so long."""
    operator, mapper = ScriptedOperator(R1, "party", 0), TeleopMapper(R1)
    robot = CommandedRobot(world, "teleop")
    while until not in operator.phase and world.time_s < limit_s:
        now_s, state = world.time_s, world.whole_body_state()
        action = operator.act(now_s, state, world.objects())
        output = mapper.update(
            now_s,
            LeaderSample(now_s, action.left_arm, action.right_arm),
            JoyConSample(now_s, action.left_stick, action.left_buttons),
            JoyConSample(now_s, action.right_stick, action.right_buttons),
            state,
        )
        robot.apply(output.command)
        world.step(TICK_S)
    return operator


def before_the_dishwasher(ahead: float) -> World:
    """The robot stands that far from the front of the dishwasher [m]."""
    world = World(R1, "party", 0)
    hinge = world.objects()["door"][0]
    world.chassis.place(np.array([hinge[0] - ahead, hinge[1] - 0.1, 0.0]))
    return world


@pytest.mark.timeout(300)
def test_the_dishwasher_is_opened_by_its_handle() -> None:
    world = before_the_dishwasher(0.9)
    operator = play(world, "to the table", 45.0)
    assert operator.phase == "to the table"
    assert world.fixtures()["door"] > world.task.config.open_rad
    assert world.task_status().done[:2] == (True, True)
    assert not world.violations()


@pytest.mark.timeout(300)
def test_the_dishwasher_is_shut_when_the_bowls_are_in_it() -> None:
    world = before_the_dishwasher(1.2)
    world.turn_fixture("door", 1.45)
    front = world.objects()["door"][0]
    for name, side in (("bowl_left", 0.14), ("bowl_right", -0.14)):
        place = np.array([front[0] + 0.13, front[1] + side, FLOOR + RACK + 0.002])
        world.place_object(name, (place, np.array([1.0, 0.0, 0.0, 0.0])))
    play(world, "lower arms", 45.0)
    world.step(0.5)
    assert world.fixtures()["door"] == pytest.approx(0.0, abs=world.task.config.closed_rad)
    assert all(world.objects()[name][0][0] > front[0] for name in ("bowl_left", "bowl_right"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1005, 1023])  # small and heavy; wide and flat bowls
def test_bowls_stay_in_the_hands_from_the_table_to_the_dishwasher(seed: int) -> None:
    world = World(R1, "party", seed)
    world.turn_fixture("door", 1.45)
    play(world, "put", 60.0)
    heights = [world.objects()[name][0][2] for name in ("bowl_left", "bowl_right")]
    assert min(heights) > FLOOR + 0.08  # nothing is there to lie on
