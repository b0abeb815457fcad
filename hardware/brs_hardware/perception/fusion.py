"""Frames of several cameras, each at its own moment, to one cloud.

each frame: flying pixels out -> base_link at the newest stamp -> crop -> voxels -> robot out
    (one pass over the pixels; all that follows works on voxels)          |
                                                                          v
all together:                 outliers out <- voxels of all cameras (mean place and colour)
                                   |
                                   +-- with what is held from before --> sampled cloud
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.odometry.motion import seen_from, to_matrix
from brs_hardware.perception.cloud import FusedCloud, PointCloud
from brs_hardware.perception.config import CloudConfig
from brs_hardware.perception.history import Posture
from brs_hardware.perception.hold import PointMemory, Sight
from brs_hardware.perception.pinhole import rays
from brs_hardware.transforms import invert

_USUAL_VOXELS = 16_384  # of a camera; a table for many more is slow to empty and to search
_BUCKET_HEIGHT = 5  # of the k-d lines of farthest-point sampling; changes its speed only


class RobotFilter(Protocol):
    """Tells the robot's own points from others."""

    def keep(self, points: np.ndarray, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) bool, False on the robot; points (n, 3) float32 [m] in base_link."""
        ...


@dataclass(frozen=True)
class View:
    """One frame, and where the robot was when it was taken."""

    camera: str  # its name in the embodiment
    frame: CameraFrame
    posture: Posture  # at the frame's stamp


class CloudFusion:
    """See the module. The same views in any order give the same cloud, bit for bit.

    Not thread-safe: every thread makes its own.

    Args:
        embodiment: the robot that carries the cameras, where its `cameras` say.
        config: how clouds are made.
        robot_filter: removes the robot's own points; None leaves them in.

    Raises:
        ConfigError: Numba, fpsample or MuJoCo is not installed.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        config: CloudConfig,
        robot_filter: RobotFilter | None = None,
    ) -> None:
        self.config = config
        self._embodiment, self._robot_filter = embodiment, robot_filter
        self._kernels, self._sampler = _library("numba"), _library("fpsample")
        self._kinematics = Kinematics(embodiment)
        self._memory = PointMemory(config.hold_s)
        self._crop = np.array([config.crop.lower, config.crop.upper])
        voxels = np.ceil((self._crop[1] - self._crop[0]) / config.voxel_m).astype(int)
        self._shape = (int(voxels[1]) + 3, int(voxels[2]) + 3)
        self._tables = {name: _VoxelTable() for name in embodiment.cameras}
        self._merged = _VoxelTable()
        self._rays: dict[str, tuple[Intrinsics, np.ndarray]] = {}

    def warm_up(self) -> None:
        """Compiles the kernels, or loads them compiled: seconds that no frame has to wait for."""
        size = 2
        frame = CameraFrame(
            stamp_s=0.0,
            color=np.zeros((size, size, 3), np.uint8),
            depth=np.ones((size, size), np.float32),
            intrinsics=Intrinsics(size, size, 1.0, 1.0, 0.0, 0.0),
            number=0,
        )
        groups = {name: self._embodiment.group(name) for name in self._embodiment.GROUPS}
        joints = {name: np.zeros(len(group.joints)) for name, group in groups.items()}
        other = CloudFusion(self._embodiment, self.config, self._robot_filter)
        other.fuse([View(next(iter(self._tables)), frame, Posture(0.0, joints, None))])

    def fuse(
        self,
        views: Sequence[View],
        left_out: Mapping[str, str] | None = None,
        dropped: int = 0,
    ) -> FusedCloud:
        """The cloud of some views, at most one a camera, in base_link at the newest stamp.

        Where a posture has no base pose, the base is taken to have stood still.

        Args:
            views: one or more; depth and colour as large as their intrinsics say.
            left_out, dropped: passed on, see FusedCloud.

        Raises:
            ConfigError: a camera that the embodiment does not have.
            ValueError: two views of one camera, or arrays of a size other than they should have.
        """
        views = self._in_order(views)
        now = max(views, key=lambda view: view.frame.stamp_s).posture
        motions = [_base_motion(view.posture, now) for view in views]
        poses = [
            motion @ self._camera_pose(view) for view, motion in zip(views, motions, strict=True)
        ]
        counts = [self._sort_pixels(*pair) for pair in zip(views, poses, strict=True)]
        table = self._merge(views, motions, counts)
        crowded = self._kernels.has_neighbours(
            table.slots, table.keys, table.count, self._shape, self.config.min_neighbours
        )
        seen = _means(table.cells[: table.count][crowded])
        sights = [Sight(view.frame, pose) for view, pose in zip(views, poses, strict=True)]
        held = self._recall(now, sights, seen, table)
        cloud, held_count = self._sample(seen, held, now.stamp_s)
        return FusedCloud(
            cloud=cloud,
            stamp_s=now.stamp_s,
            oldest_s=min(view.frame.stamp_s for view in views),
            cameras=tuple(view.camera for view in views),
            left_out=dict(left_out or {}),
            dropped=dropped,
            held=held_count,
        )

    def _in_order(self, views: Sequence[View]) -> list[View]:
        """The views as the embodiment has the cameras; checked, as the kernels do not."""
        by_camera = {view.camera: view for view in views}
        for camera, view in by_camera.items():
            if camera not in self._tables:
                raise ConfigError(
                    f"unknown camera '{camera}'", remedy=did_you_mean(camera, self._tables)
                )
            size = (view.frame.intrinsics.height, view.frame.intrinsics.width)
            if view.frame.depth.shape != size or view.frame.color.shape != (*size, 3):
                raise ValueError(f"{camera}: depth and colour are not {size[1]}x{size[0]}")
        if len(by_camera) != len(views):
            raise ValueError("two views of one camera")
        return [by_camera[camera] for camera in self._tables if camera in by_camera]

    def _camera_pose(self, view: View) -> np.ndarray:
        """(4, 4) of the optical frame in base_link, both at the frame's stamp."""
        joints = {name: view.posture.joints[name] for name in self._embodiment.GROUPS}
        return self._kinematics.pose(optical_frame(view.camera), joints)

    def _sort_pixels(self, view: View, pose: np.ndarray) -> int:
        """Fills the camera's table; how many voxels."""
        frame, config = view.frame, self.config
        intrinsics = frame.intrinsics
        if self._rays.get(view.camera, (None,))[0] != intrinsics:
            by_row = np.ascontiguousarray(np.moveaxis(rays(intrinsics), 2, 1))
            self._rays[view.camera] = (intrinsics, by_row)
        # Each kind of array has a kernel of its own; this is the kind that is compiled.
        depth = np.require(frame.depth, np.float32, ["C", "W"])
        color = np.require(frame.color, np.uint8, ["C", "W"])
        depth_range = np.array(self._embodiment.cameras[view.camera].depth_range, dtype=float)
        grazing = math.tan(config.min_grazing_rad) * min(intrinsics.fx, intrinsics.fy)
        table, count = self._tables[view.camera], -1
        table.clear(_USUAL_VOXELS)
        while count < 0:
            count = self._kernels.add_frame(
                depth, color, self._rays[view.camera][1], pose, depth_range, config.edge_step,
                1.0 / grazing, self._crop, config.voxel_m, self._shape,
                table.slots, table.keys, table.cells,
            )  # fmt: skip
            if count < 0:
                table.clear(2 * len(table.keys))
        return int(count)

    def _merge(
        self, views: Sequence[View], motions: Sequence[np.ndarray], counts: Sequence[int]
    ) -> _VoxelTable:
        """Voxels of all cameras without the robot."""
        merged = self._merged
        merged.clear(sum(counts))
        for view, motion, count in zip(views, motions, counts, strict=True):
            table = self._tables[view.camera]
            keys, cells = table.keys[:count], table.cells[:count]
            keep = np.ones(count, bool)
            if self._robot_filter is not None and count:
                # The robot is looked for where it was then.
                then = _moved(invert(motion), cells[:, :3] / cells[:, 6:])
                keep = self._robot_filter.keep(then, view.posture.joints)
            merged.count = int(
                self._kernels.merge(
                    keys, cells, keep, merged.slots, merged.keys, merged.cells, merged.count
                )
            )
        return merged

    def _recall(
        self, now: Posture, sights: Sequence[Sight], seen: PointCloud, table: _VoxelTable
    ) -> PointCloud:
        """What is held, but for voxels that are filled now; remembers what is seen."""
        if self.config.hold_s == 0.0:
            return PointCloud(seen.points[:0], seen.colors[:0])
        held = self._memory.recall(now.stamp_s, now.base_pose, sights)
        inside = np.all((held.points >= self._crop[0]) & (held.points < self._crop[1]), axis=1)
        keep = np.ones(len(held), bool)
        keep[inside] = ~self._kernels.are_filled(
            held.points[inside], self._crop[0], self.config.voxel_m, self._shape,
            table.slots, table.keys,
        )  # fmt: skip
        if self._robot_filter is not None and len(held):
            keep &= self._robot_filter.keep(held.points, now.joints)
        self._memory.remember(now.stamp_s, now.base_pose, seen, keep)
        return PointCloud(held.points[keep & inside], held.colors[keep & inside])

    def _sample(
        self, seen: PointCloud, held: PointCloud, stamp_s: float
    ) -> tuple[PointCloud, int]:
        """No more points than asked for, those that are held last; and how many these are."""
        points = np.concatenate([seen.points, held.points])
        colors = np.concatenate([seen.colors, held.colors])
        chosen = self._choose(points, stamp_s)
        is_held = chosen >= len(seen)
        chosen = np.concatenate([chosen[~is_held], chosen[is_held]])
        return PointCloud(points[chosen], colors[chosen]), int(is_held.sum())

    def _choose(self, points: np.ndarray, stamp_s: float) -> np.ndarray:
        """Rows of the points that stay."""
        wanted, sampling = self.config.points, self.config.sampling
        if sampling == "none" or len(points) <= wanted:
            return np.arange(len(points))
        if sampling == "random":
            random = np.random.default_rng(round(abs(stamp_s) * 1e9))
            return np.sort(random.choice(len(points), wanted, replace=False))
        height = min(_BUCKET_HEIGHT, int(math.log2(len(points))))
        chosen = self._sampler.bucket_fps_kdline_sampling(points, wanted, height, start_idx=0)
        return np.asarray(chosen, dtype=int)


