"""Every step of the fusion against slow plain loops, and the whole for order and repetition."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Mapping

import numpy as np
import pytest
from cloud_samples import (
    LENS,
    crowded,
    frame,
    match,
    naive_points,
    naive_voxels,
    plain_config,
    posture,
    rough_depth,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.cameras.frame import Intrinsics
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.odometry.motion import to_matrix
from brs_hardware.perception.config import CloudConfig, CropBox
from brs_hardware.perception.fusion import CloudFusion, View

R1 = load_embodiment("r1")
KINEMATICS = Kinematics(R1)
CAMERAS = ("head", "left_wrist", "right_wrist")


def camera_pose(camera: str) -> np.ndarray:
    return KINEMATICS.pose(optical_frame(camera), posture(R1).joints)


def head_view(seed: int = 0, stamp_s: float = 1.0, **changes: object) -> View:
    view = View("head", frame(rough_depth(seed), stamp_s), posture(R1, stamp_s))
    return dataclasses.replace(view, **changes)  # type: ignore[arg-type]


def reference(views: list[View], config: CloudConfig) -> tuple[np.ndarray, np.ndarray]:
    """Points and colours of all views before voxels."""
    parts = [
        naive_points(v.frame, camera_pose(v.camera), R1.cameras[v.camera].depth_range, config)
        for v in views
    ]
    return np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts])


box_edge = st.floats(-1.0, 2.5).map(lambda value: round(value, 2))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 50),
    corner=st.tuples(box_edge, box_edge, box_edge),
    size=st.tuples(*[st.floats(0.05, 3.0)] * 3),
    voxel_m=st.floats(0.005, 0.3),
)
def test_crop_and_voxels_are_those_of_plain_loops(
    seed: int, corner: tuple[float, ...], size: tuple[float, ...], voxel_m: float
) -> None:
    crop = CropBox(np.array(corner), np.array(corner) + size)
    config = plain_config(crop=crop, voxel_m=voxel_m)
    views = [head_view(seed), head_view(seed + 1, camera="left_wrist")]
    cloud = CloudFusion(R1, config).fuse(views).cloud
    points, colors = reference(views, config)
    voxels = list(naive_voxels(points, colors, config).values())
    # A point on the border of two voxels may be counted to either: rounding decides.
    from_corner = (points - crop.lower) / voxel_m
    if np.any(np.abs(from_corner - np.round(from_corner)) < 1e-5):
        return
    assert cloud.points.dtype == np.float32 and cloud.colors.dtype == np.uint8
    rows = match(cloud.points, np.reshape([mean for mean, _ in voxels], (-1, 3)))
    for row, color in zip(rows, cloud.colors, strict=True):
        assert np.abs(voxels[row][1] - color).max() <= 0.501


def test_edges_are_those_of_plain_loops() -> None:
    """Steps, slants, holes and noise, with the rule that is the default."""
    config = plain_config(voxel_m=0.001)
    for seed in range(5):
        view = head_view(seed)
        cloud = CloudFusion(R1, config).fuse([view]).cloud
        points, _ = reference([view], config)
        everything = np.isfinite(view.frame.depth).sum()
        assert 0.3 * everything < len(points) < 0.95 * everything
        assert len(cloud) == len(points)
        match(cloud.points, points)


def test_flying_pixels_go_and_flat_seen_planes_stay() -> None:
    rows, columns = np.indices((LENS.height, LENS.width))
    step = np.where(columns < 12, 0.8, 1.6)
    step[:, 11], step[:, 12] = 1.07, 1.33  # smeared over two pixels, as stereo does
    everywhere = plain_config(voxel_m=0.0005)
    cloud = CloudFusion(R1, everywhere).fuse([head_view(frame=frame(step))]).cloud
    ranges = (cloud.points - camera_pose("head")[:3, 3]) @ camera_pose("head")[:3, 2]
    assert np.all((np.abs(ranges - 0.8) < 1e-4) | (np.abs(ranges - 1.6) < 1e-4))
    assert len(cloud) == LENS.height * (LENS.width - 2)
    # A floor seen at about 20 degrees: neighbours far more than 1 % apart.
    floor = 1.0 / (0.5 + 0.02 * rows)
    assert np.abs(np.diff(floor, axis=0)).max() > 3 * everywhere.edge_step
    cloud = CloudFusion(R1, everywhere).fuse([head_view(frame=frame(floor))]).cloud
    assert len(cloud) == floor.size


def test_noise_of_a_camera_is_no_edge() -> None:
    lens = Intrinsics(96, 72, 80.0, 84.0, 47.5, 35.5)
    noise = np.random.default_rng(0).normal(1.0, 0.004, (lens.height, lens.width))
    view = head_view(frame=frame(1.5 * noise, lens=lens))
    cloud = CloudFusion(R1, plain_config(voxel_m=0.0005)).fuse([view]).cloud
    assert len(cloud) > 0.97 * noise.size


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 50), wanted=st.integers(0, 12), voxel_m=st.floats(0.02, 0.2))
def test_outliers_are_those_of_plain_loops(seed: int, wanted: int, voxel_m: float) -> None:
    config = plain_config(min_neighbours=wanted, voxel_m=voxel_m)
    view = head_view(seed)
    cloud = CloudFusion(R1, config).fuse([view]).cloud
    voxels = naive_voxels(*reference([view], config), config)
    kept = crowded(set(voxels), wanted)
    match(cloud.points, np.reshape([voxels[place][0] for place in kept], (-1, 3)))


def test_readings_outside_the_camera_s_range_are_none() -> None:
    depth = np.full((LENS.height, LENS.width), 0.8)
    depth[:6], depth[6:9], depth[9:12] = 0.05, 4.0, np.inf
    cloud = CloudFusion(R1, plain_config(voxel_m=0.0005)).fuse([head_view(frame=frame(depth))])
    assert len(cloud.cloud) == 6 * LENS.width


def test_each_frame_is_placed_by_the_posture_and_the_base_of_its_stamp() -> None:
    """A wall seen twice by a base that drives and turns in between falls onto itself."""
    config = plain_config(voxel_m=0.0005)
    then, now = (0.4, -0.2, 3.0), (0.5, -0.1, -3.1)
    early = View("left_wrist", frame(rough_depth(1), 1.0), posture(R1, 1.0, then))
    late = View("head", frame(rough_depth(2), 1.05), posture(R1, 1.05, now))
    fused = CloudFusion(R1, config).fuse([early, late])
    assert (fused.stamp_s, fused.oldest_s) == (1.05, 1.0)
    assert fused.cameras == ("head", "left_wrist")
    ours = fused.cloud.points
    moved = np.linalg.inv(to_matrix(np.array(now))) @ to_matrix(np.array(then))
    expected = np.concatenate(
        [
            naive_points(
                v.frame, pose @ camera_pose(v.camera), R1.cameras[v.camera].depth_range, config
            )[0]
            for v, pose in ((early, moved), (late, np.eye(4)))
        ]
    )
    match(ours, expected)
    # Without odometry the base is taken to stand.
    blind = CloudFusion(R1, config).fuse([dataclasses.replace(early, posture=posture(R1)), late])
    expected = reference([early, late], config)[0]
    match(blind.cloud.points, expected)


class Sphere:
    """Takes the robot for a ball before its base that moves with the torso's first joint."""

    def __init__(self, radius_m: float = 0.25) -> None:
        self.radius_m = radius_m

    def keep(self, points: np.ndarray, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        assert points.dtype == np.float32 and points.flags.c_contiguous
        centre = camera_pose("head") @ [0.0, 0.0, 1.0 + joints["torso"][0], 1.0]
        return np.asarray(np.linalg.norm(points - centre[:3], axis=1) > self.radius_m)


def test_robot_is_looked_for_where_it_was_at_each_frame() -> None:
    config = plain_config(voxel_m=0.001, edge_step=1.0)
    base = (0.0, 0.0, 0.0)
    moved = (-0.7, 0.0, 0.0)
    early = View("head", frame(np.full((18, 24), 1.0), 1.0), posture(R1, 1.0, base))
    late = View("left_wrist", frame(np.full((18, 24), 0.9), 1.1), posture(R1, 1.1, moved))
    everything = CloudFusion(R1, config).fuse([early, late]).cloud.points
    left = CloudFusion(R1, config, Sphere()).fuse([early, late]).cloud.points
    parts = []
    for view, shift in ((early, 0.7), (late, 0.0)):
        points = naive_points(
            view.frame, camera_pose(view.camera), R1.cameras[view.camera].depth_range, config
        )[0]
        keep = Sphere().keep(points.astype(np.float32), view.posture.joints)
        parts.append(points[keep] + [shift, 0.0, 0.0])
    expected = np.concatenate(parts)
    assert len(left) == len(expected) < len(everything)
    match(left, expected)


@pytest.mark.parametrize("sampling", ["farthest", "random", "none"])
def test_same_views_in_any_order_give_the_same_bits(sampling: str) -> None:
    config = plain_config(sampling=sampling, points=100, min_neighbours=1, voxel_m=0.05)
    views = [
        View(camera, frame(rough_depth(i), 1.0 + 0.01 * i), posture(R1, 1.0 + 0.01 * i))
        for i, camera in enumerate(CAMERAS)
    ]
    first = CloudFusion(R1, config).fuse(views)
    used = CloudFusion(R1, config)
    used.fuse([head_view(9, 0.5)])  # what it has seen before does not matter
    for order in itertools.permutations(views):
        again = used.fuse(order)
        assert again.cloud.points.tobytes() == first.cloud.points.tobytes()
        assert again.cloud.colors.tobytes() == first.cloud.colors.tobytes()
    assert (len(first.cloud) == 100) == (sampling != "none")
    assert len(first.cloud) >= 100


def test_sampled_points_are_of_the_cloud_and_spread_out() -> None:
    full = CloudFusion(R1, plain_config()).fuse([head_view()]).cloud.points
    rows = {tuple(point) for point in full}

    def gap(sampling: str) -> float:
        config = plain_config(sampling=sampling, points=50)
        points = CloudFusion(R1, config).fuse([head_view()]).cloud.points
        assert len({tuple(point) for point in points} & rows) == 50
        return float(max(np.linalg.norm(points - other, axis=1).min() for other in full))

    assert gap("farthest") < 0.8 * gap("random")


def test_random_sampling_differs_from_stamp_to_stamp() -> None:
    config = plain_config(sampling="random", points=50)
    clouds = [CloudFusion(R1, config).fuse([head_view(0, stamp_s)]) for stamp_s in (1.0, 1.1)]
    assert not np.array_equal(clouds[0].cloud.points, clouds[1].cloud.points)


def test_distorted_lens_is_straightened() -> None:
    bent = dataclasses.replace(LENS, distortion=(-0.2, 0.05, 0.001, 0.0, 0.0))
    depth = np.full((LENS.height, LENS.width), 1.0)
    config = plain_config(voxel_m=0.0005)
    plain, straight = (
        CloudFusion(R1, config).fuse([head_view(frame=frame(depth, lens=lens))]).cloud.points
        for lens in (LENS, bent)
    )
    # Barrel distortion draws the corners in; straightened, they lie further out.
    middle = camera_pose("head")[:3, :3] @ [0.0, 0.0, 1.0] + camera_pose("head")[:3, 3]
    reach = [np.linalg.norm(points - middle, axis=1).max() for points in (plain, straight)]
    assert reach[1] > 1.03 * reach[0]


def test_read_only_and_turned_frames_are_taken() -> None:
    """Frames out of messages cannot be written, and pictures may be views of others."""
    view = head_view()
    plain = CloudFusion(R1, plain_config()).fuse([view]).cloud
    depth = np.flipud(np.flipud(view.frame.depth).copy())
    color = view.frame.color.copy()
    color.setflags(write=False)
    odd = dataclasses.replace(view.frame, depth=depth, color=color)
    again = CloudFusion(R1, plain_config()).fuse([head_view(frame=odd)]).cloud
    assert np.array_equal(again.points, plain.points)


def test_no_point_in_the_crop_gives_an_empty_cloud() -> None:
    crop = CropBox(np.full(3, 50.0), np.full(3, 51.0))
    fusion = CloudFusion(R1, plain_config(crop=crop, sampling="farthest"), Sphere())
    fused = fusion.fuse([head_view()])
    assert fused.cloud.points.shape == (0, 3) and fused.cloud.colors.shape == (0, 3)
    fusion.warm_up()


def test_unknown_camera_is_told() -> None:
    with pytest.raises(ConfigError, match="head"):
        CloudFusion(R1, plain_config()).fuse([head_view(camera="haed")])


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    CloudFusion(R1, plain_config())  # it is there
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "brs_hardware.perception.kernels")
    monkeypatch.delattr("brs_hardware.perception.kernels")
    with pytest.raises(ConfigError, match=r"numba.*perception"):
        CloudFusion(R1, plain_config())


