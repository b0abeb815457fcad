"""Colour and depth pictures of a simulated world, drawn off screen.

MUJOCO_GL chooses how (egl, osmesa, glfw); unset, Linux without a display takes egl.
"""

from __future__ import annotations

import copy
import importlib
import os
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import mujoco
import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Camera, Embodiment
from brs_hardware.errors import BrsError, DeviceError
from brs_hardware.kinematics import optical_frame
from brs_sim.model import THIRD_PERSON
from brs_sim.world import Snapshot

_NOT_DRAWN = 5  # a group of geoms that MuJoCo leaves out


class Scene(Protocol):
    """A robot somewhere, such as a World."""

    @property
    def embodiment(self) -> Embodiment:
        """The robot."""

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model."""


@dataclass(frozen=True)
class CameraFrame:
    """Colour and depth of one camera at one moment, pixel for pixel the same view."""

    stamp_s: float  # simulated time of the state drawn [s]
    color: np.ndarray  # (height, width, 3) uint8 RGB
    depth: np.ndarray  # (height, width) float32 [m] along the optical axis, 0 = out of range
    fx: float  # [px]
    fy: float  # [px]
    cx: float  # [px], the middle of the first pixel is 0
    cy: float  # [px]
    frame_id: str  # optical frame: z forward, x right, y down


def intrinsics(camera: Camera) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy [px] of a camera of the embodiment, which has no distortion."""
    focal = camera.height / 2.0 / np.tan(camera.vertical_fov / 2.0)
    return float(focal), float(focal), (camera.width - 1) / 2.0, (camera.height - 1) / 2.0