class _VoxelTable:
    """Memory for the kernels that is used again and again."""

    def __init__(self) -> None:
        self.slots = np.zeros(0, np.int32)
        self.keys = np.zeros(0, np.int64)
        self.cells = np.zeros((0, 7), np.float32)
        self.count = 0

    def clear(self, capacity: int) -> None:
        """Empties it and makes it large enough for so many voxels."""
        self.count = 0
        if capacity > len(self.keys) or not len(self.slots):
            # At most half of it is filled, so that searches are short.
            self.slots = np.empty(2 ** math.ceil(math.log2(2 * capacity + 2)), np.int32)
            self.keys = np.empty(capacity, np.int64)
            self.cells = np.empty((capacity, 7), np.float32)
        self.slots.fill(-1)


def _means(cells: np.ndarray) -> PointCloud:
    """One point a voxel, in the middle of those that fell into it."""
    means = cells[:, :6] / cells[:, 6:]
    return PointCloud(means[:, :3].copy(), (means[:, 3:] + 0.5).astype(np.uint8))


def _base_motion(then: Posture, now: Posture) -> np.ndarray:
    """(4, 4) of base_link at one moment in base_link at another."""
    if then.base_pose is None or now.base_pose is None:
        return np.eye(4)
    return to_matrix(seen_from(now.base_pose, then.base_pose))


def _moved(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n, 3) float32 points in the frame that `pose` leads to."""
    turn, way = pose[:3, :3].astype(np.float32), pose[:3, 3].astype(np.float32)
    return np.ascontiguousarray(points @ turn.T + way)


def _library(name: str) -> Any:
    """Numba's kernels or fpsample, which nobody needs who makes no clouds."""
    try:
        if name == "numba":
            from brs_hardware.perception import kernels

            return kernels
        import fpsample

        return fpsample
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] != name:
            raise
        raise ConfigError(
            f"clouds need {name}, which is not installed", remedy="pip install brs[perception]"
        ) from None
