"""Gravity, inertia and friction of emulated leader arms while their motors push with a current.

MuJoCo moves the joints that are driven by current; all others stay as their motors say, and their
load is told to them. The hand is a spring that holds on to where `grasp` put it, and `push_nm`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mujoco
import numpy as np

from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.joylo import ArmConfig, JoyLoConfig
from brs_hardware.leader_dynamics import LeaderArmModel, LeaderModel, rotation_of_rpy
from brs_sim.emulators.motor import EmulatedMotor

STEP_S = 0.001
_GYRATION_M = 0.03  # of every link about its centre of mass
_HAND_STIFFNESS_NM_RAD = 10.0
_HAND_DAMPING_NM_S_RAD = 0.2
_A_PER_MA = 1e-3


class LeaderPhysics:
    """Both arms of a leader.

    Args:
        config: motors, signs and neutral pose.
        model: links and motors; what is true here may differ from what the driver believes.
        motors: those of the bus.
        neutral_shaft: shaft of every motor in the neutral pose [ticks].
    """

    def __init__(
        self,
        config: JoyLoConfig,
        model: LeaderModel,
        motors: Sequence[EmulatedMotor],
        neutral_shaft: float,
    ) -> None:
        arms = (config.left, config.right)
        by_id = {motor.id: motor for motor in motors}
        self._masters = [by_id[master] for arm in arms for master in arm.masters]
        self._slaves = [_slave(arm, master, by_id) for arm in arms for master in arm.masters]
        self._signs = np.concatenate([arm.signs for arm in arms])
        self._neutral = np.concatenate([arm.neutral for arm in arms])
        self._neutral_shaft = neutral_shaft
        self._torque_nm_per_ma = model.motor.torque_constant_nm_a * _A_PER_MA
        motors_of_joint = np.array([1 if slave is None else 2 for slave in self._slaves])
        self._model = _compile(model, motors_of_joint)
        self._data = mujoco.MjData(self._model)
        self.push_nm = np.zeros(len(self._masters))  # torque of a hand on every joint
        self._carried = np.zeros(len(self._masters), dtype=bool)

    @property
    def angles(self) -> np.ndarray:
        """(joints,) where the arms are, in the robot's convention [rad]."""
        shafts = np.array([motor.shaft for motor in self._masters])
        turned: np.ndarray = self._signs * (shafts - self._neutral_shaft) * RAD_PER_TICK
        return turned + self._neutral

    def step(self, elapsed_s: float) -> None:
        """Move the joints that are driven by current; tell the others what they hold."""
        data, masters = self._data, self._masters
        if not any(motor.powered for motor in masters):
            self._carried[:] = False
            return
        carried = np.array([motor.pushes for motor in masters])
        for motor, carry in zip(masters, carried, strict=True):
            motor.carried = bool(carry)
        position = self.angles
        started = carried & ~self._carried
        self._carried = carried
        data.qvel[started | ~carried] = 0.0
        data.qpos[:] = np.where(carried & ~started, data.qpos, position)
        if not carried.any():
            self._tell_loads()
            return
        steps = max(1, round(elapsed_s / STEP_S))
        self._model.opt.timestep = max(elapsed_s / steps, 1e-6)
        currents = self._currents_ma()
        held = np.array([motor.hand is not None for motor in masters])
        hands = self._angles_of([motor.hand for motor in masters])
        for _ in range(steps):
            gap = np.where(held, hands - data.qpos, 0.0)
            damping = np.where(held, _HAND_DAMPING_NM_S_RAD * data.qvel, 0.0)
            data.qfrc_applied[:] = (
                currents * self._torque_nm_per_ma
                + self.push_nm
                + _HAND_STIFFNESS_NM_RAD * gap
                - damping
            )
            mujoco.mj_step(self._model, data)
            data.qpos[~carried], data.qvel[~carried] = position[~carried], 0.0
        self._publish(carried)

    def _publish(self, carried: np.ndarray) -> None:
        turned = self._signs * (self._data.qpos - self._neutral) / RAD_PER_TICK
        speeds = self._signs * self._data.qvel / RAD_PER_TICK
        for row in np.flatnonzero(carried):
            self._masters[row].carry(self._neutral_shaft + turned[row], speeds[row])

    def _currents_ma(self) -> np.ndarray:
        """(joints,) sum of master's and slave's currents [mA], the robot's sign."""
        total = np.array(
            [
                motor.pushing_ma - (slave.pushing_ma if slave is not None else 0.0)
                for motor, slave in zip(self._masters, self._slaves, strict=True)
            ]
        )
        signed: np.ndarray = self._signs * total
        return signed

    def _tell_loads(self) -> None:
        """Current with which each motor in a position mode holds against gravity."""
        mujoco.mj_forward(self._model, self._data)
        for row, motor in enumerate(self._masters):
            motors = 1 if self._slaves[row] is None else 2
            torque = float(self._data.qfrc_bias[row]) / motors
            motor.load_ma = float(self._signs[row]) * torque / self._torque_nm_per_ma

    def _angles_of(self, shafts: Sequence[float | None]) -> np.ndarray:
        ticks = np.array([self._neutral_shaft if shaft is None else shaft for shaft in shafts])
        angles: np.ndarray = self._signs * (ticks - self._neutral_shaft) * RAD_PER_TICK
        return angles + self._neutral


def _slave(arm: ArmConfig, master: int, by_id: dict[int, EmulatedMotor]) -> EmulatedMotor | None:
    return by_id[arm.slaves[master]] if master in arm.slaves else None


def _compile(model: LeaderModel, motors: np.ndarray) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    joints = iter(motors.tolist())
    for name, arm in (("left", model.left), ("right", model.right)):
        _add_arm(spec, name, arm, model, joints)
    return spec.compile()


def _add_arm(
    spec: mujoco.MjSpec,
    name: str,
    arm: LeaderArmModel,
    model: LeaderModel,
    motors_of_joints: Iterator[int],
) -> None:
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, rotation_of_rpy(arm.mount_rpy_rad).ravel())
    body = spec.worldbody.add_body(name=f"{name}_base", quat=quaternion)
    for number, link in enumerate(arm.links):
        motors = next(motors_of_joints)
        inertia = max(link.mass_kg * _GYRATION_M**2, 1e-9)
        body = body.add_body(
            name=f"{name}_link{number + 1}",
            pos=link.origin_m,
            mass=max(link.mass_kg, 1e-6),
            ipos=link.centre_m,
            inertia=[inertia] * 3,
            explicitinertial=True,
        )
        body.add_joint(
            name=f"{name}_joint{number + 1}",
            axis=link.axis,
            damping=[motors * model.motor.viscous_nm_s_rad, 0, 0],
            frictionloss=motors * model.motor.coulomb_nm,
            armature=motors * model.motor.armature_kg_m2,
            # Stiff, so that a joint held by friction does not creep.
            solref_friction=[0.004, 1.0],
            solimp_friction=[0.99, 0.999, 0.001, 0.5, 2.0],
        )
