"""Safety rules: what is refused, what is limited, and that stillness follows every fault."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_samples import command_like, state_at

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.safety import (
    BaseLimits,
    Mode,
    SafetyConfig,
    SafetyEvent,
    SafetySupervisor,
    SafetyVerdict,
    Severity,
)
from brs_hardware.types import WholeBodyCommand, WholeBodyState

STEP_S = 0.01


class Bench:
    """A supervisor with a robot that follows exactly, stepped at 100 Hz."""

    def __init__(self, robot: Embodiment) -> None:
        self.robot, self.now_s = robot, 100.0
        self.supervisor = SafetySupervisor(robot)
        self.state = state_at(robot, self.now_s)
        self.blocked = False  # while true the robot stays where it is
        assert self.supervisor.arm(self.now_s, self.state) == ""

    def run(self, seconds: float, feedback: bool = True, **changes: object) -> SafetyVerdict:
        """Offer the same command each step; without changes offer none."""
        verdict = None
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            if feedback:
                self.state = dataclasses.replace(self.state, stamp_s=self.now_s)
            if changes:
                self.supervisor.offer(self.now_s, command_like(self.state, self.now_s, **changes))
            verdict = self.supervisor.step(self.now_s, self.state)
            if verdict.command and not self.blocked:
                self.state = followed(self.state, verdict.command)
        assert verdict is not None
        return verdict


def followed(state: WholeBodyState, command: WholeBodyCommand) -> WholeBodyState:
    """A robot whose joints are where they were told to be."""
    groups = {
        name: dataclasses.replace(getattr(state, name), position=getattr(command, name))
        for name in Embodiment.GROUPS
    }
    return dataclasses.replace(state, **groups)


@pytest.fixture
def bench(robot: Embodiment) -> Bench:
    return Bench(robot)


def rules(verdict: SafetyVerdict) -> set[str]:
    return {event.rule for event in verdict.events}


DRIVE = {"base_velocity": np.array([0.3, 0.0, 0.0])}


def test_disarmed_sends_nothing(robot: Embodiment) -> None:
    supervisor = SafetySupervisor(robot)
    state = state_at(robot, 1.0)
    supervisor.offer(1.0, command_like(state, 1.0, **DRIVE))
    assert supervisor.step(1.0, state).command is None


def test_follows_a_good_command(bench: Bench) -> None:
    wanted = bench.state.left_arm.position + 0.2
    verdict = bench.run(1.0, left_arm=wanted, **DRIVE)
    assert verdict.command is not None and not verdict.holding
    np.testing.assert_allclose(verdict.command.left_arm, wanted, atol=1e-6)
    np.testing.assert_allclose(verdict.command.base_velocity, [0.3, 0, 0])


def test_stale_command_stops_the_base_within_100_ms(bench: Bench) -> None:
    bench.run(1.0, **DRIVE)
    last_s = bench.now_s
    while bench.run(STEP_S).command.base_velocity[0] > 0:  # type: ignore[union-attr]
        assert bench.now_s - last_s < 0.1
    assert "command_stale" in rules(bench.run(STEP_S))


def test_a_command_that_grew_old_while_it_was_checked_does_not_move_the_base(
    bench: Bench,
) -> None:
    bench.run(1.0, **DRIVE)
    last_s = bench.now_s
    command = bench.run(0.05).command
    assert command is not None and command.base_velocity[0] > 0
    at_once = bench.supervisor.at_publication(bench.now_s, command)
    np.testing.assert_array_equal(at_once.base_velocity, command.base_velocity)
    late = bench.supervisor.at_publication(last_s + 0.09, command)
    np.testing.assert_array_equal(late.base_velocity, 0)
    np.testing.assert_array_equal(late.left_arm, command.left_arm)
    # It accelerates anew from there.
    again = bench.run(STEP_S, **DRIVE).command
    assert again is not None and 0 < again.base_velocity[0] < command.base_velocity[0] / 2


def test_old_stamp_counts_as_stale_though_it_just_arrived(bench: Bench) -> None:
    bench.supervisor.offer(bench.now_s, command_like(bench.state, bench.now_s - 1.0, **DRIVE))
    assert "command_stale" in rules(bench.supervisor.step(bench.now_s + STEP_S, bench.state))


def test_stamp_from_another_clock_is_refused(bench: Bench) -> None:
    bench.supervisor.offer(bench.now_s, command_like(bench.state, bench.now_s + 9.0, **DRIVE))
    verdict = bench.supervisor.step(bench.now_s + STEP_S, bench.state)
    assert verdict.holding and "command_from_future" in rules(verdict)


def test_stale_feedback_holds(bench: Bench) -> None:
    bench.run(0.5, **DRIVE)
    verdict = bench.run(0.3, feedback=False, **DRIVE)
    assert verdict.holding and "feedback_stale" in rules(verdict)
    np.testing.assert_array_equal(verdict.command.base_velocity, 0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes",
    [
        {"left_arm": np.full(6, np.nan)},
        {"torso": np.array([0, np.inf, 0, 0])},
        {"base_velocity": np.array([np.nan, 0, 0])},
        {"right_gripper": float("nan")},
        {"right_arm": np.zeros(5)},
        {"left_arm": np.zeros(7)},
    ],
)
def test_garbage_holds_the_robot_where_it_is(bench: Bench, changes: dict[str, object]) -> None:
    before = bench.run(0.3, **DRIVE).command
    verdict = bench.run(0.2, **changes)
    assert verdict.holding and rules(verdict) & {"not_a_number", "wrong_size"}
    np.testing.assert_array_equal(verdict.command.base_velocity, 0)  # type: ignore[union-attr]
    np.testing.assert_allclose(verdict.command.left_arm, before.left_arm)  # type: ignore[union-attr]


def test_good_commands_among_garbage_are_not_followed(bench: Bench) -> None:
    bench.run(0.5, **DRIVE)
    for _ in range(20):
        bench.run(STEP_S, base_velocity=np.full(3, np.nan))
        # The garbage of this step is overwritten before the supervisor looks.
        bench.supervisor.offer(
            bench.now_s, command_like(bench.state, bench.now_s, torso=np.full(4, np.nan))
        )
        verdict = bench.run(STEP_S, **DRIVE)
        assert verdict.holding and "not_a_number" in rules(verdict)
        np.testing.assert_array_equal(verdict.command.base_velocity, 0)  # type: ignore[union-attr]
    assert not bench.run(0.6, **DRIVE).holding


def test_out_of_range_stops_at_the_limit_and_says_so(bench: Bench) -> None:
    group = bench.robot.left_arm
    verdict = bench.run(3.0, left_arm=group.upper + 1.0)
    assert np.all(verdict.command.left_arm <= group.upper + 1e-9)  # type: ignore[union-attr]
    assert "joint_limit" in rules(verdict)
    assert "left_arm_joint" in verdict.events[0].message


def test_estop_latches_until_a_person_clears_it(bench: Bench) -> None:
    bench.run(0.3, **DRIVE)
    bench.supervisor.estop("test")
    verdict = bench.run(0.3, **DRIVE)
    assert verdict.holding and bench.supervisor.mode is Mode.ESTOP
    np.testing.assert_array_equal(verdict.command.base_velocity, 0)  # type: ignore[union-attr]
    assert "clear it first" in bench.supervisor.arm(bench.now_s, bench.state)
    bench.supervisor.clear_estop()
    assert bench.run(0.1, **DRIVE).command is None
    assert bench.supervisor.arm(bench.now_s, bench.state) == ""
    assert not bench.run(0.2, **DRIVE).holding


def test_old_pose_is_not_replayed_after_disarm_and_estop(bench: Bench) -> None:
    """An e-stop while disarmed must not send the pose of an earlier run."""
    bench.run(0.5, left_arm=bench.state.left_arm.position + 0.3)
    bench.supervisor.disarm()
    bench.supervisor.estop("test")
    assert bench.run(0.1).command is None


def test_moving_arm_brakes_within_its_acceleration(bench: Bench) -> None:
    group = bench.robot.left_arm
    far = np.clip(bench.state.left_arm.position + 2.0, group.lower, group.upper)
    bench.run(0.2, left_arm=far)
    previous = bench.run(STEP_S, left_arm=far).command
    bench.supervisor.estop("test")
    speeds = []
    for _ in range(60):
        command = bench.run(STEP_S).command
        speeds.append((command.left_arm - previous.left_arm) / STEP_S)  # type: ignore[union-attr]
        previous = command
    change = np.abs(np.diff(np.array(speeds), axis=0)) / STEP_S
    assert np.all(change <= group.max_acceleration + 1e-6)
    np.testing.assert_allclose(speeds[-1], 0, atol=1e-6)


def test_only_the_selected_source_counts(bench: Bench) -> None:
    assert bench.run(0.2, source="policy", **DRIVE).holding  # teleop is selected
    assert bench.supervisor.select_source("policy") == ""
    assert not bench.run(0.2, source="policy", **DRIVE).holding
    assert "unknown source" in bench.supervisor.select_source("ghost")


def test_a_person_takes_over_from_a_policy_without_a_jump(bench: Bench) -> None:
    bench.supervisor.select_source("policy")
    arm = bench.state.left_arm.position
    before = bench.run(0.3, source="policy", left_arm=arm + 0.3).command
    after = bench.run(STEP_S, left_arm=bench.state.left_arm.position)
    assert before and after.command and after.command.source == "teleop"
    assert np.max(np.abs(after.command.left_arm - before.left_arm)) < 0.02
    # The policy goes on sending, to nobody.
    assert bench.run(0.1, source="policy", left_arm=arm + 0.3).holding


def test_what_was_taken_over_is_handed_back_only_while_it_runs(bench: Bench) -> None:
    supervisor = bench.supervisor
    assert "nothing was taken over" in supervisor.hand_back(bench.now_s)
    supervisor.select_source("policy")
    bench.run(1.5, source="policy", **DRIVE)
    bench.run(0.2)
    bench.run(0.2, **DRIVE)
    assert "no fresh commands from policy" in supervisor.hand_back(bench.now_s)
    supervisor.offer(bench.now_s, command_like(bench.state, bench.now_s, source="policy"))
    assert supervisor.hand_back(bench.now_s) == ""
    assert supervisor.source == "policy"


def test_a_policy_begins_slowly_and_a_person_does_not(bench: Bench) -> None:
    def fastest(source: str) -> float:
        """Of the first half second toward a far target."""
        bench.run(0.5)
        arm, speed = bench.state.left_arm.position, 0.0
        for _ in range(50):
            before = bench.state.left_arm.position
            bench.run(STEP_S, source=source, left_arm=arm + np.array([1.0, 0, 0, 0, 0, 0]))
            moved = bench.state.left_arm.position - before
            speed = max(speed, float(np.max(np.abs(moved))) / STEP_S)
        return speed

    limit = bench.robot.left_arm.max_velocity[0]
    bench.supervisor.select_source("policy")
    assert fastest("policy") < 0.56 * limit
    bench.supervisor.select_source("teleop")
    assert fastest("teleop") > 0.9 * limit


@pytest.mark.parametrize("changes", [{"left_arm": np.full(6, np.nan)}, {"torso": np.zeros(3)}])
def test_garbage_does_not_take_over(bench: Bench, changes: dict[str, object]) -> None:
    bench.supervisor.select_source("policy")
    bench.run(0.1, source="policy", **DRIVE)
    bench.run(STEP_S, **changes)
    assert bench.supervisor.source == "policy"


def test_takeover_can_be_switched_off(robot: Embodiment) -> None:
    supervisor = SafetySupervisor(robot, SafetyConfig(takeover=False))
    state = state_at(robot, 1.0)
    supervisor.select_source("policy")
    assert not supervisor.offer(1.0, command_like(state, 1.0))


def test_a_blocked_joint_stops_the_robot_which_gives_way(bench: Bench) -> None:
    bench.blocked = True
    verdict = bench.run(1.0, left_arm=bench.state.left_arm.position + 0.6)
    assert verdict.holding and "contact" in rules(verdict) and verdict.command
    np.testing.assert_allclose(verdict.command.left_arm, bench.state.left_arm.position, atol=1e-6)
    # It stays so while the person holds on, and goes on after they let go.
    bench.blocked = False
    assert bench.run(1.0, **DRIVE).holding
    bench.run(0.5)
    assert not bench.run(0.2, **DRIVE).holding


def test_contact_of_a_policy_waits_for_a_person(bench: Bench) -> None:
    bench.supervisor.select_source("policy")
    bench.blocked = True
    bench.run(1.0, source="policy", left_arm=bench.state.left_arm.position + 0.6)
    bench.blocked = False
    bench.run(1.0)  # the policy falls silent by itself
    assert bench.run(0.2, source="policy", **DRIVE).holding
    assert bench.supervisor.arm(bench.now_s, bench.state) == ""
    assert not bench.run(0.2, source="policy", **DRIVE).holding


def test_pushing_with_full_effort_is_contact(bench: Bench) -> None:
    arm = bench.state.left_arm
    effort = np.array(bench.robot.left_arm.max_effort)
    bench.state = dataclasses.replace(
        bench.state, left_arm=dataclasses.replace(arm, effort=effort)
    )
    assert not bench.run(0.1, **DRIVE).holding  # shorter than contact lasts
    verdict = bench.run(0.3, **DRIVE)
    assert verdict.holding and "contact" in rules(verdict)


def test_a_base_that_does_not_stand_is_told_of(bench: Bench) -> None:
    bench.state = dataclasses.replace(bench.state, base_velocity=np.array([0.3, 0.0, 0.0]))
    assert "base_disobeys" not in rules(bench.run(0.5))
    assert "base_disobeys" in rules(bench.run(1.0))


def test_a_clock_set_back_stops_the_base(bench: Bench) -> None:
    bench.run(1.0, **DRIVE)
    bench.now_s -= 20.0
    verdict = bench.run(STEP_S, **DRIVE)
    assert verdict.command and verdict.holding and "clock_jump" in rules(verdict)
    np.testing.assert_array_equal(verdict.command.base_velocity, 0)
    assert bench.run(0.4, **DRIVE).holding
    assert not bench.run(0.3, **DRIVE).holding


def test_a_clock_set_ahead_makes_nothing_jump(bench: Bench) -> None:
    """The time that seems to have passed must not let base or joints catch up with a target."""
    arm = bench.state.left_arm.position + 0.5
    before = bench.run(0.05, left_arm=arm, **DRIVE).command
    bench.now_s += 30.0
    after = bench.run(STEP_S, left_arm=arm, **DRIVE).command
    assert before and after
    longest_s = 0.05
    change = bench.robot.base.max_acceleration * longest_s
    assert np.all(np.abs(after.base_velocity - before.base_velocity) <= change + 1e-9)
    speed = bench.robot.left_arm.max_velocity * longest_s
    assert np.all(np.abs(after.left_arm - before.left_arm) <= speed)


def test_frozen_feedback_is_seen_after_the_clock_was_set_back(bench: Bench) -> None:
    bench.run(0.5, **DRIVE)
    bench.now_s -= 20.0
    verdict = bench.run(1.0, feedback=False, **DRIVE)
    assert verdict.holding and "feedback_from_future" in rules(verdict)


def test_a_joint_outside_its_limits_is_not_armed(robot: Embodiment) -> None:
    supervisor, state = SafetySupervisor(robot), state_at(robot, 1.0)
    beyond = dataclasses.replace(state.left_arm, position=robot.left_arm.upper + 0.2)
    refused = supervisor.arm(1.0, dataclasses.replace(state, left_arm=beyond))
    assert "left_arm_joint1 is measured 0.20 rad beyond its limit" in refused


class Wall:
    """A guard that lets no joint of the left arm rise."""

    def limit(
        self,
        position: dict[str, np.ndarray],
        velocity: dict[str, np.ndarray],
        wanted: dict[str, np.ndarray],
        dt_s: float,
        base_pose: np.ndarray,
    ) -> tuple[dict[str, np.ndarray], tuple[SafetyEvent, ...]]:
        allowed = {**wanted, "left_arm": np.minimum(wanted["left_arm"], position["left_arm"])}
        return allowed, (SafetyEvent("wall", Severity.LIMITED, "left_arm", "a wall"),)


class Icy:
    """A posture that allows a tenth of the base's speed and acceleration."""

    def limits(self, joints: object, base_pose: np.ndarray, wanted: np.ndarray) -> BaseLimits:
        return BaseLimits(0.1, np.full(3, 0.05))