class CameraRenderer:
    """Draws snapshots of a world. Make and use it in one thread: it owns a GL context.

    Args:
        scene: whose robot has the cameras.

    Raises:
        DeviceError: there is no GL to draw with.
    """

    def __init__(self, scene: Scene) -> None:
        self._embodiment = scene.embodiment
        self._gl: Any = None
        self._context: Any = None
        self._model: mujoco.MjModel | None = None
        self._placed: Snapshot | None = None  # whose bodies are where they are in the data
        self._option = mujoco.MjvOption()
        try:
            self._gl = _gl_context()
            self._gl.make_current()
            self._load(scene.model)
        except Exception as error:  # each GL library has errors of its own
            self.close()
            raise DeviceError(
                f"cannot draw off screen: {error}",
                where=f"MUJOCO_GL={_gl_kind()}",
                remedy="install libegl1 and libgl1-mesa-dri (or libosmesa6, MUJOCO_GL=osmesa)",
            ) from error

    def render(self, snapshot: Snapshot, camera_name: str) -> CameraFrame:
        """Colour and depth of a camera of the embodiment.

        Raises:
            BrsError: unknown camera.
        """
        cameras = self._embodiment.cameras
        if camera_name not in cameras:
            raise BrsError(
                f"unknown camera '{camera_name}'", remedy=did_you_mean(camera_name, cameras)
            )
        camera = cameras[camera_name]
        color = np.empty((camera.height, camera.width, 3), np.uint8)
        depth = np.empty((camera.height, camera.width), np.float32)
        self._draw(snapshot, camera_name, color, depth)
        return CameraFrame(
            snapshot.stamp_s,
            np.flipud(color).copy(),
            self._to_metres(np.flipud(depth), camera.depth_range),
            *intrinsics(camera),
            frame_id=optical_frame(camera_name),
        )

    def render_third_person(self, snapshot: Snapshot, width: int, height: int) -> np.ndarray:
        """The scene from behind the robot, (height, width, 3) uint8 RGB; for people.

        Raises:
            BrsError: larger than the off-screen buffer.
        """
        buffer = snapshot.model.vis.global_
        if not (0 < width <= buffer.offwidth and 0 < height <= buffer.offheight):
            raise BrsError(
                f"no picture of {width}x{height}",
                remedy=f"at most {buffer.offwidth}x{buffer.offheight}",
            )
        color = np.empty((height, width, 3), np.uint8)
        self._draw(snapshot, THIRD_PERSON, color, None)
        return np.flipud(color).copy()

    def close(self) -> None:
        """Frees the GL context; the renderer is of no use afterwards."""
        if self._context is not None:
            self._context.free()
            self._context = None
        if self._gl is not None:
            self._gl.free()
            self._gl = None

    def __enter__(self) -> CameraRenderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _load(self, model: mujoco.MjModel) -> None:
        """Takes a model into GL memory; each reset of the world makes another."""
        if self._context is not None:
            self._context.free()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        # Far maps to 0, which leaves the most digits of float32 to near things.
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 10)
        self._seen = copy.copy(model)  # whose groups of geoms are ours to change
        self._placed = None
        for flag in ("SHADOW", "REFLECTION", "HAZE", "FOG"):
            self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        self._data = mujoco.MjData(model)
        self._model = model

    def _draw(
        self, snapshot: Snapshot, camera: str, color: np.ndarray, depth: np.ndarray | None
    ) -> None:
        """Fills the arrays, lowest row first, as GL has it."""
        if self._gl is None:
            raise BrsError("the renderer is closed", remedy="make another")
        self._gl.make_current()
        if snapshot.model is not self._model:
            self._load(snapshot.model)
        data = self._data
        if snapshot is not self._placed:
            data.qpos[:] = snapshot.qpos
            mujoco.mj_kinematics(snapshot.model, data)
            mujoco.mj_comPos(snapshot.model, data)
            mujoco.mj_camlight(snapshot.model, data)
            self._placed = snapshot
        height, width = color.shape[:2]
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        view.fixedcamid = snapshot.model.camera(camera).id
        in_view = _in_view(snapshot.model, data, view.fixedcamid, width / height)
        self._seen.geom_group[:] = np.where(in_view, snapshot.model.geom_group, _NOT_DRAWN)
        every = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._seen, data, self._option, None, view, every, self._scene)
        viewport = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(viewport, self._scene, self._context)
        mujoco.mjr_readPixels(color, depth, viewport, self._context)

    def _to_metres(self, depth: np.ndarray, depth_range: np.ndarray) -> np.ndarray:
        """Distances from the reversed depth buffer: buffer = near (far - z) / (z (far - near))."""
        assert self._model is not None
        extent = self._model.stat.extent
        near = np.float32(self._model.vis.map.znear * extent)
        far = np.float32(self._model.vis.map.zfar * extent)
        distance = near * far / (near + depth * (far - near))
        inside = (distance >= depth_range[0]) & (distance <= depth_range[1])
        return np.where(inside, distance, np.float32(0.0)).astype(np.float32)


def _in_view(
    model: mujoco.MjModel, data: mujoco.MjData, camera_id: int, aspect: float
) -> np.ndarray:
    """Which geoms may show in a picture: their bounding sphere reaches into the view's pyramid.

    In software a geom costs 30 us, seen or not, and a wrist sees a third of a room.
    """
    place = (data.geom_xpos - data.cam_xpos[camera_id]) @ data.cam_xmat[camera_id].reshape(3, 3)
    radius = model.geom_rbound
    ahead = -place[:, 2]
    in_view = ahead > -radius
    half_height = np.tan(np.radians(model.cam_fovy[camera_id]) / 2.0)
    for axis, half in ((0, half_height * aspect), (1, half_height)):
        outside = (np.abs(place[:, axis]) - half * ahead) / np.hypot(1.0, half)
        in_view &= outside < radius
    return in_view | (radius == 0.0)  # planes have no bounds


def _gl_kind() -> str:
    """How to draw: the value of MUJOCO_GL, or what fits this machine."""
    if kind := os.environ.get("MUJOCO_GL", "").lower():
        return kind
    return "egl" if sys.platform == "linux" and "DISPLAY" not in os.environ else "glfw"


def _gl_context() -> Any:
    """A GL context to be made current. Chosen here, as MuJoCo reads MUJOCO_GL only at import."""
    kind = _gl_kind()
    if kind in ("egl", "osmesa"):
        return importlib.import_module(f"mujoco.{kind}").GLContext(1, 1)
    return mujoco.GLContext(1, 1)
