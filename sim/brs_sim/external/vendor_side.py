"""The vendor's controllers in front of a simulator that knows joints only.

commands as the vendor takes them --> VendorSide --> positions of servos, base velocities
feedback as the vendor gives it   <--            <-- positions, velocities, efforts of joints
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_hardware.types import JointGroupState
from brs_sim.chassis import COMMAND_TIMEOUT_S, MAX_ACCELERATION, to_world, wheel_motion
from brs_sim.external.contract import servo_joints
from brs_sim.model import BASE_JOINTS
from brs_sim.world import GripperFeedback, VendorFeedback


@dataclass(frozen=True)
class JointReading:
    """What a simulator measures at one joint; lengths in metres, angles in radians."""

    position: float
    velocity: float  # [1/s] of that
    effort: float  # [N m] or [N]


@dataclass(frozen=True)
class Targets:
    """What a simulator is told."""

    positions: dict[str, float]  # servo joint -> [rad] or [m]
    velocities: dict[str, float]  # base joint -> [m/s] or [rad/s], in the frame of its start


class VendorSide:
    """Follows commands at the speeds of the motors, as `World` does with its own physics.

    Joints stay where they are first measured until they are told otherwise. The base's joints
    start at zero, so that `odom` is where the robot starts.

    Args:
        embodiment: the robot.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        self._robot = embodiment
        description = describe(embodiment)
        self._joints = {name: description.joint(name) for name in servo_joints(embodiment)}
        self._wanted: dict[str, float] = {}
        self._set: dict[str, float] = {}
        self._readings: dict[str, JointReading] = {}
        self._base_wanted, self._base = np.zeros(3), np.zeros(3)  # in base_link
        self._base_told_s: float | None = None  # None: since the last look
        self._brake_on = False

    # -- as World has them ----------------------------------------------------------------------

    def command_joints(self, group: str, positions: np.ndarray) -> None:
        """Position targets (n,) [rad]; see World.command_joints."""
        if group not in self._robot.GROUPS:
            known = self._robot.GROUPS
            raise BrsError(f"unknown joint group '{group}'", remedy=did_you_mean(group, known))
        limits = self._robot.group(group)
        target = np.asarray(positions, dtype=float)
        if target.shape != limits.lower.shape or not np.all(np.isfinite(target)):
            raise BrsError(f"{group} needs {limits.lower.size} finite positions", where=group)
        target = np.clip(target, limits.lower, limits.upper)
        self._wanted |= dict(zip(limits.joints, map(float, target), strict=True))

    def command_gripper(self, name: str, stroke_mm: float) -> None:
        """Opening [mm]; see World.command_gripper."""
        if name not in self._robot.GRIPPERS:
            known = self._robot.GRIPPERS
            raise BrsError(f"unknown gripper '{name}'", remedy=did_you_mean(name, known))
        if not np.isfinite(stroke_mm):
            raise BrsError("the stroke must be finite", where=name)
        joints = self._robot.gripper(name).joints
        share = stroke_mm / 1000.0 / len(joints)
        for joint in joints:
            travel = self._joints[joint]
            self._wanted[joint] = float(np.clip(share, travel.lower, travel.upper))

    def command_base(self, vx: float, vy: float, wz: float) -> None:
        """Velocity in base_link [m/s, m/s, rad/s]; zero after 0.5 s without a new one."""
        velocity = np.array([vx, vy, wz], dtype=float)
        if not np.all(np.isfinite(velocity)):
            raise BrsError("base velocities must be finite", where="base")
        self._base_wanted, self._base_told_s = velocity, None

    def brake(self, on: bool) -> None:
        """While on, the base stands whatever is commanded."""
        self._brake_on = bool(on)

    # -- towards the simulator ------------------------------------------------------------------

    def measured(self, readings: Mapping[str, JointReading]) -> None:
        """Takes what the simulator measured; joints that are none of the robot's are left out."""
        for name, reading in readings.items():
            if name in self._joints:
                self._set.setdefault(name, reading.position)
            if name in self._joints or name in BASE_JOINTS:
                self._readings[name] = reading

    def missing(self) -> tuple[str, ...]:
        """Joints of which the simulator never told."""
        return tuple(n for n in (*BASE_JOINTS, *self._joints) if n not in self._readings)

    def targets(self, now_s: float, dt_s: float) -> Targets | None:
        """What the simulator is to do next; None while joints are missing.

        Args:
            now_s: simulated time [s].
            dt_s: since the last call [s].
        """
        if self.missing():
            return None
        for name, wanted in self._wanted.items():
            most = self._joints[name].velocity * dt_s
            self._set[name] += float(np.clip(wanted - self._set[name], -most, most))
        if self._base_told_s is None:
            self._base_told_s = now_s
        stale = now_s - self._base_told_s > COMMAND_TIMEOUT_S
        wanted_base = np.zeros(3) if stale or self._brake_on else self._base_wanted
        change = MAX_ACCELERATION * dt_s
        self._base = self._base + np.clip(wanted_base - self._base, -change, change)
        velocity = to_world(self._base, self._readings[BASE_JOINTS[2]].position)
        base = dict(zip(BASE_JOINTS, map(float, velocity), strict=True))
        return Targets(dict(self._set), base)

    def feedback(self, stamp_s: float) -> VendorFeedback | None:
        """What the vendor's drivers would report; None while joints are missing."""
        if self.missing():
            return None
        robot = self._robot
        pose, rates = (
            np.array([getattr(self._readings[name], what) for name in BASE_JOINTS])
            for what in ("position", "velocity")
        )
        velocity = to_world(rates, -pose[2])
        wheels = robot.base.wheel_positions
        angle, speed = wheel_motion(velocity, wheels, robot.base.wheel_radius)
        return VendorFeedback(
            stamp_s=stamp_s,
            joints={name: self._group(name) for name in robot.GROUPS},
            grippers={name: self._gripper(name) for name in robot.GRIPPERS},
            base_pose=pose,
            base_velocity=velocity,
            wheel_angle=angle,
            wheel_speed=speed,
        )

    def _group(self, name: str) -> JointGroupState:
        readings = [self._readings[joint] for joint in self._robot.group(name).joints]
        return JointGroupState(
            position=np.array([reading.position for reading in readings]),
            velocity=np.array([reading.velocity for reading in readings]),
            effort=np.array([reading.effort for reading in readings]),
        )

    def _gripper(self, name: str) -> GripperFeedback:
        readings = [self._readings[joint] for joint in self._robot.gripper(name).joints]
        return GripperFeedback(
            stroke_mm=1000.0 * sum(reading.position for reading in readings),
            velocity=1000.0 * sum(reading.velocity for reading in readings),
            effort=-sum(reading.effort for reading in readings) / len(readings),
        )
