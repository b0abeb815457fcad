"""What a task is, and the register of all tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import mujoco
import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

Pose = tuple[np.ndarray, np.ndarray]  # position (3,) [m], quaternion (4,) wxyz, in the world


@dataclass(frozen=True)
class TaskStatus:
    """Progress as the success rule sees it now."""

    subtasks: tuple[str, ...]
    done: tuple[bool, ...]  # one a sub-task
    success: bool
    time_s: float  # simulated time since the reset


@dataclass(frozen=True)
class Start:
    """Where the robot is when an episode begins."""

    base_pose: np.ndarray  # (3,) x, y [m], yaw [rad] in the world
    joints: dict[str, np.ndarray]  # group -> positions [rad]


class Task(ABC):
    """One scene of one seed. Everything random is drawn in the constructor.

    Args:
        embodiment: the robot that will do it.
        seed: the same seed gives the same scene.
    """

    name: ClassVar[str]
    instruction: ClassVar[str]  # what a person would say
    # Names of the movable bodies.
    objects: tuple[str, ...]
    # One for each thing that must be true at the end.
    subtasks: tuple[str, ...]
    start: Start

    @abstractmethod
    def __init__(self, embodiment: Embodiment, seed: int) -> None: ...

    @abstractmethod
    def furnish(self, spec: mujoco.MjSpec) -> None:
        """Adds furniture and objects; each object is a body with a free joint of its name."""

    @abstractmethod
    def done(self, model: mujoco.MjModel, data: mujoco.MjData) -> tuple[bool, ...]:
        """For each sub-task, whether its rule holds in this state."""

    @abstractmethod
    def solution(self) -> dict[str, Pose]:
        """Poses of the objects with which every rule holds."""

    def status(self, model: mujoco.MjModel, data: mujoco.MjData) -> TaskStatus:
        """Progress in this state."""
        done = self.done(model, data)
        return TaskStatus(self.subtasks, done, all(done), float(data.time))


_TASKS: dict[str, type[Task]] = {}
TaskClass = TypeVar("TaskClass", bound=type[Task])


def register(cls: TaskClass) -> TaskClass:
    """Class decorator: makes the task known by its `name`."""
    if cls.name in _TASKS:
        raise ValueError(f"two tasks are named '{cls.name}'")
    _TASKS[cls.name] = cls
    return cls


def task_names() -> tuple[str, ...]:
    """Names of all tasks, sorted."""
    return tuple(sorted(_TASKS))


def make_task(name: str, embodiment: Embodiment, seed: int) -> Task:
    """The scene `seed` of the task `name`. Raises ConfigError that names the nearest task."""
    if name not in _TASKS:
        raise ConfigError(f"unknown task '{name}'", remedy=did_you_mean(name, _TASKS))
    return _TASKS[name](embodiment, seed)
