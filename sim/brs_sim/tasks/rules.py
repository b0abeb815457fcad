"""Rules by which sub-tasks count, and tasks whose sub-tasks follow each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from brs_sim.model import BASE_JOINTS, robot_root
from brs_sim.tasks.registry import Task

Rule = Callable[[mujoco.MjModel, mujoco.MjData], bool]

_REST_SPEED = 0.05  # [m/s], below this a thing is at rest
_HELD_S = 0.5  # nothing that falls stays off everything for so long


class StagedTask(Task):
    """Each sub-task counts for good once its rule has held after all those before it.

    As in the paper's trials: what was picked up has been picked up, and a step that needs one
    before it does not count without that.
    """

    rules: tuple[Rule, ...]  # one a sub-task
    _reached = 0

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """See Task."""
        if self._reached < len(self.rules) and self.rules[self._reached](model, data):
            self._reached += 1

    def done(self, model: mujoco.MjModel, data: mujoco.MjData) -> tuple[bool, ...]:
        """See Task."""
        return tuple(i < self._reached for i in range(len(self.rules)))


def roots_touching(model: mujoco.MjModel, data: mujoco.MjData, name: str) -> set[str]:
    """Names of the outermost bodies that touch the body `name` or its parts.

    The robot goes by the name of its base, and whatever stands fast by its own.
    """
    own = model.body(name).id
    roots = model.body_rootid
    bodies = model.geom_bodyid[data.contact.geom.reshape(-1, 2)]
    found = set()
    for pair in bodies[(roots[bodies] == own).any(axis=1)]:
        found |= {model.body(roots[body]).name for body in pair if roots[body] != own}
    return found


def is_held_or_free(model: mujoco.MjModel, data: mujoco.MjData, names: Sequence[str]) -> bool:
    """Whether the bodies touch nothing but the robot and each other."""
    allowed = {robot_root(model), *names}
    return all(roots_touching(model, data, name) <= allowed for name in names)


def is_let_go(model: mujoco.MjModel, data: mujoco.MjData, name: str) -> bool:
    """At rest, and the robot does not touch it."""
    speed = np.linalg.norm(data.joint(name).qvel[:3])
    return bool(speed < _REST_SPEED) and robot_root(model) not in roots_touching(model, data, name)


def base_pose(data: mujoco.MjData) -> np.ndarray:
    """(3,) x, y [m], yaw [rad] of the robot in the world."""
    return np.array([data.joint(name).qpos[0] for name in BASE_JOINTS])


class Aloft:
    """Things have been off everything but the robot and each other for half a second.

    Nothing that falls is in the air for so long, so it is the robot that holds them.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._since_s = np.inf

    def __call__(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """See Rule."""
        if not is_held_or_free(model, data, self._names):
            self._since_s = np.inf
        self._since_s = min(self._since_s, data.time)
        return bool(data.time - self._since_s >= _HELD_S - 1e-9)


class Opened:
    """A hinge is open at least so far [rad]."""

    def __init__(self, joint: str, angle: float) -> None:
        self._joint, self._angle = joint, angle

    def __call__(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """See Rule."""
        return bool(data.joint(self._joint).qpos[0] >= self._angle)


class Closed:
    """A hinge is open no farther than so [rad]."""

    def __init__(self, joint: str, angle: float) -> None:
        self._joint, self._angle = joint, angle

    def __call__(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """See Rule."""
        return bool(data.joint(self._joint).qpos[0] <= self._angle)


class Near:
    """The robot stands near a place and, if asked for, looks there."""

    def __init__(self, place: np.ndarray, distance: float, facing: float = np.pi) -> None:
        """`place` (2,) [m], greatest distance of the base from it [m], and angle off it [rad]."""
        self._place, self._distance, self._facing = place, distance, facing

    def __call__(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """See Rule."""
        pose = base_pose(data)
        away = self._place - pose[:2]
        off = (np.arctan2(away[1], away[0]) - pose[2] + np.pi) % (2 * np.pi) - np.pi
        return bool(np.linalg.norm(away) <= self._distance and abs(off) <= self._facing)


class Wiped:
    """A tool has been on enough of the spots of a surface.

    Args:
        tool: body that wipes.
        surface: body whose shapes are wiped.
        spots: (n, 3) in the frame of `surface` [m].
        radius: how near to a spot the middle of the tool must come while it touches [m].
        share: of the spots that are enough.
    """

    def __init__(
        self, tool: str, surface: str, spots: np.ndarray, radius: float, share: float
    ) -> None:
        self._tool, self._surface, self._spots = tool, surface, spots
        self._radius, self._needed = radius, int(np.ceil(share * len(spots)))
        self.clean = np.zeros(len(spots), dtype=bool)

    def __call__(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """See Rule."""
        tool, surface = model.body(self._tool).id, model.body(self._surface).id
        bodies = model.geom_bodyid[data.contact.geom.reshape(-1, 2)]
        if ((bodies == tool).any(axis=1) & (bodies == surface).any(axis=1)).any():
            axes = data.xmat[surface].reshape(3, 3)
            spots = data.xpos[surface] + self._spots @ axes.T
            away = np.linalg.norm(spots - data.xpos[tool], axis=1)
            self.clean |= away <= self._radius
        return bool(self.clean.sum() >= self._needed)


def both(*rules: Rule) -> Rule:
    """All of the rules at the same time; each is asked, as some remember."""

    def ask(model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        answers = [rule(model, data) for rule in rules]
        return all(answers)

    return ask
