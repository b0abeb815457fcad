"""The scripted operator: plays the person at the leader. It never commands the robot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.types import WholeBodyState
from brs_sim.operator.hands import ARMS, Hands, Motion, OperatorAction, together
from brs_sim.tasks.registry import Pose

# A robot that stays behind the leader like this does not follow it.
_LOST_RAD, _LOST_S = 0.45, 0.8
_RELEASED_S = 0.5


class Script(ABC):
    """How one task is done, as motions of a person's hands."""

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.phase = ""

    @abstractmethod
    def run(self) -> Motion:
        """The whole episode, from whatever state it is begun in."""


_SCRIPTS: dict[str, Callable[[Embodiment, int], Script]] = {}
ScriptClass = TypeVar("ScriptClass", bound=type[Script])


def plays(task_name: str) -> Callable[[ScriptClass], ScriptClass]:
    """Class decorator: makes the script the one for a task."""

    def register(cls: ScriptClass) -> ScriptClass:
        _SCRIPTS[task_name] = cls
        return cls

    return register


class ScriptedOperator:
    """Looks at robot and objects, and says what the hands do on the leader.

    Args:
        embodiment: the robot.
        task_name: what shall be done.
        seed: of the person's habits.
        takes_over: from a policy that drives, in the middle of the task.

    Raises:
        ConfigError: nobody knows how to do that task.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        task_name: str = "shelves",
        seed: int = 0,
        takes_over: bool = False,
    ) -> None:
        if task_name not in _SCRIPTS:
            raise ConfigError(
                f"no operator for task '{task_name}'", remedy=did_you_mean(task_name, _SCRIPTS)
            )
        self._script = _SCRIPTS[task_name](embodiment, seed)
        self._hands = self._script.hands
        self._hands.takes_over = takes_over
        self._motion: Motion | None = None
        self._following_s = 0.0  # when the robot was last seen to follow
        self._recovering = False
        self.done = False

    @property
    def phase(self) -> str:
        """What the person is about, for people to read."""
        return "done" if self.done else self._script.phase

    def act(self, now_s: float, state: WholeBodyState, objects: dict[str, Pose]) -> OperatorAction:
        """One moment; call it at about 100 Hz.

        Args:
            now_s: the time of the caller's clock [s].
            state: the robot as measured.
            objects: name -> position (3,) [m] and quaternion (4,) wxyz in the world.
        """
        hands = self._hands
        hands.see(now_s, state, objects)
        if not self.done:
            self._watch_following(now_s)
            if self._motion is None:
                self._motion = self._script.run()
                hands.hold_to_drive = True
            try:
                next(self._motion)
            except StopIteration:
                self._motion = None
                self.done = not self._recovering
                self._recovering = False
                if self.done:
                    hands.let_go()
        return hands.action()

    def _watch_following(self, now_s: float) -> None:
        """Notices that the robot does not follow; then lets go and begins anew."""
        lost = self._hands.lag_rad() > _LOST_RAD or self._hands.drives_in_vain()
        if self._motion is None or self._recovering or not lost:
            self._following_s = now_s
        if now_s - self._following_s > _LOST_S:
            self._script.phase = "the robot does not follow; trying again"
            self._recovering = True
            self._motion = self._recover()

    def _recover(self) -> Motion:
        """Lets go and takes the leader back to where the robot is."""
        hands = self._hands
        hands.let_go()
        state = hands.robot
        yield from together(*(hands.move_arm(arm, getattr(state, arm).position) for arm in ARMS))
        yield from hands.wait(_RELEASED_S)
