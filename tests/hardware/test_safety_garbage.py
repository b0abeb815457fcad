"""No number that comes in, from whomever and however often, brings an unsafe one out."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
from robot_samples import command_like, state_at

from brs_hardware.embodiment import Embodiment
from brs_hardware.safety import (
    ROUTINE,
    Mode,
    SafetyConfig,
    SafetyEvent,
    SafetySupervisor,
    SafetyVerdict,
)
from brs_hardware.types import WholeBodyCommand, WholeBodyState

STEP_S = 0.01
DRIVE = np.array([0.3, 0.0, 0.0])
NO_NUMBERS = (math.nan, math.inf, -math.inf)


@pytest.fixture
def supervisor(robot: Embodiment) -> SafetySupervisor:
    """Armed at 100 s."""
    armed = SafetySupervisor(robot)
    assert armed.arm(100.0, state_at(robot, 100.0)) == ""
    return armed


def numbers(command: WholeBodyCommand) -> np.ndarray:
    return np.concatenate([np.atleast_1d(v) for k, v in vars(command).items() if k != "source"])


def joints(command: WholeBodyCommand) -> np.ndarray:
    return np.concatenate([getattr(command, name) for name in Embodiment.GROUPS])


def rules(verdict: SafetyVerdict) -> set[str]:
    return {event.rule for event in verdict.events}


def drive(supervisor: SafetySupervisor, state: WholeBodyState, now_s: float) -> SafetyVerdict:
    """Offer a good command, step with a measurement."""
    good = state_at(supervisor.embodiment, now_s)
    supervisor.offer(now_s, command_like(good, now_s, base_velocity=DRIVE))
    return supervisor.step(now_s, state)


def spoiled(state: WholeBodyState, part: str, value: float) -> WholeBodyState:
    """One number of a measurement replaced; `part` such as `left_arm.effort`."""
    name, _, field = part.partition(".")
    old = getattr(state, name)
    if field:
        values = getattr(old, field).copy()
        values[2] = value
        new = dataclasses.replace(old, **{field: values})
    elif isinstance(old, np.ndarray):
        new = np.array([0.0, value, 0.0])
    else:
        new = value
    return dataclasses.replace(state, **{name: new})


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize(
    "part",
    [
        *(f"left_arm.{field}" for field in ("position", "velocity", "effort")),
        *("torso.position", "right_arm.effort", "base_pose", "base_velocity"),
        *("left_gripper", "right_gripper", "stamp_s"),
    ],
)
def test_measurements_that_are_no_numbers_hold_and_are_not_armed_on(
    supervisor: SafetySupervisor, part: str, value: float
) -> None:
    assert drive(supervisor, state_at(supervisor.embodiment, 100.01), 100.01).command is not None
    verdict = drive(
        supervisor, spoiled(state_at(supervisor.embodiment, 100.02), part, value), 100.02
    )
    assert verdict.holding and rules(verdict) == {"feedback_not_a_number"}
    assert verdict.command is not None and np.all(np.isfinite(numbers(verdict.command)))
    assert not np.any(verdict.command.base_velocity)
    disarmed = SafetySupervisor(supervisor.embodiment)
    state = spoiled(state_at(supervisor.embodiment, 100.0), part, value)
    assert "NaN or infinity" in disarmed.arm(100.0, state)
    assert disarmed.step(100.01, state).command is None


class Place:
    """A guard that only remembers where the base was."""

    def limit(
        self,
        position: dict[str, np.ndarray],
        velocity: dict[str, np.ndarray],
        wanted: dict[str, np.ndarray],
        dt_s: float,
        base_pose: np.ndarray,
    ) -> tuple[dict[str, np.ndarray], tuple[SafetyEvent, ...]]:
        self.base_pose = base_pose
        return wanted, ()


def test_a_pose_that_is_no_number_leaves_the_base_where_it_was(robot: Embodiment) -> None:
    place = Place()
    supervisor = SafetySupervisor(robot, guards=(place,))
    here = dataclasses.replace(state_at(robot, 100.0), base_pose=np.array([1.0, 2.0, 0.5]))
    assert supervisor.arm(100.0, here) == ""
    drive(supervisor, dataclasses.replace(here, stamp_s=100.01), 100.01)
    drive(
        supervisor,
        spoiled(dataclasses.replace(here, stamp_s=100.02), "base_pose", math.nan),
        100.02,
    )
    assert place.base_pose.tolist() == [1.0, 2.0, 0.5]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_clock_without_a_number_holds_until_it_has_settled(
    supervisor: SafetySupervisor, value: float
) -> None:
    robot = supervisor.embodiment
    drive(supervisor, state_at(robot, 100.01), 100.01)
    verdict = drive(supervisor, state_at(robot, 100.02), value)
    assert verdict.holding and "clock_jump" in rules(verdict)
    assert verdict.command is not None and np.all(np.isfinite(numbers(verdict.command)))
    assert not np.any(verdict.command.base_velocity)
    assert drive(supervisor, state_at(robot, 100.03), 100.03).holding
    later = [
        drive(supervisor, state_at(robot, now), now) for now in np.arange(100.04, 100.7, 0.01)
    ]
    assert later[40].holding and not later[-1].holding


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"stamp_s": math.nan}, "not_a_number"),
        ({"stamp_s": math.inf}, "not_a_number"),
        ({"base_velocity": np.zeros(2)}, "wrong_size"),
        ({"base_velocity": np.zeros((3, 1))}, "wrong_size"),
        ({"left_arm": np.zeros((6, 1))}, "wrong_size"),
        ({"left_arm": np.float64(0.0)}, "wrong_size"),
        ({"left_gripper": math.nan}, "not_a_number"),
    ],
)
def test_malformed_commands_are_told_of_and_not_followed(
    supervisor: SafetySupervisor, changes: dict[str, object], rule: str
) -> None:
    state = state_at(supervisor.embodiment, 100.01)
    supervisor.offer(100.01, dataclasses.replace(command_like(state, 100.01), **changes))
    verdict = supervisor.step(100.01, state)
    assert verdict.holding and rules(verdict) == {rule}
    assert verdict.command is not None and np.all(np.isfinite(numbers(verdict.command)))


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324])
def test_numbers_at_the_ends_of_what_there_is_are_limited_in_one_short_line(
    supervisor: SafetySupervisor, value: float
) -> None:
    robot = supervisor.embodiment
    changes = {name: np.full(robot.group(name).lower.shape, value) for name in robot.GROUPS}
    for step in range(1, 50):
        now_s = 100.0 + step * STEP_S
        state = state_at(robot, now_s)
        everything = {**changes, "base_velocity": np.full(3, value), "left_gripper": value}
        supervisor.offer(now_s, command_like(state, now_s, **everything))
        verdict = supervisor.step(now_s, state)
        assert verdict.command is not None and np.all(np.isfinite(numbers(verdict.command)))
        assert all(len(event.message) < 150 for event in verdict.events)


def test_a_joint_asked_to_go_faster_than_it_may_is_told_of(supervisor: SafetySupervisor) -> None:
    robot, state = supervisor.embodiment, state_at(supervisor.embodiment, 100.0)
    far = state.left_arm.position + np.array([0.0, 0.0, 0.0, 2.0, 0.0, 0.0])
    said = []
    for step in range(1, 120):
        now_s = 100.0 + step * STEP_S
        state = dataclasses.replace(state, stamp_s=now_s)
        supervisor.offer(now_s, command_like(state, now_s, left_arm=far))
        verdict = supervisor.step(now_s, state)
        assert verdict.command is not None
        state = followed(state, verdict.command)
        said.append([event for event in verdict.events if event.rule == "joint_speed"])
    (event,) = said[25]
    assert event.part == "left_arm_joint4"
    assert f"{robot.left_arm.max_velocity[3]:.2f} rad/s" in event.message
    assert not said[0] and not said[-1]  # not while it speeds up, nor when it is there


@pytest.mark.parametrize(
    ("change", "rule", "part"),
    [
        ({"base_velocity": np.array([0.3, 0.0, 0.0])}, "base_acceleration", "base"),
        ({"right_gripper": 1.0}, "gripper_speed", "right_gripper"),
    ],
)
def test_what_takes_its_time_is_told_while_it_does(
    supervisor: SafetySupervisor, change: dict[str, object], rule: str, part: str
) -> None:
    state = state_at(supervisor.embodiment, 100.0)
    told = []
    for step in range(1, 80):
        now_s = 100.0 + step * STEP_S
        state = dataclasses.replace(state, stamp_s=now_s)
        supervisor.offer(now_s, command_like(state, now_s, **change))
        events = supervisor.step(now_s, state).events
        told.append([event.part for event in events if event.rule == rule])
    assert told[0] == [part] and rule in ROUTINE
    assert not told[-1]


def test_a_policy_is_told_that_it_begins_slowly(supervisor: SafetySupervisor) -> None:
    state = state_at(supervisor.embodiment, 100.0)
    supervisor.disarm()
    assert not supervisor.select_source("policy")
    assert not supervisor.arm(100.0, state)
    told = []
    for step in range(1, 120):
        now_s = 100.0 + step * STEP_S
        state = dataclasses.replace(state, stamp_s=now_s)
        supervisor.offer(now_s, dataclasses.replace(command_like(state, now_s), source="policy"))
        told += [[e.message for e in supervisor.step(now_s, state).events if e.rule == "lead_in"]]
    assert "a policy begins slowly: 1" in told[0][0] and "lead_in" in ROUTINE
    assert not told[-1]


def followed(state: WholeBodyState, command: WholeBodyCommand) -> WholeBodyState:
    """A robot whose joints are where they were told to be."""
    groups = {
        name: dataclasses.replace(getattr(state, name), position=getattr(command, name))
        for name in Embodiment.GROUPS
    }
    return dataclasses.replace(state, **groups)


@dataclasses.dataclass
class Step:
    """The last command, and how it was reached."""

    joints: np.ndarray
    mean_speed: np.ndarray
    length_s: float


@pytest.mark.parametrize("seed", range(8))
def test_no_storm_of_orders_brings_an_unsafe_command_out(robot: Embodiment, seed: int) -> None:
    """Arming, e-stops, sources, takeovers, garbage, silence and jumping clocks in any order."""
    dice, random_ = random.Random(seed), np.random.default_rng(seed)
    groups = [robot.group(name) for name in Embodiment.GROUPS]
    lower, upper, speed, acceleration = (
        np.concatenate([getattr(group, name) for group in groups])
        for name in ("lower", "upper", "max_velocity", "max_acceleration")
    )
    supervisor, now_s = SafetySupervisor(robot), 100.0
    state = state_at(robot, now_s)
    before: Step | None = None
    moved = 0
    for _ in range(400):
        step_s = dice.choice((0.003, 0.01, 0.01, 0.01, 0.02, 0.05, 0.2, 0.0))
        if dice.random() < 0.02:
            step_s = dice.choice((-0.5, 1e9, -1e9))
        step_s = (now_s + step_s) - now_s  # as the clock can tell
        now_s += step_s
        if dice.random() < 0.95:
            state = dataclasses.replace(state, stamp_s=now_s)
        if order(supervisor, dice, now_s, state):
            before = None
        for source in ("teleop", "policy", "replay"):
            if dice.random() < 0.6:
                supervisor.offer(now_s, some_command(state, source, dice, random_, now_s))
        verdict = supervisor.step(now_s, state)
        if supervisor.mode is Mode.DISARMED:
            assert verdict.command is None
        if verdict.command is None:
            before = None
            continue
        command = supervisor.at_publication(now_s, verdict.command)
        assert np.all(np.isfinite(numbers(command)))
        assert 0.0 <= command.left_gripper <= 1.0 and 0.0 <= command.right_gripper <= 1.0
        if verdict.holding or supervisor.mode is Mode.ESTOP:
            assert not np.any(command.base_velocity)
        assert np.all(np.abs(command.base_velocity) <= robot.base.max_velocity + 1e-9)
        now = joints(command)
        assert np.all((now >= lower - 1e-9) & (now <= upper + 1e-9))
        length_s = min(step_s, 0.05) if step_s >= 0.0 else 0.01  # as far as a step is believed
        if before is not None and length_s > 0.0:
            assert np.all(np.abs(now - before.joints) <= speed * length_s * (1 + 1e-6) + 1e-9)
            mean_speed = (now - before.joints) / length_s
            gained = np.abs(mean_speed - before.mean_speed)
            allowed = acceleration * (length_s + before.length_s) / 2
            assert np.all(gained <= allowed * (1 + 1e-4) + 1e-6)
            before = Step(now, mean_speed, length_s)
            moved += 1
        elif before is None:
            before = Step(now, np.zeros(len(now)), 0.0)
        state = followed(state, command)
    assert moved > 50


def order(
    supervisor: SafetySupervisor, dice: random.Random, now_s: float, state: WholeBodyState
) -> bool:
    """Perhaps do what a person may. Returns whether the robot was armed anew."""
    chance = dice.random()
    if chance < 0.10:
        rested = supervisor.mode is not Mode.ARMED
        return supervisor.arm(now_s, state) == "" and rested
    if chance < 0.12:
        supervisor.disarm()
    elif chance < 0.14:
        supervisor.estop("a button")
    elif chance < 0.20:
        supervisor.clear_estop()
    elif chance < 0.25:
        supervisor.select_source(dice.choice(("teleop", "policy", "replay", "nobody")))
    elif chance < 0.28:
        supervisor.hand_back(now_s)
    return False


def some_command(
    state: WholeBodyState,
    source: str,
    dice: random.Random,
    random_: np.random.Generator,
    now_s: float,
) -> WholeBodyCommand:
    """Anywhere, old or of the future, sometimes garbage."""
    where = {
        name: random_.uniform(-4.0, 4.0, getattr(state, name).position.shape)
        for name in Embodiment.GROUPS
    }
    stamp_s = now_s - dice.choice((0.0, 0.0, 0.0, 0.05, 0.2, -0.2))
    command = command_like(
        state,
        stamp_s,
        base_velocity=random_.normal(0.0, 0.4, 3),
        left_gripper=dice.uniform(-1.0, 2.0),
        source=source,
        **where,
    )
    if dice.random() < 0.03:
        bad = np.full(6, dice.choice((*NO_NUMBERS, 1e308)))
        command = dataclasses.replace(command, left_arm=bad)
    return command


THRESHOLDS = [f.name for f in dataclasses.fields(SafetyConfig) if f.type == "float"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_thresholds_that_would_switch_a_rule_off_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        SafetyConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("command_timeout_s", 80.0), ("effort_share", 95.0), ("lead_in_share", 10.0)],
)
def test_thresholds_in_another_unit_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        SafetyConfig(**{name: value})
