"""Small frames, and slow plain ways to do what the fusion does fast."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
from scipy.spatial import cKDTree

from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.embodiment import Embodiment
from brs_hardware.perception.config import CloudConfig, CropBox, load_cloud
from brs_hardware.perception.history import Posture

LENS = Intrinsics(24, 18, 20.0, 21.0, 11.5, 8.5)
READY = "ready"


def plain_config(**changes: object) -> CloudConfig:
    """All around the robot, nothing filtered, nothing sampled, but for the changes."""
    plain = dataclasses.replace(
        load_cloud(),
        crop=CropBox(np.full(3, -5.0), np.full(3, 5.0)),
        sampling="none",
        min_neighbours=0,
        self_filter_padding_m=None,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def posture(
    robot: Embodiment, stamp_s: float = 1.0, base: tuple[float, ...] | None = None
) -> Posture:
    return Posture(stamp_s, robot.poses[READY], None if base is None else np.array(base))


def frame(depth: np.ndarray, stamp_s: float = 1.0, lens: Intrinsics = LENS) -> CameraFrame:
    """A frame whose colour tells the pixel."""
    rows, columns = np.indices(depth.shape)
    color = np.stack([rows * 10, columns * 10, rows + columns], axis=-1).astype(np.uint8)
    return CameraFrame(stamp_s, color, depth.astype(np.float32), lens, number=1)


def rough_depth(seed: int, lens: Intrinsics = LENS) -> np.ndarray:
    """Slanted walls with steps, holes, and some noise [m]."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((lens.height, lens.width))
    depth = 0.8 + 0.02 * columns + 0.01 * rows + random.normal(0.0, 0.002, rows.shape)
    depth[:, columns[0] > lens.width // 2] += 0.4
    depth[random.random(depth.shape) < 0.1] = np.nan
    return np.asarray(depth)


def is_joined(depth: np.ndarray, v: int, u: int, dv: int, du: int, config: CloudConfig) -> bool:
    """The rule of edges as CloudConfig words it, for one side of one pixel."""

    def at(steps: int) -> float:
        row, column = v + steps * dv, u + steps * du
        inside = 0 <= row < depth.shape[0] and 0 <= column < depth.shape[1]
        return float(depth[row, column]) if inside else math.nan

    here, near, far = at(0), at(1), at(2)
    if abs(near - here) <= config.edge_step * here:
        return True
    slope = 1.0 / (math.tan(config.min_grazing_rad) * min(LENS.fx, LENS.fy))
    if not abs(near - here) <= slope * here or math.isnan(far):
        return False
    return abs(1.0 / (2.0 / near - 1.0 / far) - here) <= config.edge_step * here


def naive_points(
    frame: CameraFrame, pose: np.ndarray, depth_range: np.ndarray, config: CloudConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) and colours (n, 3) of the pixels that edges and crop leave."""
    points, colors = [], []
    lens, depth = frame.intrinsics, frame.depth
    for v in range(lens.height):
        for u in range(lens.width):
            z = float(depth[v, u])
            if math.isnan(z) or not depth_range[0] <= z <= depth_range[1]:
                continue
            row = [is_joined(depth, v, u, 0, side, config) for side in (-1, 1)]
            column = [is_joined(depth, v, u, side, 0, config) for side in (-1, 1)]
            if not (any(row) and any(column)):
                continue
            local = [(u - lens.cx) / lens.fx * z, (v - lens.cy) / lens.fy * z, z, 1.0]
            point = (pose @ local)[:3]
            if np.all(point >= config.crop.lower) and np.all(point < config.crop.upper):
                points.append(point)
                colors.append(frame.color[v, u])
    return np.reshape(points, (-1, 3)), np.reshape(colors, (-1, 3))


def naive_voxels(
    points: np.ndarray, colors: np.ndarray, config: CloudConfig
) -> dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]]:
    """Voxel -> mean point and mean colour."""
    voxels: dict[tuple[int, ...], list[int]] = {}
    for i, point in enumerate(points):
        place = np.floor((point - config.crop.lower) / config.voxel_m).astype(int)
        voxels.setdefault(tuple(int(k) for k in place), []).append(i)
    return {
        place: (points[rows].mean(axis=0), colors[rows].astype(float).mean(axis=0))
        for place, rows in voxels.items()
    }


def crowded(places: set[tuple[int, ...]], wanted: int) -> set[tuple[int, ...]]:
    """Those with at least so many others next to them, corners counted."""
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
    return {
        place
        for place in places
        if sum(tuple(np.add(place, step)) in places for step in steps) >= wanted
    }


def match(points: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """For each point, the row of `expected` that it equals but for rounding; fails without one."""
    assert len(points) == len(expected)
    if not len(points):
        return np.zeros(0, int)
    distances, rows = cKDTree(expected).query(points)
    assert distances.max() < 2e-5
    assert len(set(rows)) == len(rows)
    return np.asarray(rows)
