"""What all leaders but JoyLo have in common: engage where the robot is, and let go in doubt.

    keys, gamepad, hand poses, another arm -> DirectLeader -> LeaderSample + two JoyConSamples

While the dead-man is released, the leader's arms are the robot's measured ones, so that engaging
finds no distance. While it is held, they move on from there. An input that is late, is no number
or jumps counts as a released dead-man, until the person has released it too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from brs_hardware import config
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.leaders.hands import SIDES, ManualAction
from brs_hardware.teleop import CLUTCH, DEADMAN, LOCK
from brs_hardware.types import JoyConSample, LeaderSample, WholeBodyState

ARMS = {side: f"{side}_arm" for side in SIDES}
_LONGEST_STEP_S = 0.05  # a program that was stalled does not make up for it
_NOTHING = ManualAction(np.zeros(0), np.zeros(0))
_REINDEXING = frozenset((*CLUTCH.values(), *LOCK))


@dataclass(frozen=True)
class DirectSettings:
    """What every kind can be told in its YAML; each adds its own."""

    input_timeout_s: float = 0.25  # of the person's device
    state_timeout_s: float = 0.2  # of the robot's state
    lead_rad: float = 0.4  # the arms run at most so far ahead of the measured ones
    jump_rad: float = 0.3  # that no joint moves from one update to the next

    def __post_init__(self) -> None:
        config.positive(self, *(set(config.float_fields(self)) - {"heading_rad"}))


@dataclass(frozen=True)
class LeaderSamples:
    """What teleop wants to hear at one moment."""

    arms: LeaderSample
    left: JoyConSample
    right: JoyConSample


class DirectLeader(ABC):
    """Made with `make_leader`. Each kind has methods of its own for what its device says.

    Args:
        embodiment: the robot that is led.
        settings: the kind's `Settings`; None takes its defaults.
    """

    Settings: ClassVar[type[Any]] = DirectSettings
    _barred: ClassVar[frozenset[str]] = _REINDEXING  # buttons that teleop does not hear of

    def __init__(self, embodiment: Embodiment, settings: Any = None) -> None:
        self.embodiment = embodiment
        self.settings = settings or self.Settings()
        self.problem = "not seen released yet"  # why the dead-man does not count
        self._arms: dict[str, np.ndarray] | None = None  # None while the dead-man is released
        self._updated_s: float | None = None

    def update(self, now_s: float, state: WholeBodyState | None) -> LeaderSamples | None:
        """What goes to teleop now; None, that is silence, while the robot's state is not known.

        Args:
            now_s: time on the clock of all stamps [s].
            state: newest state of the robot.
        """
        elapsed_s = 0.0 if self._updated_s is None else now_s - self._updated_s
        self._updated_s = now_s
        if state is None or now_s - state.stamp_s > self.settings.state_timeout_s:
            self.problem, self._arms = "robot state: silent. Is the robot node running?", None
            return None
        measured = {side: getattr(state, arm).position for side, arm in ARMS.items()}
        try:
            action = self._action(now_s)
            if not (action.left_buttons | action.right_buttons) & DEADMAN:
                self.problem, self._arms = "", None
            elif not self.problem:
                dt_s = min(max(elapsed_s, 0.0), _LONGEST_STEP_S)
                self._arms = self._follow(action, measured, dt_s)
        except DeviceError as error:
            self.problem, action = str(error), _NOTHING
        if self.problem:
            self._arms = None
        # Arms that rest on the robot need no other place than the robot's.
        barred = (DEADMAN if self.problem else frozenset()) | self._barred
        action = replace(
            action,
            left_buttons=action.left_buttons - barred,
            right_buttons=action.right_buttons - barred,
        )
        arms = self._rest(measured) if self._arms is None else self._arms
        return LeaderSamples(
            LeaderSample(now_s, arms["left"], arms["right"]),
            JoyConSample(now_s, np.array(action.left_stick, dtype=float), action.left_buttons),
            JoyConSample(now_s, np.array(action.right_stick, dtype=float), action.right_buttons),
        )

    def _follow(
        self, action: ManualAction, measured: dict[str, np.ndarray], dt_s: float
    ) -> dict[str, np.ndarray]:
        if self._arms is None:
            rest = self._rest(measured)
            self._arms = {side: self._in_limits(side, arm) for side, arm in rest.items()}
            self._begin(self._arms)
        moved = self._move(self._arms, action, dt_s)
        lead = self.settings.lead_rad
        for side, arm in ARMS.items():
            near = np.clip(moved[side], measured[side] - lead, measured[side] + lead)
            moved[side] = self._in_limits(side, near)
            jump_rad = float(np.max(np.abs(moved[side] - self._arms[side])))
            if not jump_rad <= self.settings.jump_rad:  # NaN is not either
                raise DeviceError(
                    f"{arm} jumped by {jump_rad:.2f} rad", remedy="release the dead-man"
                )
        return moved

    def _in_limits(self, side: str, arm: np.ndarray) -> np.ndarray:
        group = self.embodiment.group(ARMS[side])
        return np.clip(arm, group.lower, group.upper)

    # -- what a kind is --------------------------------------------------------------------

    @abstractmethod
    def _action(self, now_s: float) -> ManualAction:
        """Sticks, buttons and steps now.

        Raises:
            DeviceError: the device is silent, or what it says cannot be trusted.
        """

    @abstractmethod
    def _move(
        self, arms: dict[str, np.ndarray], action: ManualAction, dt_s: float
    ) -> dict[str, np.ndarray]:
        """Both arms [rad], by side, after one step from `arms`. Raises DeviceError likewise."""

    def _begin(self, arms: dict[str, np.ndarray]) -> None:  # noqa: B027  (few kinds need it)
        """The dead-man was pressed while the arms were there."""

    def _rest(self, measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Both arms while the dead-man is released."""
        return measured


LEADERS: dict[str, type[DirectLeader]] = {}
L = TypeVar("L", bound=type[DirectLeader])


def register(kind: str) -> Callable[[L], L]:
    """Makes a class the one for `kind:` in config/leaders."""

    def keep(cls: L) -> L:
        LEADERS[kind] = cls
        return cls

    return keep


def make_leader(name: str, embodiment: Embodiment) -> DirectLeader:
    """The leader `name` (a file in config/leaders, or a path to a YAML file).

    Raises:
        ConfigError: no such file or kind, unknown keys, wrong values.
    """
    path = config.named_file("leaders", name, "leader")
    values = config.load_yaml(path)
    if not isinstance(values, dict) or "kind" not in values:
        raise ConfigError(
            "key 'kind' is missing",
            where=str(path),
            remedy=f"one of {', '.join(sorted(LEADERS))}; a JoyLo is led by the node joylo",
        )
    kind = str(values.pop("kind"))
    if kind not in LEADERS:
        raise ConfigError(
            f"unknown kind '{kind}'", where=str(path), remedy=config.did_you_mean(kind, LEADERS)
        )
    cls = LEADERS[kind]
    return cls(embodiment, config.build(cls.Settings, values, str(path)))
