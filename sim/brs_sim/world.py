"""One simulated world: a robot with the vendor's interface, in the scene of a task.

The world knows the vendor's commands and feedback only; closing fractions, modes and limits of
brs live above it. One lock guards it, so that a node may step it in one thread and take
snapshots for pictures in another.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import mujoco
import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_hardware.types import JointGroupState, WholeBodyState
from brs_sim.chassis import Chassis
from brs_sim.model import build_model
from brs_sim.tasks import TaskStatus, make_task
from brs_sim.tasks.config import TaskConfig
from brs_sim.tasks.registry import Pose
from brs_sim.violations import Violation, ViolationCounter

LOOK_S = 0.01  # rules are looked at so often in simulated time


@dataclass(frozen=True)
class GripperFeedback:
    """Measured gripper."""

    stroke_mm: float  # opening between the pads
    velocity: float  # [mm/s], opening positive
    effort: float  # closing force of one finger [N]


@dataclass(frozen=True)
class VendorFeedback:
    """What the vendor's driver reports at one moment."""

    stamp_s: float  # simulated time [s]
    joints: dict[str, JointGroupState]  # torso, left_arm, right_arm
    grippers: dict[str, GripperFeedback]  # left_gripper, right_gripper
    base_pose: np.ndarray  # (3,) x, y [m], yaw [rad] in odom, which is the world
    base_velocity: np.ndarray  # (3,) vx, vy [m/s], wz [rad/s] in base_link
    wheel_angle: np.ndarray  # (wheels,) steering [rad]
    wheel_speed: np.ndarray  # (wheels,) rolling [rad/s]


@dataclass(frozen=True)
class Snapshot:
    """All that a picture needs; owns its arrays."""

    stamp_s: float
    model: mujoco.MjModel  # another object after each reset
    qpos: np.ndarray  # (model.nq,)


