"""Drivers that stand for people: the scripted operator, and what one did once, played again."""

from __future__ import annotations

from collections.abc import Sequence
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

    name: str
    seed: int  # of its scene
    times_s: np.ndarray  # (n,) since the first one
    actions: np.ndarray  # (n, d), see brs_sim.actions


class Replayed(Driver):
    """Plays recorded commands, open loop.

    Args:
        robot: that is driven.
        recordings: whose commands.
        own: each in its own scene; otherwise in whatever scene there is, the seed chooses which.

    Raises:
        ConfigError: there is none, it is of another robot, or two have one scene.
    """

    source: ClassVar[str] = "replay"

    def __init__(self, robot: Embodiment, recordings: Sequence[Recording], own: bool) -> None:
        if not recordings:
            raise ConfigError("there is no episode to replay", remedy="record one")
        self._robot, self._recordings, self._own = robot, tuple(recordings), own
        self._by_seed = {recording.seed: recording for recording in recordings}
        if own and len(self._by_seed) < len(recordings):
            raise ConfigError(
                "two episodes have the same scene",
                where=", ".join(recording.name for recording in recordings),
                remedy="replay one of them",
            )

    def begin(self, world: World, seed: int) -> None:
        """See Driver."""
        self._world, self._next, self.finished = world, 0, False
        count = len(self._recordings)
        self._playing = self._by_seed[seed] if self._own else self._recordings[seed % count]

    def tick(self) -> WholeBodyCommand | None:
        """See Driver; of several commands of one tick the last, each once."""
        now_s, playing = self._world.time_s, self._playing
        due = int(np.searchsorted(playing.times_s, now_s + 1e-9, side="right"))
        if due == self._next:
            return None
        self._next, self.finished = due, due == len(playing.times_s)
        return command_of(self._robot, playing.actions[due - 1], now_s, self.source)
