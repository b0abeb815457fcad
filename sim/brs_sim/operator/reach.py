"""Whether a robot can bring a hand where a task needs one: whole-body inverse kinematics by mink.

The base stands where the grasp says; torso and one arm reach, within their limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import mink
import mujoco
import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.model import BASE_JOINTS, build_model, robot_root
from brs_sim.operator.hands import TOOLS, bent_elbow
from brs_sim.tasks.registry import Grasp
from brs_sim.world import World

_STEP_S = 0.05
_TRIES = 60
_GOOD_M = 4e-3
# From where the search begins, torso joints [rad] of a robot that pitches at three of them:
# upright, leaning, half squat, deep squat.
_TORSOS = ((0.0, 0.0, 0.0), (0.2, -0.3, -0.4), (0.7, -1.3, -0.9), (1.2, -2.1, -1.3))


@dataclass(frozen=True)
class Reached:
    """A posture found for a grasp."""

    arm: str
    qpos: np.ndarray  # of the robot alone, base first
    position_error_m: float
    angle_error_rad: float
    overlap_m: float  # how deep the robot is in anything but what its fingers may touch
    overlap: str  # what it is that overlaps

    @property
    def badness(self) -> float:
        """Errors and overlap as one number [m]."""
        return self.position_error_m + 0.1 * self.angle_error_rad + self.overlap_m


class Reach:
    """See the module.

    Args:
        embodiment: the robot.

    Attributes:
        joints: of the robot, in the order of `Reached.qpos`.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        self.embodiment = embodiment
        self._model = build_model(embodiment)
        self._configuration = mink.Configuration(self._model)
        self._posture = mink.PostureTask(self._model, cost=1e-3)
        self._posture.cost[:3] = 1e3  # the base stays
        self._limits = [mink.ConfigurationLimit(self._model)]
        self.joints = tuple(self._model.joint(i).name for i in range(self._model.njnt))

    def solve(self, world: World, grasp: Grasp) -> Reached:
        """The best posture, with whichever arm is better.

        Args:
            world: the grasp's scene; things in it are moved as they are by then.
            grasp: what is to be reached.
        """
        for fixture, value in grasp.after.fixtures.items():
            world.turn_fixture(fixture, value)
        for name, pose in grasp.after.objects.items():
            world.place_object(name, pose)
        found = (self._from(world, grasp, arm, torso) for arm in TOOLS for torso in _TORSOS)
        best = next(found)
        for reached in found:
            best = min(best, reached, key=lambda r: r.badness)
            if best.badness < _GOOD_M:
                break
        return best

    def _overlap(self, world: World, qpos: np.ndarray) -> tuple[float, str]:
        """How deep the robot is in furniture, things or itself [m], and in which."""
        model, data = world.model, mujoco.MjData(world.model)
        data.qpos[:] = world.snapshot().qpos
        for name, value in zip(self.joints, qpos, strict=True):
            data.joint(name).qpos[0] = value
        mujoco.mj_forward(model, data)
        root = model.body(robot_root(model)).id
        things = {model.body(name).id for name in (*world.task.objects, *world.task.fixtures)}
        deepest, where = 0.0, ""
        for pair, distance in zip(data.contact.geom, data.contact.dist, strict=True):
            bodies = model.geom_bodyid[pair]
            names = [model.body(body).name for body in bodies]
            grips = any("finger" in name for name in names) and things & set(bodies)
            robots = model.body_rootid[bodies] == root
            if robots.any() and not grips and -distance > deepest:
                deepest, where = float(-distance), " and ".join(names)
        return deepest, where

    def _from(self, world: World, grasp: Grasp, arm: str, torso: tuple[float, ...]) -> Reached:
        configuration = self._configuration
        configuration.update(self._start(grasp, torso))
        self._posture.set_target(configuration.q)
        tool = mink.FrameTask(TOOLS[arm], "body", position_cost=1.0, orientation_cost=0.3)
        tool.set_target(mink.SE3.from_matrix(grasp.tool))
        for _ in range(_TRIES):
            velocity = mink.solve_ik(
                configuration,
                [tool, self._posture],
                _STEP_S,
                solver="daqp",
                damping=1e-4,
                limits=self._limits,
            )
            configuration.integrate_inplace(velocity, _STEP_S)
            error = tool.compute_error(configuration)
            if np.linalg.norm(error[:3]) < 1e-3 and np.linalg.norm(error[3:]) < 0.02:
                break
        position, angle = np.linalg.norm(error[:3]), np.linalg.norm(error[3:])
        overlap = self._overlap(world, configuration.q)
        return Reached(arm, configuration.q.copy(), float(position), float(angle), *overlap)

    def _start(self, grasp: Grasp, torso: tuple[float, ...]) -> np.ndarray:
        qpos = np.zeros(self._model.nq)

        def put(names: tuple[str, ...], values: np.ndarray | tuple[float, ...]) -> None:
            for name, value in zip(names, values, strict=False):
                qpos[self._model.joint(name).qposadr[0]] = value

        put(BASE_JOINTS, grasp.stance)
        put(self.embodiment.torso.joints, torso)
        for arm in TOOLS:
            put(self.embodiment.group(arm).joints, bent_elbow(arm))
        for name in self.embodiment.GRIPPERS:
            gripper = self.embodiment.gripper(name)
            share = gripper.stroke_open_mm / 1000.0 / len(gripper.joints)
            put(gripper.joints, (share,) * len(gripper.joints))
        return qpos
