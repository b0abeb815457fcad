"""What a task is, and the register of all tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import mujoco
import numpy as np

from brs_hardware.config import did_you_mean, load_named
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_sim.tasks.config import TaskConfig
from brs_sim.tasks.room import Decoration

Pose = tuple[np.ndarray, np.ndarray]  # position (3,) [m], quaternion (4,) wxyz, in the world


@dataclass(frozen=True)
class TaskStatus:
    """Progress as the success rule sees it now."""

    subtasks: tuple[str, ...]
    done: tuple[bool, ...]  # one a sub-task
    success: bool  # the entire task
    time_s: float  # simulated time since the reset

    @property
    def score(self) -> float:
        """Share of the sub-tasks that are done, 0..1."""
        return sum(self.done) / len(self.done)


@dataclass(frozen=True)
class Start:
    """Where the robot is when an episode begins."""

    base_pose: np.ndarray  # (3,) x, y [m], yaw [rad] in the world
    joints: dict[str, np.ndarray]  # group -> positions [rad]


@dataclass(frozen=True)
class Deed:
    """Things moved by an invisible hand; see `brs_sim.tasks.deeds.perform`."""

    objects: dict[str, Pose] = field(default_factory=dict)  # carried there
    fixtures: dict[str, float] = field(default_factory=dict)  # joint -> [rad] or [m], turned so
    base_pose: np.ndarray | None = None  # (3,) where the robot is put
    hold_s: float = 0.1  # everything named is kept there for so long, then let go


@dataclass(frozen=True)
class Grasp:
    """A place at which the task needs a hand."""

    name: str
    tool: np.ndarray  # (4, 4) pose of a gripper's tool frame in the world
    stance: np.ndarray  # (3,) x, y [m], yaw [rad]: where the base can stand for it
    after: Deed = field(default_factory=Deed)  # what has been done by then


class Task(ABC):
    """One scene of one seed. Everything random is drawn in the constructor.

    Args:
        embodiment: the robot that will do it.
        seed: the same seed gives the same scene.
        config: what is drawn from, and the thresholds of the rules.
    """

    name: ClassVar[str]
    instruction: ClassVar[str]  # what a person would say
    config_type: ClassVar[type[TaskConfig]]
    # Whether scenes come from a generator; such are for training and no part of the benchmark.
    generated: ClassVar[bool] = False
    # Names of the movable bodies; each has a free joint of its name.
    objects: tuple[str, ...]
    # Names of the parts of furniture and things that turn or slide, and of their joints.
    fixtures: tuple[str, ...] = ()
    # What must have been done at the end, one after the other where the task says so.
    subtasks: tuple[str, ...]
    config: Any  # of `config_type`
    start: Start
    decoration: Decoration

    def __init__(self, embodiment: Embodiment, seed: int, config: TaskConfig) -> None:
        self.config = config
        ready = embodiment.poses.get("ready", {})
        joints = {
            name: np.array(ready.get(name, np.zeros(len(embodiment.group(name).joints))))
            for name in embodiment.GROUPS
        }
        place = np.random.default_rng([seed, 6]).uniform(*config.start)
        self.start = Start(place, joints)
        look = np.random.default_rng([seed, 5, *self.name.encode()])
        self.decoration = Decoration.drawn(look, config.room)
        self.draw(np.random.default_rng([seed, 1]))

    @abstractmethod
    def draw(self, random: np.random.Generator) -> None:
        """Draws what is particular to the task: sizes, poses, colours, objects, sub-tasks."""

    @abstractmethod
    def furnish(self, spec: mujoco.MjSpec) -> None:
        """Adds room, furniture and objects."""

    @abstractmethod
    def done(self, model: mujoco.MjModel, data: mujoco.MjData) -> tuple[bool, ...]:
        """For each sub-task, whether its rule holds, or has held if that is enough."""

    @abstractmethod
    def solution(self) -> tuple[Deed, ...]:
        """One way to fulfil every rule, in this order."""

    @abstractmethod
    def grasps(self) -> tuple[Grasp, ...]:
        """The places at which the task needs a hand, one after the other."""

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:  # noqa: B027
        """Called 50 times a simulated second: here tasks remember, and work their mechanisms."""

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


def task_names(generated: bool = False) -> tuple[str, ...]:
    """Names of the tasks of the benchmark, sorted; with `generated`, of the generated instead."""
    return tuple(sorted(name for name, cls in _TASKS.items() if cls.generated is generated))


def make_task(
    name: str, embodiment: Embodiment, seed: int, config: TaskConfig | None = None
) -> Task:
    """The scene `seed` of the task `name`.

    Args:
        name: of a registered task.
        embodiment: the robot.
        seed: of the scene.
        config: None takes config/tasks/<name>.yaml.

    Raises:
        ConfigError: unknown task, told with the nearest; or a malformed file.
    """
    if name not in _TASKS:
        raise ConfigError(f"unknown task '{name}'", remedy=did_you_mean(name, _TASKS))
    cls = _TASKS[name]
    return cls(embodiment, seed, config or load_named(cls.config_type, "tasks", name, "task"))