class World:
    """See the module.

    Args:
        embodiment: the robot.
        task_name: a registered task.
        seed: of its scene.
        task_config: None takes config/tasks/<task_name>.yaml.

    Raises:
        ConfigError: unknown task, or malformed robot description or task file.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        task_name: str = "shelves",
        seed: int = 0,
        task_config: TaskConfig | None = None,
    ) -> None:
        self.embodiment = embodiment
        self.task_name, self._task_config = task_name, task_config
        self._description = describe(embodiment)
        self._lock = threading.RLock()
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Builds the scene of `seed` anew; time starts at zero, commands are forgotten."""
        task = make_task(self.task_name, self.embodiment, seed, self._task_config)
        model = build_model(self.embodiment, task.furnish)
        with self._lock:
            self.seed, self.task, self._model = seed, task, model
            self._data = mujoco.MjData(model)
            self._left_over_s = 0.0
            self._steps, self._steps_a_look = 0, round(LOOK_S / model.opt.timestep)
            self._violations = ViolationCounter(model, task.config.violations)
            self._qpos: dict[str, np.ndarray] = {}
            self._qvel: dict[str, np.ndarray] = {}
            parts = {name: self.embodiment.group(name).joints for name in self.embodiment.GROUPS}
            parts |= {n: self.embodiment.gripper(n).joints for n in self.embodiment.GRIPPERS}
            for name, joints in parts.items():
                self._qpos[name] = np.array([model.joint(joint).qposadr[0] for joint in joints])
                self._qvel[name] = np.array([model.joint(joint).dofadr[0] for joint in joints])
            # All servos but the base's as one vector; each part is a view of its targets.
            joints = tuple(joint for part in parts.values() for joint in part)
            self._ctrl = np.array([model.actuator(joint).id for joint in joints])
            speeds = np.array([self._description.joint(joint).velocity for joint in joints])
            self._greatest_change = speeds * model.opt.timestep
            self._all_targets = np.zeros(len(joints))
            ends = np.cumsum([len(part) for part in parts.values()])
            views = np.split(self._all_targets, ends[:-1])
            self._target = dict(zip(parts, views, strict=True))
            self.chassis = Chassis(self.embodiment.base, model, self._data)
            self._place_robot()

    @property
    def time_s(self) -> float:
        """Simulated time since the reset [s]."""
        return float(self._data.time)

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model of the present scene."""
        return self._model

    def command_joints(self, group: str, positions: np.ndarray) -> None:
        """Position targets (n,) [rad] of `torso`, `left_arm` or `right_arm`.

        The tracker goes there no faster than the motors can, and not beyond the limits.

        Raises:
            BrsError: unknown group, wrong count, or a number that is not finite.
        """
        if group not in self.embodiment.GROUPS:
            raise BrsError(
                f"unknown joint group '{group}'",
                remedy=did_you_mean(group, self.embodiment.GROUPS),
            )
        limits = self.embodiment.group(group)
        target = np.asarray(positions, dtype=float)
        if target.shape != limits.lower.shape or not np.all(np.isfinite(target)):
            raise BrsError(f"{group} needs {limits.lower.size} finite positions", where=group)
        with self._lock:
            self._target[group][:] = np.clip(target, limits.lower, limits.upper)

    def command_gripper(self, name: str, stroke_mm: float) -> None:
        """Opening [mm] of `left_gripper` or `right_gripper`. Raises like `command_joints`."""
        if name not in self.embodiment.GRIPPERS:
            raise BrsError(
                f"unknown gripper '{name}'", remedy=did_you_mean(name, self.embodiment.GRIPPERS)
            )
        if not np.isfinite(stroke_mm):
            raise BrsError("the stroke must be finite", where=name)
        joints = [self._description.joint(j) for j in self.embodiment.gripper(name).joints]
        share = stroke_mm / 1000.0 / len(joints)
        with self._lock:
            self._target[name][:] = np.array([np.clip(share, j.lower, j.upper) for j in joints])

    def command_base(self, vx: float, vy: float, wz: float) -> None:
        """Velocity in base_link [m/s, m/s, rad/s]; zero after 0.5 s without a new one.

        Raises:
            BrsError: a number that is not finite.
        """
        with self._lock:
            self.chassis.command(np.array([vx, vy, wz], dtype=float), self.time_s)

    def brake(self, on: bool) -> None:
        """The chassis brake: while on, the base stands whatever is commanded."""
        with self._lock:
            self.chassis.brake_on = bool(on)

    def step(self, duration_s: float) -> None:
        """Advances the physics by whole time steps; the rest is kept for the next call.

        Raises:
            BrsError: the physics diverged; reset the world.
        """
        with self._lock:
            steps, self._left_over_s = divmod(
                self._left_over_s + duration_s + 1e-9, self._model.opt.timestep
            )
            for _ in range(int(steps)):
                self._track()
                self.chassis.track(self._model.opt.timestep)
                mujoco.mj_step(self._model, self._data)
                self._steps += 1
                if self._steps % self._steps_a_look == 0:
                    self.task.watch(self._model, self._data)
                    self._violations.look(self._data)
            if self._data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
                raise BrsError("the simulated physics diverged", remedy="reset the task")

    def feedback(self) -> VendorFeedback:
        """What the vendor's driver would report now."""
        with self._lock:
            wheel_angle, wheel_speed = self.chassis.wheels()
            return VendorFeedback(
                stamp_s=self.time_s,
                joints={name: self._measure(name) for name in self.embodiment.GROUPS},
                grippers={name: self._measure_gripper(name) for name in self.embodiment.GRIPPERS},
                base_pose=self.chassis.pose(),
                base_velocity=self.chassis.velocity(),
                wheel_angle=wheel_angle,
                wheel_speed=wheel_speed,
            )

    def whole_body_state(self) -> WholeBodyState:
        """The measured robot in the stack's own terms."""
        feedback = self.feedback()
        joints, grippers = feedback.joints, feedback.grippers
        left, right = self.embodiment.left_gripper, self.embodiment.right_gripper
        return WholeBodyState(
            stamp_s=feedback.stamp_s,
            base_pose=feedback.base_pose,
            base_velocity=feedback.base_velocity,
            torso=joints["torso"],
            left_arm=joints["left_arm"],
            right_arm=joints["right_arm"],
            left_gripper=left.to_closed(grippers["left_gripper"].stroke_mm),
            right_gripper=right.to_closed(grippers["right_gripper"].stroke_mm),
        )

    def objects(self) -> dict[str, Pose]:
        """Position (3,) [m] and quaternion (4,) wxyz in the world of all that can be moved: the
        free objects first, then the turning and sliding parts of things.
        """
        with self._lock:
            names = (*self.task.objects, *self.task.fixtures)
            bodies = {name: self._data.body(name) for name in names}
            return {name: (body.xpos.copy(), body.xquat.copy()) for name, body in bodies.items()}

    def speeds(self) -> dict[str, float]:
        """How fast the middle of each thing in `objects` moves [m/s]."""
        with self._lock:
            velocity, found = np.zeros(6), {}
            for name in (*self.task.objects, *self.task.fixtures):
                body = self._model.body(name).id
                kind = mujoco.mjtObj.mjOBJ_BODY
                mujoco.mj_objectVelocity(self._model, self._data, kind, body, velocity, 1)
                found[name] = float(np.linalg.norm(velocity[3:]))
            return found

    def place_object(self, name: str, pose: Pose) -> None:
        """Puts an object somewhere, at rest, as a hand would. Raises BrsError: unknown object."""
        if name not in self.task.objects:
            raise BrsError(
                f"unknown object '{name}'", remedy=did_you_mean(name, self.task.objects)
            )
        with self._lock:
            joint = self._data.joint(name)
            joint.qpos[:3], joint.qpos[3:] = pose
            joint.qvel[:] = 0.0
            mujoco.mj_forward(self._model, self._data)

    def turn_fixture(self, name: str, value: float) -> None:
        """Turns a hinge to [rad] or slides a part to [m], at rest, within its travel; latches and
        the like work as if it had been moved there.

        Raises:
            BrsError: unknown part.
        """
        if name not in self.task.fixtures:
            raise BrsError(f"unknown part '{name}'", remedy=did_you_mean(name, self.task.fixtures))
        with self._lock:
            joint = self._data.joint(name)
            joint.qpos[0] = np.clip(value, *self._model.joint(name).range)
            joint.qvel[:] = 0.0
            mujoco.mj_forward(self._model, self._data)
            self.task.watch(self._model, self._data)

    def fixtures(self) -> dict[str, float]:
        """How far each turning or sliding part is from closed [rad] or [m]."""
        with self._lock:
            return {name: float(self._data.joint(name).qpos[0]) for name in self.task.fixtures}

    def violations(self) -> tuple[Violation, ...]:
        """Breaches of safety since the reset."""
        with self._lock:
            return tuple(self._violations.found)

    def task_status(self) -> TaskStatus:
        """Progress by the task's success rule."""
        with self._lock:
            return self.task.status(self._model, self._data)

    def penetration_m(self) -> float:
        """Deepest overlap of two shapes [m], a measure of the scene's soundness."""
        with self._lock:
            return float(-min(self._data.contact.dist, default=0.0))

    def snapshot(self) -> Snapshot:
        """A light copy of the state, to be drawn in another thread while physics goes on."""
        with self._lock:
            return Snapshot(self.time_s, self._model, self._data.qpos.copy())

    def _place_robot(self) -> None:
        start = self.task.start
        self.chassis.place(start.base_pose)
        for name in self.embodiment.GROUPS:
            self._target[name][:] = start.joints[name]
        for name in self.embodiment.GRIPPERS:
            self.command_gripper(name, self.embodiment.gripper(name).stroke_open_mm)
        for name, target in self._target.items():
            self._data.qpos[self._qpos[name]] = target
        self._data.ctrl[self._ctrl] = self._all_targets
        mujoco.mj_forward(self._model, self._data)

    def _track(self) -> None:
        """Moves the servo set points towards the targets, no faster than the motors turn."""
        now, change = self._data.ctrl[self._ctrl], self._greatest_change
        missing = self._all_targets - now
        self._data.ctrl[self._ctrl] = now + np.minimum(np.maximum(missing, -change), change)

    def _measure(self, name: str) -> JointGroupState:
        data = self._data
        return JointGroupState(
            position=data.qpos[self._qpos[name]],
            velocity=data.qvel[self._qvel[name]],
            effort=data.qfrc_actuator[self._qvel[name]],
        )

    def _measure_gripper(self, name: str) -> GripperFeedback:
        data = self._data
        return GripperFeedback(
            stroke_mm=float(data.qpos[self._qpos[name]].sum() * 1000.0),
            velocity=float(data.qvel[self._qvel[name]].sum() * 1000.0),
            effort=float(-data.qfrc_actuator[self._qvel[name]].mean()),
        )
