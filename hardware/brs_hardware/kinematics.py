"""Forward kinematics and Jacobians of any link, computed by MuJoCo from the URDF.

Needs the extra `sim` (MuJoCo). Poses are in base_link; joints are given by group name, and a
group left out stands at zero. Camera frames stand where the embodiment has the cameras, which is
where they were measured to be if it was asked for (`brs_hardware.camera_calibration`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.types import WholeBodyState


def optical_frame(camera: str) -> str:
    """Name of the optical frame (z forward, x right, y down) of a camera of the embodiment."""
    return f"{camera}_camera_optical_frame"


def joints_of(state: WholeBodyState) -> dict[str, np.ndarray]:
    """Measured joint positions by group, as `Kinematics` takes them."""
    return {name: getattr(state, name).position for name in Embodiment.GROUPS}


class Kinematics:
    """Kinematics of one robot. Not thread-safe: every thread makes its own.

    Args:
        embodiment: the robot.

    Raises:
        ConfigError: MuJoCo is not installed, or the URDF is wrong.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        try:
            import mujoco
        except ImportError:
            raise ConfigError(
                "kinematics need MuJoCo, which is not installed", remedy="pip install brs[sim]"
            ) from None
        describe(embodiment)
        self._mujoco: Any = mujoco
        try:
            spec = mujoco.MjSpec.from_file(str(embodiment.urdf_path))
            _mount_cameras(mujoco, spec, embodiment)
            self._model = spec.compile()
        except ValueError as error:
            raise ConfigError(
                f"malformed URDF: {error}", where=str(embodiment.urdf_path), remedy="mend it"
            ) from None
        self._data = mujoco.MjData(self._model)
        self._position_index = {}  # group -> indices into qpos
        self._velocity_index = {}  # group -> indices into qvel, that is columns of a Jacobian
        for name in embodiment.GROUPS:
            joints = [self._model.joint(joint) for joint in embodiment.group(name).joints]
            self._position_index[name] = np.array([joint.qposadr[0] for joint in joints])
            self._velocity_index[name] = np.array([joint.dofadr[0] for joint in joints])
        self.links = tuple(self._model.body(i).name for i in range(1, self._model.nbody))
        self._base = self._link_id("base_link")

    def pose(self, link: str, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        """Pose (4, 4) of `link` in base_link.

        Args:
            link: any link of the URDF, e.g. `left_tcp` or `head_camera_optical_frame`.
            joints: positions [rad] by group name (`torso`, `left_arm`, `right_arm`).

        Raises:
            ConfigError: unknown link or group, or a wrong number of joints.
        """
        return self.poses((link,), joints)[link]

    def poses(
        self, links: tuple[str, ...], joints: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Poses (4, 4) of several links in base_link, computed at once; see `pose`."""
        ids = {link: self._link_id(link) for link in links}
        self._place(joints)
        return {link: self._pose(body) for link, body in ids.items()}

    def jacobian(self, link: str, joints: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Jacobian of `link` by group.

        Returns:
            Group name -> (6, n): linear [m/rad] then angular [rad/rad] velocity of the link's
            origin in base_link per joint velocity. Raises like `pose`.
        """
        body = self._link_id(link)
        self._place(joints)
        self._mujoco.mj_comPos(self._model, self._data)
        full = np.zeros((6, self._model.nv))
        self._mujoco.mj_jacBody(self._model, self._data, full[:3], full[3:], body)
        return {name: full[:, columns] for name, columns in self._velocity_index.items()}

    def _pose(self, body: int) -> np.ndarray:
        pose = np.eye(4)
        pose[:3, :3] = self._data.xmat[body].reshape(3, 3)
        pose[:3, 3] = self._data.xpos[body] - self._data.xpos[self._base]
        return pose

    def _place(self, joints: Mapping[str, np.ndarray]) -> None:
        self._data.qpos[:] = 0.0
        for name, values in joints.items():
            if name not in self._position_index:
                raise ConfigError(
                    f"unknown joint group '{name}'",
                    remedy=did_you_mean(name, self._position_index),
                )
            index = self._position_index[name]
            if np.shape(values) != index.shape:
                raise ConfigError(
                    f"{name} has {index.size} joints, got {np.size(values)} positions"
                )
            self._data.qpos[index] = values
        self._mujoco.mj_kinematics(self._model, self._data)

    def _link_id(self, link: str) -> int:
        body = self._mujoco.mj_name2id(self._model, self._mujoco.mjtObj.mjOBJ_BODY, link)
        if body < 1:
            raise ConfigError(f"no link '{link}'", remedy=did_you_mean(link, self.links))
        return int(body)


def _mount_cameras(mujoco: Any, spec: Any, embodiment: Embodiment) -> None:
    """Moves each camera's frame, with what hangs on it, to where the embodiment has it."""
    for name, camera in embodiment.cameras.items():
        optical = spec.body(optical_frame(name))
        frame = None if optical is None else optical.parent
        if frame is None or frame.parent is None or frame.parent.name != camera.link:
            raise ConfigError(
                f"no frame of camera '{name}' on link '{camera.link}'",
                where=str(embodiment.urdf_path),
                remedy=f"add {optical_frame(name)} on a frame of the camera on that link",
            )
        frame.pos = camera.position
        turn = np.zeros(4)
        mujoco.mju_euler2Quat(turn, np.array(camera.rpy), "XYZ")
        frame.quat = turn
