"""A robot before a calibration board: what `brs calibrate cameras` sees, and the truth."""

from __future__ import annotations

from types import TracebackType

import mujoco
import numpy as np

from brs_hardware.camera_calibration.board import Board, project
from brs_hardware.cameras import CameraFrame, Intrinsics
from brs_hardware.embodiment import Embodiment
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.types import JointGroupState, WholeBodyState
from brs_sim.cameras import CameraRenderer, intrinsics
from brs_sim.emulators.cameras import as_camera_frame
from brs_sim.model import build_model, floor_to_base
from brs_sim.world import Snapshot

_DOTS_PER_SQUARE = 96
_SAMPLES = 4  # a pixel's edge, so that corners are not stairs
_RIM_PX = 8.0


class BoardRoom:
    """A robot that goes into any posture at once, and one board in the room.

    Args:
        embodiment: the robot, its cameras where they truly sit.
        camera: the one that looks.
        board: in the room.
        joints: posture [rad] by group in which the board stands straight before the camera.
        distance_m: from the camera to the board then.
        seed: of postures and encoder noise.
        joint_noise_rad: standard deviation of each reading of a joint.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        camera: str,
        board: Board,
        joints: dict[str, np.ndarray],
        distance_m: float,
        seed: int = 0,
        joint_noise_rad: float = 1e-4,
    ) -> None:
        self.embodiment, self.camera, self._board = embodiment, camera, board
        self._random = np.random.default_rng(seed)
        self._noise_rad = joint_noise_rad
        self._kinematics = Kinematics(embodiment)
        self._home = joints
        self.joints = {name: values.copy() for name, values in joints.items()}
        middle = np.array([board.columns, board.rows, 0.0]) * board.square_m / 2.0
        before = np.eye(4)
        before[:3, 3] = [0.0, 0.0, distance_m] - middle
        self.base_from_board = self.base_from_optical() @ before
        self._model = build_model(embodiment, self._hang_up_board)
        self._renderer = CameraRenderer(self)
        described = embodiment.cameras[camera]
        self.intrinsics = Intrinsics(described.width, described.height, *intrinsics(described))

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model."""
        return self._model

    def base_from_optical(self) -> np.ndarray:
        """(4, 4) of the true optical frame in base_link, in the present posture."""
        return self._kinematics.pose(optical_frame(self.camera), self.joints)

    def sees_board(self) -> bool:
        """Whether all corners are in the picture, if nothing stands before them."""
        to_optical = np.linalg.inv(self.base_from_optical()) @ self.base_from_board
        corners = self._board.corners @ to_optical[:3, :3].T + to_optical[:3, 3]
        if corners[:, 2].min() < 0.1 or to_optical[2, 2] < 0.5:
            return False
        size = np.array([self.intrinsics.width, self.intrinsics.height])
        pixels = project(corners, self.intrinsics)
        return bool(np.all((pixels > _RIM_PX) & (pixels < size - _RIM_PX)))

    def move(self, reach: dict[str, np.ndarray]) -> None:
        """To a random posture, within `reach` [rad] of the first, that sees the board."""
        while True:
            for name, most in reach.items():
                change = self._random.uniform(-1.0, 1.0, most.shape) * most
                group = self.embodiment.group(name)
                self.joints[name] = np.clip(self._home[name] + change, group.lower, group.upper)
            if self.sees_board():
                return

    def state(self, stamp_s: float) -> WholeBodyState:
        """The robot as its encoders tell it."""
        groups = {}
        for name, values in self.joints.items():
            still = np.zeros_like(values)
            noise = self._random.normal(0.0, self._noise_rad, values.shape)
            groups[name] = JointGroupState(values + noise, still, still)
        return WholeBodyState(
            stamp_s, np.zeros(3), np.zeros(3), **groups, left_gripper=0.0, right_gripper=0.0
        )

    def look(self, stamp_s: float, number: int = 0) -> CameraFrame:
        """What the camera sees."""
        model = self._model
        qpos = np.array(model.qpos0)
        for name, values in self.joints.items():
            for joint, value in zip(self.embodiment.group(name).joints, values, strict=True):
                qpos[model.joint(joint).qposadr[0]] = value
        drawn = self._renderer.render(Snapshot(stamp_s, model, qpos), self.camera)
        return as_camera_frame(drawn, stamp_s, number)

    def close(self) -> None:
        """Frees the GL context."""
        self._renderer.close()

    def __enter__(self) -> BoardRoom:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _hang_up_board(self, spec: mujoco.MjSpec) -> None:
        board = self._board
        size = (board.columns * _DOTS_PER_SQUARE, board.rows * _DOTS_PER_SQUARE)
        print_ = np.dstack([board.make().generateImage(size)] * 3)
        texture = spec.add_texture(
            name="board",
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            width=size[0],
            height=size[1],
            nchannel=3,
        )
        texture.data = print_.tobytes()
        material = spec.add_material(name="board", texrepeat=[1.0, 1.0], specular=0.0)
        textures = list(material.textures)
        textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "board"
        material.textures = textures
        spec.visual.quality.offsamples = _SAMPLES
        # A plane shows its upper side; the board's own z points away from who looks at it.
        half = np.array([board.columns, board.rows]) * board.square_m / 2.0
        world = self.base_from_board.copy()
        world[2, 3] += floor_to_base(self.embodiment)
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, (world[:3, :3] @ np.diag([1.0, -1.0, -1.0])).flatten())
        spec.worldbody.add_geom(
            name="board",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            pos=world[:3, :3] @ [*half, 0.0] + world[:3, 3],
            quat=quaternion,
            size=[*half, 0.01],
            material="board",
            contype=0,
            conaffinity=0,
        )
