"""One trial: a driver in a scene until the task is done for good, or time is up.

    driver -> command -> SafetySupervisor -> world -> rules of the task, violations

Success must hold for a while to count: what is put down and then falls was not put down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from brs_hardware.config import positive
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_hardware.safety.setup import load_safety
from brs_sim.commanded import UNGUARDED, CommandedRobot
from brs_sim.evaluation.driver import TICK_S, Driver
from brs_sim.tasks import TaskStatus
from brs_sim.violations import Violation
from brs_sim.world import World

_LOOK_TICKS = 10  # between looks at the rules


@dataclass(frozen=True)
class TrialConfig:
    """How long a trial lasts, and what counts."""

    limit_s: float = 300.0  # simulated; then it has failed
    settle_s: float = 1.0  # success must hold so long
    after_s: float = 2.0  # that are waited for it once the driver is finished
    guarded: bool = False  # with the robot node's guards on collisions and balance, too

    def __post_init__(self) -> None:
        positive(self, "limit_s", "settle_s", "after_s")


@dataclass(frozen=True)
class Trial:
    """What became of a trial."""

    seed: int
    success: bool  # the entire task
    subtasks: tuple[str, ...]
    done: tuple[bool, ...]  # one a sub-task, at the end
    length_s: float  # simulated
    success_s: float | None  # when the success began that held
    violations: tuple[Violation, ...]
    ended: str  # "success", "time", "driver finished", or what went wrong


def run_trial(
    robot: Embodiment,
    task: str,
    seed: int,
    driver: Driver,
    config: TrialConfig | None = None,
    watch: Callable[[World], None] | None = None,
) -> Trial:
    """One trial.

    Args:
        robot: that is driven.
        task: a registered task.
        seed: of the scene and of what the driver does.
        driver: that drives.
        config: how long, and what counts.
        watch: called ten times a simulated second, to look on.

    Raises:
        BrsError: no such task, or the driver cannot begin.
    """
    config = config or TrialConfig()
    world = World(robot, task, seed)
    setup = load_safety() if config.guarded else UNGUARDED
    commanded = CommandedRobot(world, driver.source, setup)
    driver.begin(world, seed)
    judge = _Judge(config)
    tick, status = 0, world.task_status()
    while not judge.ended:
        try:
            commanded.apply(None if driver.finished else driver.tick())
            world.step(TICK_S)
        except BrsError as error:  # of the driver, or physics that diverged
            judge.ended = str(error)
            break
        tick += 1
        if tick % _LOOK_TICKS == 0:
            status = world.task_status()
            judge.look(status, driver.finished)
            if watch is not None:
                watch(world)
    success = judge.ended == "success"
    return Trial(
        seed,
        success,
        status.subtasks,
        status.done,
        round(world.time_s, 2),
        judge.since_s if success else None,
        world.violations(),
        judge.ended,
    )


class _Judge:
    """Says when a trial has ended, and why."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self.since_s: float | None = None  # when the success began that still holds
        self._finished_s = math.inf
        self.ended = ""

    def look(self, status: TaskStatus, driver_finished: bool) -> None:
        now_s = round(status.time_s, 2)
        if not status.success:
            self.since_s = None
        elif self.since_s is None:
            self.since_s = now_s
        if driver_finished:
            self._finished_s = min(self._finished_s, now_s)
        slack_s = TICK_S / 2
        if self.since_s is not None and now_s - self.since_s >= self._config.settle_s - slack_s:
            self.ended = "success"
        elif now_s >= self._config.limit_s - slack_s:
            self.ended = "time"
        elif now_s - self._finished_s >= self._config.after_s - slack_s:
            self.ended = "driver finished"
