"""The base's motion from a depth camera on it, in place of a tracking camera (Open3D).

Each frame is registered with a keyframe (direct RGB-D odometry, after Steinbruecker, Sturm and
Cremers 2011, and Park, Zhou and Koltun 2017), so that a standing base does not drift. The camera
may move with the torso: its pose in base_link comes with every frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brs_hardware.cameras.frame import CameraFrame
from brs_hardware.native import import_with_libusb
from brs_hardware.odometry.motion import (
    RelativeMotion,
    advance,
    to_matrix,
    to_plane,
    twist_between,
)


@dataclass(frozen=True)
class RgbdConfig:
    """When to believe a registration."""

    max_depth_m: float = 3.0
    iterations: tuple[int, ...] = (10, 10)  # at half the resolution, then at all of it
    contrast: float = 0.12  # standard deviation of the brightness 0..1 that registration works on
    max_gain: float = 8.0  # of contrast; more would only stretch noise
    # Residuals of neighbouring pixels hang together, so that these are above a camera's noise.
    color_noise: float = 0.24  # of that brightness, between two frames
    depth_noise_m: float = 0.12
    bias: float = 0.06  # error of a registration, over the way (and the turn, at 1 m)
    pixel_step: int = 4  # neighbouring pixels say the same; one in so many counts
    max_deviation: tuple[float, float, float] = (0.01, 0.01, 0.01)  # of a step [m, m, rad]
    min_fitness: float = 0.5  # share of pixels with depth that fit
    max_speed: tuple[float, float, float] = (0.8, 0.8, 1.2)  # no R1 is faster [m/s, rad/s]
    max_tilt: float = 0.03  # [m, rad] out of the floor's plane: it fits, but wrongly
    keyframe_way_m: float = 0.2  # a new keyframe after so much
    keyframe_turn_rad: float = 0.2
    max_gap_s: float = 0.5  # the way over a longer silence is not guessed


@dataclass(frozen=True)
class _View:
    """One frame made ready."""

    stamp_s: float
    image: Any  # Open3D RGB-D
    valid: np.ndarray  # (H, W) bool, has depth
    brightness: np.ndarray  # (H, W) 0..255 after the gain
    depth: np.ndarray  # (H, W) [m], NaN = none
    base_from_camera: np.ndarray  # (4, 4)
    gain: tuple[float, float]  # factor, and the brightness that becomes the middle


class RgbdOdometry:
    """See the module.

    Attributes:
        problem: why the last frame gave no motion; empty if it did.
        pose: (3,) x, y [m], yaw [rad] since the beginning, by this camera alone.
        failures: frames so far that could not be believed.

    Raises:
        ConfigError: Open3D is not installed.
    """

    def __init__(self, config: RgbdConfig | None = None) -> None:
        self.config = config or RgbdConfig()
        self._o3d = import_with_libusb("open3d")
        odometry = self._o3d.t.pipelines.odometry
        self._criteria = [
            odometry.OdometryConvergenceCriteria(count, 1e-6, 1e-6)
            for count in self.config.iterations
        ]
        self.problem = ""
        self.pose = np.zeros(3)
        self.failures = 0
        self._key: _View | None = None
        self._key_covariance = np.zeros((3, 3))  # of a registration with the keyframe
        self._moved = np.zeros(3)  # pose of the newest frame as seen from the keyframe's
        self._stamp_s = 0.0  # of the newest frame
        self._velocity = np.zeros(3)

    def update(
        self,
        frame: CameraFrame,
        base_from_camera: np.ndarray,
        guess: np.ndarray | None = None,
        own_body: np.ndarray | None = None,
    ) -> RelativeMotion:
        """Where the base is, seen from the keyframe; `moved` is None if unknown (see `problem`).

        Args:
            frame: colour and depth.
            base_from_camera: (4, 4) pose of the optical frame in base_link at that moment.
            guess: (3,) velocity that other sources tell; None takes the one of before.
            own_body: (H, W) bool, pixels that show the robot itself.
        """
        gap_s = frame.stamp_s - self._stamp_s
        key, covariance = self._key, self._key_covariance
        if key is None or not 0.0 < gap_s <= self.config.max_gap_s:
            self.problem = "begins"
            return self._begin(frame, base_from_camera, own_body)
        view = self._prepare(frame, base_from_camera, own_body, key.gain)
        velocity = self._velocity if guess is None else guess
        expected = advance(self._moved, velocity, gap_s)
        moved, self.problem = self._register(frame, key, view, expected)
        step = twist_between(self._moved, moved, gap_s)
        if not self.problem and np.any(np.abs(step) > self.config.max_speed):
            self.problem = f"too fast to be true: {np.round(step, 2)}"
        if self.problem:
            self.failures += 1
            return self._begin(frame, base_from_camera, own_body)
        self.pose = advance(self.pose, step, gap_s)
        limits = (self.config.keyframe_way_m, self.config.keyframe_turn_rad)
        far = bool(np.hypot(*moved[:2]) > limits[0] or abs(moved[2]) > limits[1])
        if far:
            self._begin(frame, base_from_camera, own_body)
        else:
            self._moved, self._stamp_s = moved, frame.stamp_s
        self._velocity = step
        bias = self.config.bias * float(np.hypot(*moved[:2]) + abs(moved[2]))
        return RelativeMotion(frame.stamp_s, moved, covariance + np.eye(3) * bias**2, far)

    def _begin(
        self,
        frame: CameraFrame,
        base_from_camera: np.ndarray,
        own_body: np.ndarray | None,
    ) -> RelativeMotion:
        """Make this frame the keyframe, if there is enough to see in it."""
        view = self._prepare(frame, base_from_camera, own_body, None)
        self._moved, self._velocity = np.zeros(3), np.zeros(3)
        self._stamp_s = frame.stamp_s
        information = self._information(frame, view)
        deviation = np.full(3, np.inf)
        if np.linalg.cond(information) < 1e12:
            self._key_covariance = np.linalg.inv(information)
            deviation = np.sqrt(np.diag(self._key_covariance))
        seen = bool(np.all(deviation < self.config.max_deviation))
        self._key = view if seen else None
        if not seen:
            self.problem = "too little to see" if view.valid.any() else "no depth"
        return RelativeMotion(frame.stamp_s, None, self._key_covariance, True)

    def _prepare(
        self,
        frame: CameraFrame,
        base_from_camera: np.ndarray,
        own_body: np.ndarray | None,
        gain: tuple[float, float] | None,
    ) -> _View:
        """Depth without what is far or the robot's own, and brightness of enough contrast.

        The gain is the keyframe's for all frames compared with it.
        """
        depth = np.where(frame.depth <= self.config.max_depth_m, frame.depth, np.nan)
        if own_body is not None:
            depth = np.where(own_body, np.nan, depth)
        valid = np.isfinite(depth)
        brightness = frame.color @ np.array([0.299, 0.587, 0.114], np.float32)
        if gain is None:
            seen = brightness[valid] if valid.any() else brightness
            spread = max(float(seen.std()), 1e-6) / 255.0
            gain = (min(self.config.contrast / spread, self.config.max_gain), float(seen.mean()))
        brightness = np.clip((brightness - gain[1]) * gain[0] + 127.5, 0.0, 255.0)
        tensor, geometry = self._o3d.core.Tensor, self._o3d.t.geometry
        grey = np.repeat(brightness.astype(np.uint8)[:, :, None], 3, axis=2)
        image = geometry.RGBDImage(
            geometry.Image(tensor(grey)), geometry.Image(tensor(depth.astype(np.float32)))
        )
        return _View(frame.stamp_s, image, valid, brightness, depth, base_from_camera, gain)

    def _register(
        self, frame: CameraFrame, key: _View, view: _View, expected: np.ndarray
    ) -> tuple[np.ndarray, str]:
        """Pose (3,) of the base as seen from the keyframe's, and what is wrong with it."""
        if not view.valid.any():
            return expected, "no depth"
        odometry, tensor = self._o3d.t.pipelines.odometry, self._o3d.core.Tensor
        camera_from_base = np.linalg.inv(key.base_from_camera)
        start = camera_from_base @ to_matrix(expected) @ view.base_from_camera
        try:
            result = odometry.rgbd_odometry_multi_scale(
                view.image,
                key.image,
                tensor(frame.intrinsics.matrix),
                tensor(start),
                1.0,
                self.config.max_depth_m,
                self._criteria,
                odometry.Method.Hybrid,
            )
        except RuntimeError as error:  # singular: nothing in view to hold on to
            return expected, f"cannot be registered: {str(error).splitlines()[0]}"
        motion = key.base_from_camera @ result.transformation.numpy()
        motion = motion @ np.linalg.inv(view.base_from_camera)
        share = result.fitness * view.valid.size / view.valid.sum()
        if not np.isfinite(motion).all() or share < self.config.min_fitness:
            return expected, f"only {100 * share:.0f} % of the picture fits"
        tilt = max(abs(motion[2, 3]), *np.abs(motion[2, :2]))
        if tilt > self.config.max_tilt:
            return expected, f"it would have left the floor by {tilt:.3f}"
        return to_plane(motion), ""

    def _information(self, frame: CameraFrame, view: _View) -> np.ndarray:
        """(3, 3) how well brightness and depth of a frame tell a motion of the base apart.

        The Gauss-Newton matrix of both residuals for vx, vy, wz: nearly singular before a blank
        wall, or along a corridor.
        """
        step, pinhole = self.config.pixel_step, frame.intrinsics
        rows, columns = np.mgrid[: pinhole.height : step, : pinhole.width : step]
        z = view.depth[::step, ::step]
        dark = np.gradient(view.brightness / 255.0)
        deep = np.gradient(view.depth)
        slopes = np.stack([part[::step, ::step] for part in (*dark, *deep)])
        # An edge in depth says nothing of how far it moved.
        fit = np.isfinite(z) & np.isfinite(slopes).all(0) & (np.abs(slopes[2:]).max(0) < 0.05)
        z, (dark_v, dark_u, deep_v, deep_u) = z[fit], slopes[:, fit]
        x = (columns[fit] - pinhole.cx) / pinhole.fx * z
        y = (rows[fit] - pinhole.cy) / pinhole.fy * z
        points = np.stack([x, y, z], axis=1)
        to_base = view.base_from_camera
        in_base = points @ to_base[:3, :3].T + to_base[:3, 3]
        # Velocity of each point in the camera, for unit vx, vy and wz of the base.
        motions = np.zeros((len(z), 3, 3))
        motions[:, 0, 0] = motions[:, 1, 1] = 1.0
        motions[:, 0, 2], motions[:, 1, 2] = -in_base[:, 1], in_base[:, 0]
        motions = np.einsum("ji,njk->nik", to_base[:3, :3], motions)
        u = pinhole.fx * (motions[:, 0] - (x / z)[:, None] * motions[:, 2]) / z[:, None]
        v = pinhole.fy * (motions[:, 1] - (y / z)[:, None] * motions[:, 2]) / z[:, None]
        of_color = (dark_u[:, None] * u + dark_v[:, None] * v) / self.config.color_noise
        of_depth = deep_u[:, None] * u + deep_v[:, None] * v - motions[:, 2]
        of_depth /= self.config.depth_noise_m
        return of_color.T @ of_color + of_depth.T @ of_depth
