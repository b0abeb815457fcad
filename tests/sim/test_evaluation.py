"""Trials: what counts, what does not, and that the same seed gives the same trial."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_hardware.types import WholeBodyCommand
from brs_sim.actions import action_limits, command_of, proprioception
from brs_sim.evaluation import (
    Driver,
    Expert,
    Idle,
    Random,
    Recording,
    Replayed,
    SteppedDriver,
    TrialConfig,
    run_trial,
)
from brs_sim.world import World

R1 = load_embodiment("r1")
SEED = 1001
AWAY = (np.array([0.0, -1.0, 0.1]), np.array([1.0, 0.0, 0.0, 0.0]))


class Hand(Driver):
    """No robot at all: boxes are put on the shelf at some ticks, one is taken away at others."""

    def __init__(self, put: set[int], take: set[int], done: int = 10_000) -> None:
        self._put, self._take, self._done = put, take, done

    def begin(self, world: World, seed: int) -> None:
        self._world, self._tick = world, 0

    def tick(self) -> WholeBodyCommand | None:
        if self._tick in self._put:
            for name, pose in self._world.task.solution()[0].objects.items():
                self._world.place_object(name, pose)
        if self._tick in self._take:
            self._world.place_object("box_left", AWAY)
        self._tick += 1
        self.finished = self._tick >= self._done
        return None


def test_success_counts_only_if_it_holds() -> None:
    trial = run_trial(R1, "shelves", SEED, Hand({10, 150}, {60}), TrialConfig(limit_s=6.0))
    assert (trial.success, trial.ended) == (True, "success")
    assert trial.success_s is not None and 1.5 < trial.success_s < 2.3
    assert trial.length_s == pytest.approx(trial.success_s + 1.0, abs=0.011)
    undone = run_trial(R1, "shelves", SEED, Hand({10}, {60}), TrialConfig(limit_s=2.0))
    assert (undone.success, undone.ended, undone.success_s) == (False, "time", None)
    assert undone.done == (True, False, True, True)  # a box was lifted: others are on the shelf
    late = run_trial(R1, "shelves", SEED, Hand({10}, set()), TrialConfig(limit_s=0.9))
    assert all(late.done) and not late.success


def test_a_driver_that_is_finished_is_not_waited_for_long() -> None:
    trial = run_trial(R1, "shelves", SEED, Hand(set(), set(), done=50), TrialConfig(limit_s=30.0))
    assert (trial.ended, trial.length_s) == ("driver finished", 2.5)
    put = run_trial(R1, "shelves", SEED, Hand({49}, set(), done=50), TrialConfig(limit_s=30.0))
    assert put.success


def test_idle_and_random_do_nothing_of_it_and_the_expert_all() -> None:
    config = TrialConfig(limit_s=90.0)
    expert = run_trial(R1, "shelves", SEED, Expert(R1, "shelves"), config)
    assert expert.success and all(expert.done) and not expert.violations
    short = TrialConfig(limit_s=5.0)
    for driver in (Idle(R1), Random(R1)):
        trial = run_trial(R1, "shelves", SEED, driver, short)
        assert not trial.success and not any(trial.done)
        assert (trial.length_s, trial.ended) == (5.0, "time")
        again = run_trial(R1, "shelves", SEED, driver, short)
        assert again == trial
    assert trial.violations  # who moves at random hits something
    assert run_trial(R1, "shelves", SEED + 1, Random(R1), short) != trial


def test_who_has_no_idea_of_a_task_says_so() -> None:
    with pytest.raises(ConfigError, match="shelves"):
        Expert(R1, "shelfs")
    with pytest.raises(ConfigError, match="cannot act at 30 Hz"):
        Counting(30.0)


class Counting(SteppedDriver):
    """Raises joint by joint; fails after some steps if told to."""

    def __init__(self, rate_hz: float = 10.0, fail_at: int = -1) -> None:
        super().__init__(R1, rate_hz)
        self._fail_at = fail_at

    def start(self, seed: int) -> None:
        self.step = 0
        self.first = proprioception(self.world.whole_body_state()).astype(float)

    def decide(self) -> np.ndarray | None:
        self.step += 1
        if self.step == self._fail_at:
            raise BrsError("no idea any more")
        if self.step == 1:
            return None
        now = self.first + 0.01 * self.step
        return np.stack([now, now + 0.01])


def test_joints_go_straight_between_actions_and_the_base_does_not() -> None:
    driver, world = Counting(), World(R1, "shelves", SEED)
    driver.begin(world, 0)
    assert [driver.tick() for _ in range(10)] == [None] * 10
    commands = [driver.tick() for _ in range(20)]
    lower, upper = action_limits(R1)
    for i, command in enumerate(commands):
        assert command is not None
        wanted = driver.first + 0.02 + 0.001 * i
        wanted[:3] = driver.first[:3] + 0.02 + 0.01 * (i // 10)
        expected = command_of(R1, np.clip(wanted, lower, upper), 0.0)
        for part in ("base_velocity", "torso", "left_arm", "right_arm", "left_gripper"):
            assert getattr(command, part) == pytest.approx(getattr(expected, part), abs=1e-9)


def test_a_driver_that_fails_fails_the_trial_and_no_other() -> None:
    driver = Counting(fail_at=4)
    for _ in range(2):
        trial = run_trial(R1, "shelves", SEED, driver, TrialConfig(limit_s=3.0))
        assert (trial.success, trial.ended, trial.length_s) == (False, "no idea any more", 0.3)


def recording(count: int, first: float) -> Recording:
    values = proprioception(World(R1, "shelves", SEED).whole_body_state()).astype(float)
    return Recording(np.arange(count) * 0.015, values + first + np.arange(count)[:, None] * 1e-3)


def test_replays_play_each_command_once_at_its_time() -> None:
    recordings = [recording(8, 0.0), recording(8, 0.1)]
    world = World(R1, "shelves", SEED)
    for own, seed, place in ((True, 7, 1), (False, 1000, 0), (False, 1001, 1)):
        driver = Replayed(R1, (4, 7), recordings.__getitem__, own)
        world.reset(SEED)
        driver.begin(world, seed)
        played = []
        while not driver.finished:
            played.append(driver.tick())
            world.step(0.01)
        # Times 0, 15, 30 .. ms at ticks of 10 ms: at the first tick that is not before.
        expected = [0, None, 1, 2, None, 3, 4, None, 5, 6, None, 7]
        assert len(played) == len(expected)
        for command, number in zip(played, expected, strict=True):
            assert (command is None) == (number is None)
            if command is not None and number is not None:
                row = recordings[place].actions[number]
                assert command.left_arm == pytest.approx(row[7:13], abs=1e-12)
                assert command.source == "replay"
    with pytest.raises(ConfigError, match="several episodes have seed 4"):
        Replayed(R1, (4, 4), recordings.__getitem__, own=True)
    with pytest.raises(ConfigError, match="no episode"):
        Replayed(R1, (), recordings.__getitem__, own=False)
