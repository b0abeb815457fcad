"""Drivers that stand for people: the scripted operator, and what one did once, played again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.teleop import TeleopMapper
from brs_hardware.types import WholeBodyCommand
from brs_sim.actions import command_of
from brs_sim.evaluation.driver import Driver
from brs_sim.operator import ScriptedOperator
from brs_sim.operator.rollout import leader_samples
from brs_sim.world import World


class Expert(Driver):
    """The scripted operator at the leader, who sees all objects as they are.

    Args:
        robot: that is driven.
        task: that is to be done.

    Raises:
        ConfigError: nobody knows how to do that task.
    """

    source: ClassVar[str] = "teleop"

    def __init__(self, robot: Embodiment, task: str) -> None:
        self._robot, self._task = robot, task
        self._operator = ScriptedOperator(robot, task)

    def begin(self, world: World, seed: int) -> None:
        """See Driver."""
        self._world, self.finished = world, False
        self._operator = ScriptedOperator(self._robot, self._task, seed)
        self._mapper = TeleopMapper(self._robot)

    def tick(self) -> WholeBodyCommand | None:
        """See Driver."""
        world, now_s = self._world, self._world.time_s
        state = world.whole_body_state()
        action = self._operator.act(now_s, state, world.objects())
        self.finished = self._operator.done
        return self._mapper.update(now_s, *leader_samples(now_s, action), state).command


@dataclass(frozen=True)
class Recording:
    """The commands of one episode."""

    times_s: np.ndarray  # (n,) since the first one
    actions: np.ndarray  # (n, d), see brs_sim.actions


class Replayed(Driver):
    """Plays recorded commands, open loop.

    Args:
        robot: that was driven, and is.
        seeds: of the episodes' scenes.
        read: gives the recording of the episode that has this place in `seeds`.
        own: each in its own scene; otherwise in whatever scene there is, the seed chooses which.

    Raises:
        ConfigError: there is no episode, or two have one scene.
    """

    source: ClassVar[str] = "replay"

    def __init__(
        self,
        robot: Embodiment,
        seeds: Sequence[int],
        read: Callable[[int], Recording],
        own: bool,
    ) -> None:
        self._robot, self._seeds, self._read, self._own = robot, tuple(seeds), read, own
        if not seeds:
            raise ConfigError("there is no episode to replay", remedy="record one")
        doubled = {seed for seed in seeds if self._seeds.count(seed) > 1}
        if own and doubled:
            raise ConfigError(
                f"several episodes have seed {min(doubled)}", remedy="replay one of them"
            )

    def begin(self, world: World, seed: int) -> None:
        """See Driver."""
        place = self._seeds.index(seed) if self._own else seed % len(self._seeds)
        self._playing = self._read(place)
        self._world, self._next, self.finished = world, 0, False

    def tick(self) -> WholeBodyCommand | None:
        """See Driver; of several commands of one tick the last, and each once."""
        now_s, playing = self._world.time_s, self._playing
        due = int(np.searchsorted(playing.times_s, now_s + 1e-9, side="right"))
        if due == self._next:
            return None
        self._next, self.finished = due, due == len(playing.times_s)
        return command_of(self._robot, playing.actions[due - 1], now_s, self.source)
