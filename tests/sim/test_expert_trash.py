"""The expert for `trash`: its skills with doors, what it notices, and one whole episode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brs_hardware.embodiment import load_embodiment
from brs_sim.geometry import shifted
from brs_sim.operator.doors import Door, swing
from brs_sim.operator.habits import Habits
from brs_sim.operator.hands import Hands, fixed
from brs_sim.operator.rollout import Delays, roll_out
from brs_sim.operator.scripted import ScriptedOperator
from brs_sim.world import World

R1 = load_embodiment("r1")


def watching(world: World) -> Hands:
    hands = Hands(R1)
    hands.see(0.0, world.whole_body_state(), world.objects())
    return hands


@pytest.mark.parametrize(
    ("task", "sense", "angles"),
    [("trash", 1.0, (0.0, 0.7, 1.8)), ("clothes", -1.0, (0.0, 1.2, 2.0))],
)
def test_door_is_seen_as_the_physics_has_it(
    task: str, sense: float, angles: tuple[float, ...]
) -> None:
    world = World(R1, task, 3)
    door, place = Door("door", sense), np.array([-0.05, -0.4, 0.9])
    shut = world.objects()
    for angle in angles:
        world.turn_fixture("door", angle)
        body = world._data.body("door")
        seen = world.objects()
        assert door.angle(seen) == pytest.approx(angle, abs=1e-6)
        on_body = body.xpos + body.xmat.reshape(3, 3) @ place
        assert door.point(seen, place) == pytest.approx(on_body)
        assert door.point(shut, place, angle) == pytest.approx(on_body)


def test_swing_leads_the_tool_along_the_arc_until_the_handle_is_lost() -> None:
    class Led:
        now_s, pace = 0.0, 1.0
        angles: list[float]

        def lead(self, arm: str, pose: np.ndarray) -> None:
            assert arm == "left_arm"
            self.angles.append(float(pose[0, 0]))

    def run(goes_on: float) -> list[float]:
        hands = Led()
        hands.angles = []

        def tool_at(angle: float) -> np.ndarray:
            return np.full((4, 4), angle)

        motion = swing(hands, "left_arm", tool_at, 0.2, 1.0, 0.4, lambda: hands.now_s < goes_on)  # type: ignore[arg-type]
        for _ in motion:
            hands.now_s += 0.01
        return hands.angles

    whole, lost = run(np.inf), run(0.5)
    assert whole[0] == pytest.approx(0.2)
    assert whole[-1] == pytest.approx(1.0, abs=1e-3)
    assert np.all(np.diff(whole) >= 0.0)
    assert lost == whole[: len(lost)]
    assert len(lost) == pytest.approx(50, abs=1)


@given(st.integers(0, 10_000), st.floats(0.001, 0.1))
def test_habits_depend_on_the_seed_alone(seed: int, spread_m: float) -> None:
    one, same = Habits(seed), Habits(seed)
    assert one.pace == same.pace
    offset = one.misjudged(spread_m)
    assert np.array_equal(offset, same.misjudged(spread_m))
    assert np.abs(offset).max() <= spread_m
    assert [one.lapses(0.5) for _ in range(9)] == [same.lapses(0.5) for _ in range(9)]
    assert not one.lapses(0.0)
    assert one.lapses(1.0)


@pytest.mark.parametrize("seed", range(6))
def test_door_swings_clear_of_the_bin(seed: int) -> None:
    world = World(R1, "trash", seed)
    for angle in np.linspace(0.05, 1.9, 30):
        world.turn_fixture("door", float(angle))
        assert world.penetration_m() < 2e-3


def test_a_blocked_base_is_noticed_and_left() -> None:
    world = World(R1, "trash", 0)
    hands = watching(world)
    assert not hands.drives_in_vain()
    goal = shifted(hands.robot.base_pose, 1.0, 0.0, 0.0)
    motion, noticed = hands.drive_to(fixed(goal), patience_s=2.0), False
    for now_s in np.arange(0.0, 5.0, 0.01):
        hands.see(now_s, world.whole_body_state(), world.objects())  # the robot never moves
        if next(motion, "left") == "left":
            break
        hands.action()
        noticed = noticed or hands.drives_in_vain()
    assert noticed
    assert 2.0 < now_s < 4.0
    moving = replace(hands.robot, base_velocity=np.array([0.1, 0.0, 0.0]))
    hands.see(6.0, moving, world.objects())
    assert not hands.drives_in_vain()


def test_operator_lets_go_when_the_base_stays() -> None:
    world = World(R1, "trash", 0)
    operator = ScriptedOperator(R1, "trash", 0)
    state, objects = world.whole_body_state(), world.objects()
    pressed = []
    for now_s in np.arange(0.0, 9.0, 0.01):
        # Arms and torso follow the leader at once; only the base does not.
        action = operator.act(now_s, state, objects)
        arms = {
            arm: replace(getattr(state, arm), position=getattr(action, arm))
            for arm in ("left_arm", "right_arm")
        }
        level = replace(state.torso, position=np.array([0.0, 0.0, -0.25, 0.0]))
        state = replace(state, stamp_s=now_s, torso=level, **arms)
        pressed.append("l" in action.left_buttons)
    assert pressed[0]
    assert not all(pressed)


@pytest.mark.parametrize("height", [0.75, 0.95, 1.1])
def test_knee_brings_the_arms_to_a_height(height: float) -> None:
    hands = Hands(R1)
    assert hands.carrier_at(hands.knee_for(height))[2, 3] == pytest.approx(height, abs=0.01)


def test_the_bag_ends_in_the_bin() -> None:
    delays = Delays(sight_s=0.02, command_s=0.01, jitter_s=0.006)
    rollout = roll_out(R1, "trash", seed=1000, delays=delays)
    assert rollout.finished
    assert rollout.success
    assert [phase for _, phase in rollout.phases][-2:] == ["lower arms", "done"]
    moved = {
        "base": np.ptp([c.base_velocity for c in rollout.commands], axis=0)[:2],
        "torso": np.ptp([c.torso for c in rollout.commands], axis=0)[:3],
        "left_arm": np.ptp([c.left_arm for c in rollout.commands], axis=0),
        "right_arm": np.ptp([c.right_arm for c in rollout.commands], axis=0),
    }
    assert all(np.all(span > 0.1) for span in moved.values())  # the whole body took part
