"""What commands the robot in a trial, and the two that know nothing of the task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.types import WholeBodyCommand
from brs_sim.actions import BASE, action_limits, command_of, proprioception
from brs_sim.world import World

TICK_S = 0.01  # of the robot node


class Driver(ABC):
    """Commands one trial after another; what it does hangs on scene and seed alone."""

    source: ClassVar[str] = "policy"  # as which the robot node would know it: teleop, replay
    finished = False  # it will command nothing any more

    @abstractmethod
    def begin(self, world: World, seed: int) -> None:
        """A trial begins.

        Args:
            world: to look at; it is stepped by others.
            seed: of all that is random in what this driver does.

        Raises:
            BrsError: something that it needs is missing; other trials would fail as well.
        """

    @abstractmethod
    def tick(self) -> WholeBodyCommand | None:
        """The command of this moment, if there is one; called every 10 ms of simulated time.

        Raises:
            BrsError: it fails; so does the trial.
        """

    def close(self) -> None:  # noqa: B027
        """Gives up what it holds; it drives no more."""


class SteppedDriver(Driver):
    """Decides some times a second; in between, joints go straight from one action to the next.

    Args:
        robot: that is driven.
        rate_hz: of decisions.

    Raises:
        ConfigError: the robot node's rate is no multiple of it.
    """

    def __init__(self, robot: Embodiment, rate_hz: float = 10.0) -> None:
        self.robot = robot
        self._ticks = round(1.0 / (rate_hz * TICK_S))
        if not np.isclose(self._ticks * rate_hz * TICK_S, 1.0):
            raise ConfigError(
                f"cannot act at {rate_hz:g} Hz", remedy=f"take a part of {1 / TICK_S:g} Hz"
            )
        self._lower, self._upper = action_limits(robot)

    @abstractmethod
    def start(self, seed: int) -> None:
        """A trial begins in `self.world`; see Driver."""

    @abstractmethod
    def decide(self) -> np.ndarray | None:
        """(2, n) action of this step and of its end; None commands nothing.

        The base drives all of the step as the first says.
        """

    def begin(self, world: World, seed: int) -> None:
        """See Driver."""
        self.world, self._tick = world, 0
        self._actions: np.ndarray | None = None
        self.start(seed)

    def tick(self) -> WholeBodyCommand | None:
        """See Driver; numbers beyond the robot's limits are brought to them."""
        part = self._tick % self._ticks
        if part == 0:
            self._actions = self.decide()
        self._tick += 1
        if self._actions is None:
            return None
        now, after = self._actions
        action = now + part / self._ticks * (after - now)
        action[BASE] = now[BASE]
        action = np.clip(action, self._lower, self._upper)
        return command_of(self.robot, action, self.world.time_s, self.source)


class Idle(SteppedDriver):
    """Stays as it began."""

    def start(self, seed: int) -> None:
        """See SteppedDriver."""
        action = proprioception(self.world.whole_body_state()).astype(float)
        action[BASE] = 0.0
        self._stay = np.stack([action, action])

    def decide(self) -> np.ndarray:
        """See SteppedDriver."""
        return self._stay


class Random(SteppedDriver):
    """Anything between the robot's limits, drawn anew at each step."""

    def start(self, seed: int) -> None:
        """See SteppedDriver."""
        self._random = np.random.default_rng([seed, 7])
        self._next = self._drawn()

    def decide(self) -> np.ndarray:
        """See SteppedDriver."""
        now, self._next = self._next, self._drawn()
        return np.stack([now, self._next])

    def _drawn(self) -> np.ndarray:
        return self._random.uniform(self._lower, self._upper)
