"""Cameras that look at a scene while the robot moves as fast as it may; all truth is known.

Motion is not simulated but prescribed: each joint swings as a sine about a posture in which the
arms reach towards the table, the base as one about where it stands. So the robot's place at any
moment is known exactly, and each picture can be of a moment of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brs_hardware.cameras import CameraFrame
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.perception.history import Posture, RobotHistory
from brs_sim.cameras import CameraRenderer
from brs_sim.emulators.cameras import as_camera_frame
from brs_sim.model import BASE_JOINTS
from brs_sim.world import Snapshot, World

# R1: the tools are before the table, 0.9 m high, and point at it and downwards.
REACHING: Mapping[str, np.ndarray] = {
    "torso": np.array([0.0, -0.1, -0.1, 0.0]),
    "left_arm": np.array([0.87, 2.59, -2.0, -0.82, -0.53, 1.06]),
    "right_arm": np.array([-0.87, 2.59, -2.0, 0.82, 0.53, -1.06]),
}


class Swing:
    """Sines with the greatest acceleration of each joint.

    Args:
        embodiment: the robot; REACHING must fit it.
        base_pose: (3,) x, y [m], yaw [rad] about which the base swings.
        joint_speed: greatest speed of every joint [rad/s]; None means its own max_velocity.

    Raises:
        BrsError: the robot has other joints.
    """

    def __init__(
        self, embodiment: Embodiment, base_pose: np.ndarray, joint_speed: float | None = None
    ) -> None:
        self._centre = {**REACHING, "base": base_pose}
        self._speed: dict[str, np.ndarray] = {"base": embodiment.base.max_velocity}
        self._rate = {"base": embodiment.base.max_acceleration / embodiment.base.max_velocity}
        for name in embodiment.GROUPS:
            group = embodiment.group(name)
            if len(group.joints) != len(REACHING[name]):
                raise BrsError(f"{name} has {len(group.joints)} joints", where=embodiment.name)
            speed = group.max_velocity if joint_speed is None else np.array(joint_speed)
            self._speed[name] = speed
            self._rate[name] = group.max_acceleration / speed

    def posture(self, stamp_s: float) -> Posture:
        """Where joints and base truly are at a moment."""
        values = {}
        for name, centre in self._centre.items():
            phase = 2.4 * np.arange(len(centre))  # no two alike
            swing = np.sin(self._rate[name] * stamp_s + phase)
            values[name] = centre + self._speed[name] / self._rate[name] * swing
        return Posture(stamp_s, values, values.pop("base"))


class CameraSweep:
    """Draws what the cameras see; see the module.

    Owns a GL context: make, use and close it in one thread.

    Args:
        world: whose scene is looked at; it stays as it is.

    Raises:
        BrsError: as Swing.
        DeviceError: there is no GL to draw with.
    """

    def __init__(self, world: World) -> None:
        self.motion = Swing(world.embodiment, world.feedback().base_pose)
        self._snapshot = world.snapshot()
        robot, self._qpos = world.embodiment, {}
        joints = {name: robot.group(name).joints for name in robot.GROUPS}
        for name, names in {**joints, "base": BASE_JOINTS}.items():
            addresses = [world.model.joint(joint).qposadr[0] for joint in names]
            self._qpos[name] = np.array(addresses)
        self._renderer = CameraRenderer(world)
        self._number = 0

    def frame(self, camera: str, stamp_s: float) -> CameraFrame:
        """What a camera sees at a moment. Raises BrsError: unknown camera."""
        posture, qpos = self.motion.posture(stamp_s), self._snapshot.qpos.copy()
        for name, values in {**posture.joints, "base": posture.base_pose}.items():
            qpos[self._qpos[name]] = values
        drawn = self._renderer.render(Snapshot(stamp_s, self._snapshot.model, qpos), camera)
        self._number += 1
        return as_camera_frame(drawn, stamp_s, self._number)

    def close(self) -> None:
        """Frees the GL context."""
        self._renderer.close()

    def __enter__(self) -> CameraSweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pose_errors(
    embodiment: Embodiment, camera: str, joint_speed: float, count: int = 300, seed: int = 0
) -> tuple[float, float]:
    """Median displacement [m] of what is seen 1 m before a camera, for two ways to place it.

    Returns:
        By joints interpolated at the stamp of the frame; and by the newest sample before it, as
        if the frame were there at once. Samples come as often as the vendor sends them.
    """
    motion = Swing(embodiment, np.zeros(3), joint_speed)
    period_s = 1.0 / embodiment.vendor.feedback_hz
    history = RobotHistory(embodiment, 2.0 * period_s)
    for i in range(int(1.5 / period_s)):
        for group in embodiment.GROUPS:
            positions = motion.posture(i * period_s).joints[group]
            history.add_joints(group, i * period_s, positions)
    kinematics, errors = Kinematics(embodiment), []
    for stamp_s in np.random.default_rng(seed).uniform(0.2, 1.2, count):
        interpolated = history.at(stamp_s)
        assert isinstance(interpolated, Posture)
        newest = motion.posture(np.floor(stamp_s / period_s) * period_s)
        truth, *placed = (
            kinematics.pose(optical_frame(camera), posture.joints) @ [0.0, 0.0, 1.0, 1.0]
            for posture in (motion.posture(stamp_s), interpolated, newest)
        )
        errors.append([np.linalg.norm(point - truth) for point in placed])
    ours, theirs = np.median(errors, axis=0)
    return float(ours), float(theirs)
