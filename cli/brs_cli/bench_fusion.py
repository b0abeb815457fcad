"""What it costs to make a cloud of three frames, next to two usual ways to do it.

All three get the same frames in turn, in one process that is bound to one core. Times are of the
processor, so that others on the machine count little; compiling and first runs are left out. Ours
alone finds the poses of the cameras and takes the robot out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from brs_cli.bench import Figure, figure
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.native import import_with_libusb
from brs_hardware.perception.cloud import PointCloud
from brs_hardware.perception.config import CloudConfig, load_cloud
from brs_hardware.perception.fusion import CloudFusion, View
from brs_hardware.perception.pinhole import rays
from brs_hardware.perception.self_filter import SelfFilter
from brs_sim.emulators.camera_sweep import CameraSweep, pose_errors
from brs_sim.world import World

SCENE = "shelves"
ROUNDS, ROUND_S, SKEW_S = 6, 0.01, 0.01  # moments of the sweep at which all cameras see much
LONGEST_S = 20.0
LEAST_TURNS = 2  # of all rounds
NEIGHBOURS, DEVIATIONS = 20, 2.0  # of Open3D's filter of outliers, as in its tutorial
BRS_BUCKET_HEIGHT = 5  # as BRS advises

Recipe = Callable[[Sequence[View]], PointCloud]


def measure_fusion(seconds: float) -> list[Figure]:
    """Milliseconds a cloud, how many times longer others take, and the error of camera poses."""
    command = [sys.executable, "-m", "brs_cli.bench_fusion", str(min(seconds, LONGEST_S))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    cost = json.loads(done.stdout)
    robot = load_embodiment("r1")
    errors = [pose_errors(robot, camera, joint_speed=1.0) for camera in robot.cameras]
    return [
        figure("fusion_ms", cost["ours"], "ms", "<= 12"),
        figure("fusion_wall_ms", cost["ours_wall"], "ms"),
        *(
            figure(f"fusion_ratio_{name}", cost[name] / cost["ours"], "x", ">= 2", against=against)
            for name, against in (
                ("open3d", f"Open3D in {cost['open3d']:.0f} ms"),
                ("brs", f"all points, crop, FPS in {cost['brs']:.0f} ms"),
            )
        ),
        figure(
            "pose_error_ratio",
            max(ours / newest for ours, newest in errors),
            "x",
            "<= 0.1",
            against=f"newest joints: {1e3 * max(newest for _, newest in errors):.1f} mm at 1 m",
        ),
    ]


def costs_ms(seconds: float) -> dict[str, float]:
    """Median milliseconds a cloud: of the processor by recipe, and of the clock for ours."""
    robot, config = load_embodiment("r1"), load_cloud(SCENE)
    rounds = _rounds(robot)
    recipes: dict[str, Recipe] = {
        "ours": _ours(robot, config),
        "open3d": _open3d(robot, config),
        "brs": _brs(robot, config),
    }
    spent: dict[str, list[float]] = {"ours_wall": [], **{name: [] for name in recipes}}
    end_s, turn = time.monotonic() + seconds, 0
    while turn <= LEAST_TURNS or time.monotonic() < end_s:
        for views in rounds:
            for name, recipe in recipes.items():
                began, began_wall = time.process_time(), time.perf_counter()
                cloud = recipe(views)
                took = time.process_time() - began
                assert len(cloud) == config.points, f"{name}: {len(cloud)} points"
                if turn == 0:
                    continue
                spent[name].append(1e3 * took)
                if name == "ours":
                    spent["ours_wall"].append(1e3 * (time.perf_counter() - began_wall))
        turn += 1
    return {name: float(np.median(times)) for name, times in spent.items()}


def _rounds(robot: Embodiment) -> list[list[View]]:
    """Frames of all cameras at some moments."""
    with CameraSweep(World(robot, SCENE)) as sweep:
        rounds = []
        for k in range(ROUNDS):
            stamps = {name: k * ROUND_S + i * SKEW_S for i, name in enumerate(robot.cameras)}
            rounds.append(
                [
                    View(camera, sweep.frame(camera, stamp_s), sweep.motion.posture(stamp_s))
                    for camera, stamp_s in stamps.items()
                ]
            )
    return rounds


def _ours(robot: Embodiment, config: CloudConfig) -> Recipe:
    assert config.self_filter_padding_m is not None
    fusion = CloudFusion(robot, config, SelfFilter(robot, config.self_filter_padding_m))
    return lambda views: fusion.fuse(views).cloud


def _poses(robot: Embodiment) -> Callable[[View], np.ndarray]:
    """Camera poses, computed once a view: the others are not charged for them."""
    kinematics, known = Kinematics(robot), {}

    def pose(view: View) -> np.ndarray:
        if id(view) not in known:
            known[id(view)] = kinematics.pose(optical_frame(view.camera), view.posture.joints)
        return np.asarray(known[id(view)])

    return pose


def _open3d(robot: Embodiment, config: CloudConfig) -> Recipe:
    """The plain pipeline of its tutorials."""
    o3d: Any = import_with_libusb("open3d")
    box = o3d.geometry.AxisAlignedBoundingBox(config.crop.lower, config.crop.upper)
    pose = _poses(robot)

    def fuse(views: Sequence[View]) -> PointCloud:
        whole = o3d.geometry.PointCloud()
        for view in views:
            frame, lens = view.frame, view.frame.intrinsics
            picture = o3d.geometry.RGBDImage.create_from_color_and_depth(
                o3d.geometry.Image(frame.color),
                o3d.geometry.Image(np.nan_to_num(frame.depth)),
                depth_scale=1.0,
                depth_trunc=float(robot.cameras[view.camera].depth_range[1]),
                convert_rgb_to_intensity=False,
            )
            pinhole = o3d.camera.PinholeCameraIntrinsic(
                lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy
            )
            part = o3d.geometry.PointCloud.create_from_rgbd_image(picture, pinhole)
            whole += part.transform(pose(view))
        whole = whole.crop(box)
        whole, _ = whole.remove_statistical_outlier(NEIGHBOURS, DEVIATIONS)
        whole = whole.voxel_down_sample(config.voxel_m).farthest_point_down_sample(config.points)
        return PointCloud(np.asarray(whole.points), np.asarray(whole.colors))

    return fuse


def _brs(robot: Embodiment, config: CloudConfig) -> Recipe:
    """All points, crop, farthest-point sampling; no more is done to them."""
    import fpsample

    pose = _poses(robot)
    lower, upper = config.crop.lower.astype(np.float32), config.crop.upper.astype(np.float32)
    directions: dict[str, np.ndarray] = {}

    def fuse(views: Sequence[View]) -> PointCloud:
        points, colors = [], []
        for view in views:
            frame = view.frame
            if view.camera not in directions:
                flat = rays(frame.intrinsics)
                directions[view.camera] = np.dstack([flat, np.ones_like(flat[..., :1])])
            valid = np.isfinite(frame.depth)
            local = directions[view.camera][valid] * frame.depth[valid][:, None]
            placed = pose(view).astype(np.float32)
            moved = local @ placed[:3, :3].T + placed[:3, 3]
            inside = np.all((moved >= lower) & (moved < upper), axis=1)
            points.append(moved[inside])
            colors.append(frame.color[valid][inside])
        every, tints = np.concatenate(points), np.concatenate(colors)
        chosen = fpsample.bucket_fps_kdline_sampling(
            every, config.points, BRS_BUCKET_HEIGHT, start_idx=0
        )
        return PointCloud(every[chosen], tints[chosen])

    return fuse


def main() -> None:
    """Measures in this process, on one core, and prints JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(costs_ms(float(sys.argv[1]))))


if __name__ == "__main__":
    main()