def test_guards_change_the_posture_and_the_base_and_are_told_of(robot: Embodiment) -> None:
    bench = Bench(robot)
    bench.supervisor = SafetySupervisor(robot, guards=(Wall(),), base_guard=Icy())
    assert bench.supervisor.arm(bench.now_s, bench.state) == ""
    arm = bench.state.left_arm.position
    verdict = bench.run(0.1, left_arm=arm + 0.3, **DRIVE)
    assert verdict.command and rules(verdict) == {"wall", "base_velocity", "base_acceleration"}
    np.testing.assert_allclose(verdict.command.left_arm, arm, atol=1e-9)
    assert verdict.command.base_velocity[0] == pytest.approx(0.05 * 0.1)
    assert bench.run(2.0, **DRIVE).command.base_velocity[0] == pytest.approx(0.03)  # type: ignore[union-attr]


def test_a_fault_holds_and_prevents_arming(bench: Bench) -> None:
    bench.supervisor.faults["two_robots"] = "another robot node is here"
    assert bench.run(0.1, **DRIVE).holding
    bench.supervisor.disarm()
    assert "another robot" in bench.supervisor.arm(bench.now_s, bench.state)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_command_breaks_a_limit(data: st.DataObject) -> None:
    """Whatever comes, what goes out is within position, velocity and acceleration limits."""
    robot = load_embodiment("r1")
    bench = Bench(robot)
    value = st.floats(-10, 10) | st.just(float("nan"))
    previous, speed = bench.run(STEP_S).command, np.zeros(6)
    for _ in range(15):
        arm = np.array(data.draw(st.lists(value, min_size=6, max_size=6)))
        base = np.array(data.draw(st.lists(value, min_size=3, max_size=3)))
        for _ in range(3):
            command = bench.run(STEP_S, left_arm=arm, base_velocity=base).command
            assert command is not None and previous is not None
            new = (command.left_arm - previous.left_arm) / STEP_S
            group = robot.left_arm
            assert np.all(command.left_arm >= group.lower - 1e-9)
            assert np.all(command.left_arm <= group.upper + 1e-9)
            assert np.all(np.abs(new) <= group.max_velocity + 1e-6)
            assert np.all(np.abs(new - speed) <= group.max_acceleration * STEP_S + 1e-6)
            assert np.all(np.abs(command.base_velocity) <= robot.base.max_velocity + 1e-9)
            previous, speed = command, new