def test_what_would_overrun_the_kernels_is_refused() -> None:
    fusion = CloudFusion(R1, plain_config())
    half = dataclasses.replace(head_view().frame, depth=rough_depth(0)[:9].astype(np.float32))
    with pytest.raises(ValueError, match="24x18"):
        fusion.fuse([head_view(frame=half)])
    with pytest.raises(ValueError, match="two views"):
        fusion.fuse([head_view(0), head_view(1)])


def test_a_frame_of_more_voxels_than_usual_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = CloudFusion(R1, plain_config()).fuse([head_view()]).cloud
    monkeypatch.setattr("brs_hardware.perception.fusion._USUAL_VOXELS", 3)
    grown = CloudFusion(R1, plain_config()).fuse([head_view()]).cloud
    assert len(usual) > 3
    assert np.array_equal(grown.points, usual.points)
    assert np.array_equal(grown.colors, usual.colors)


def test_frames_of_other_sizes_follow_each_other() -> None:
    fusion = CloudFusion(R1, plain_config())
    small = fusion.fuse([head_view()]).cloud.points
    lens = Intrinsics(96, 72, 80.0, 84.0, 47.5, 35.5)
    large = fusion.fuse([head_view(frame=frame(rough_depth(3, lens), lens=lens))]).cloud.points
    assert len(large) > 2 * len(small)
    assert np.array_equal(fusion.fuse([head_view()]).cloud.points, small)


def test_a_measured_mount_moves_the_camera() -> None:
    """Calibration changes `cameras` of the embodiment, not its URDF."""
    head = R1.cameras["head"]
    moved = dataclasses.replace(head, position=np.add(head.position, [0.0, 0.0, 0.05]))
    robot = dataclasses.replace(R1, cameras={**R1.cameras, "head": moved})
    link = KINEMATICS.pose(head.link, posture(R1).joints)
    plain, shifted = (
        CloudFusion(r, plain_config(voxel_m=0.0005)).fuse([head_view()]).cloud.points
        for r in (R1, robot)
    )
    match(shifted, plain + link[:3, 2] * 0.05)
