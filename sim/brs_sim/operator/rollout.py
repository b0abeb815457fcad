"""Operator, mapping, safety rules and world in one loop, without ROS; and its replay.

    operator -> TeleopMapper -> commands -> SafetySupervisor -> world -> state -> operator
                                   |
                                   +-- recorded --> replay: same seed, other delays

`python -m brs_sim.operator.rollout --seeds 20` prints how often both succeed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.safety.setup import load_safety
from brs_hardware.teleop import TeleopMapper
from brs_hardware.types import JoyConSample, LeaderSample, WholeBodyCommand, WholeBodyState
from brs_sim.commanded import UNGUARDED, CommandedRobot
from brs_sim.operator.hands import OperatorAction
from brs_sim.operator.scripted import ScriptedOperator
from brs_sim.world import World

log = logging.getLogger(__name__)

_TICK_S = 0.01
_AFTER_S = 1.0  # time for things to come to rest at the end


@dataclass(frozen=True)
class Delays:
    """What lies between the parts when they talk over a network."""

    sight_s: float = 0.0  # age of the state that the operator and the mapping see
    command_s: float = 0.0  # from a command's making to the robot
    jitter_s: float = 0.0  # greatest extra delay, drawn anew for each command


@dataclass(frozen=True)
class Rollout:
    """One episode."""

    seed: int
    success: bool
    done: tuple[bool, ...]  # by sub-task
    length_s: float
    finished: bool  # the operator came to the end of the script
    commands: tuple[WholeBodyCommand, ...]  # as the mapping gave them, stamps from zero
    phases: tuple[tuple[float, str], ...]  # when each began


class _Robot:
    """World and supervisor, stepped to given times; commands may be late."""

    def __init__(
        self, embodiment: Embodiment, task: str, seed: int, source: str, guarded: bool
    ) -> None:
        self.world = World(embodiment, task, seed)
        setup = load_safety() if guarded else UNGUARDED
        self._robot = CommandedRobot(self.world, source, setup)
        self._pending: deque[tuple[float, WholeBodyCommand]] = deque()

    def send(self, arrival_s: float, command: WholeBodyCommand) -> None:
        """Commands stay in order, so one that is late holds up the next."""
        if self._pending:
            arrival_s = max(arrival_s, self._pending[-1][0])
        self._pending.append((arrival_s, command))

    def step_to(self, time_s: float) -> None:
        """Physics up to `time_s`; each command counts from its arrival."""
        while self._pending and self._pending[0][0] <= time_s:
            arrival_s, command = self._pending.popleft()
            self.world.step(max(arrival_s - self.world.time_s, 0.0))
            self._robot.apply(command)
        self.world.step(max(time_s - self.world.time_s, 0.0))
        self._robot.apply(None)


def roll_out(
    embodiment: Embodiment,
    task: str = "shelves",
    seed: int = 0,
    delays: Delays | None = None,
    limit_s: float = 300.0,
    watch: Callable[[World], None] | None = None,
    guarded: bool = False,
) -> Rollout:
    """One episode of the scripted operator.

    Args:
        embodiment: the robot.
        task: a registered task.
        seed: of scene, person and delays.
        delays: between the parts; none if not given.
        limit_s: simulated time after which it is given up.
        watch: called at every tick, to look on.
        guarded: with the guards that the robot node has, too.
    """
    delays = delays or Delays()
    random = np.random.default_rng([seed, 3])
    robot = _Robot(embodiment, task, seed, "teleop", guarded)
    operator = ScriptedOperator(embodiment, task, seed)
    mapper = TeleopMapper(embodiment)
    seen: deque[tuple[WholeBodyState, dict]] = deque(maxlen=1 + round(delays.sight_s / _TICK_S))
    commands: list[WholeBodyCommand] = []
    phases: list[tuple[float, str]] = []
    now_s = 0.0
    while not operator.done and now_s < limit_s:
        seen.append((robot.world.whole_body_state(), robot.world.objects()))
        state, objects = seen[0]
        action = operator.act(now_s, state, objects)
        if not phases or phases[-1][1] != operator.phase:
            phases.append((now_s, operator.phase))
        output = mapper.update(now_s, *leader_samples(now_s, action), state)
        if output.command is not None:
            commands.append(output.command)
            extra_s = float(random.uniform(0.0, delays.jitter_s)) if delays.jitter_s else 0.0
            robot.send(now_s + delays.command_s + extra_s, output.command)
        now_s += _TICK_S
        robot.step_to(now_s)
        if watch is not None:
            watch(robot.world)
    robot.step_to(now_s + _AFTER_S)
    status = robot.world.task_status()
    return Rollout(
        seed, status.success, status.done, now_s, operator.done, tuple(commands), tuple(phases)
    )


def replay(
    embodiment: Embodiment,
    rollout: Rollout,
    task: str = "shelves",
    delays: Delays | None = None,
    random_seed: int = 0,
    guarded: bool = False,
) -> Rollout:
    """The recorded commands, open loop, in a fresh world of the same seed."""
    delays = delays or Delays()
    random = np.random.default_rng([rollout.seed, 4, random_seed])
    robot = _Robot(embodiment, task, rollout.seed, "replay", guarded)
    for command in rollout.commands:
        extra_s = float(random.uniform(0.0, delays.jitter_s)) if delays.jitter_s else 0.0
        robot.send(command.stamp_s + delays.command_s + extra_s, command)
    steps = round(rollout.length_s / _TICK_S) + 10
    for i in range(1, steps + 1):
        robot.step_to(i * _TICK_S)
    robot.step_to(steps * _TICK_S + _AFTER_S)
    status = robot.world.task_status()
    return replace(rollout, success=status.success, done=status.done)


def leader_samples(
    now_s: float, action: OperatorAction
) -> tuple[LeaderSample, JoyConSample, JoyConSample]:
    """What JoyLo measures of the hands: arms, left and right Joy-Con."""
    return (
        LeaderSample(now_s, action.left_arm, action.right_arm),
        JoyConSample(now_s, action.left_stick, action.left_buttons),
        JoyConSample(now_s, action.right_stick, action.right_buttons),
    )


def main(arguments: list[str] | None = None) -> int:
    """Prints a table of episodes and their replays; returns 0 if the targets are met."""
    parser = argparse.ArgumentParser(description="Roll out and replay the scripted operator.")
    parser.add_argument("--task", default="shelves")
    parser.add_argument("--robot", default="r1")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--sight-ms", type=float, default=20.0, help="age of what is seen")
    parser.add_argument("--command-ms", type=float, default=10.0, help="delay of commands")
    parser.add_argument("--jitter-ms", type=float, default=6.0, help="greatest extra delay")
    parser.add_argument("--replays", type=int, default=1, help="of each episode")
    parser.add_argument("--guarded", action="store_true", help="with collision guards")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    embodiment = load_embodiment(options.robot)
    delays = Delays(options.sight_ms / 1e3, options.command_ms / 1e3, options.jitter_ms / 1e3)
    episodes = replays = 0
    log.info("%5s  %-8s  %8s  %s", "seed", "operator", "length", "replays")
    for seed in range(options.first, options.first + options.seeds):
        guarded = options.guarded
        rollout = roll_out(embodiment, options.task, seed, delays, guarded=guarded)
        again = [
            replay(embodiment, rollout, options.task, delays, i, guarded)
            for i in range(options.replays)
        ]
        episodes += rollout.success
        replays += sum(r.success for r in again)
        log.info(
            "%5d  %-8s  %6.1f s  %s",
            seed,
            "yes" if rollout.success else f"{sum(rollout.done)}/{len(rollout.done)}",
            rollout.length_s,
            " ".join("yes" if r.success else f"{sum(r.done)}/{len(r.done)}" for r in again),
        )
    total = options.seeds
    log.info("operator %d/%d, replay %d/%d", episodes, total, replays, total * options.replays)
    return 0 if episodes >= 0.9 * total and replays >= 0.8 * total * options.replays else 1


if __name__ == "__main__":
    sys.exit(main())
