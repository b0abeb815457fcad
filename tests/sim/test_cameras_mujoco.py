"""Pictures against geometry that is known otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_hardware.kinematics import Kinematics, joints_of
from brs_sim import cameras
from brs_sim.cameras import CameraFrame, CameraRenderer
from brs_sim.model import floor_to_base
from brs_sim.operator.motions import planar_pose
from brs_sim.tasks.shelves import TABLE_SIZE, Shelves
from brs_sim.world import Snapshot, World

R1 = load_embodiment("r1")


@pytest.fixture(scope="module")
def world() -> World:
    return World(R1, "shelves", seed=1)


@pytest.fixture(scope="module")
def renderer(world: World) -> Iterator[CameraRenderer]:
    with CameraRenderer(world) as renderer:
        yield renderer


def optical_to_world(world: World, frame: CameraFrame) -> np.ndarray:
    """Pose (4, 4) of the optical frame, by the robot's own kinematics."""
    state = world.whole_body_state()
    base = planar_pose(state.base_pose, floor_to_base(R1))
    pose: np.ndarray = base @ Kinematics(R1).pose(frame.frame_id, joints_of(state))
    return pose


def test_boxes_are_seen_where_they_stand(world: World, renderer: CameraRenderer) -> None:
    frame = renderer.render(world.snapshot(), "head")
    to_camera = np.linalg.inv(optical_to_world(world, frame))
    assert isinstance(world.task, Shelves)
    for item in world.task.items:
        centre = to_camera @ [*world.objects()[item.name][0], 1.0]
        u = round(frame.fx * centre[0] / centre[2] + frame.cx)
        v = round(frame.fy * centre[1] / centre[2] + frame.cy)
        # Its front is nearer than its middle by no more than half its diagonal.
        near = centre[2] - np.linalg.norm(item.size) / 2
        assert near < frame.depth[v, u] < centre[2]
        patch = frame.color[v + 4, u - 2 : u + 3].astype(float)
        hue = patch.mean(axis=0) / patch.mean(axis=0).sum()
        label = np.full(3, 1.0 / 3.0)
        own = item.colour / item.colour.sum()
        assert min(np.abs(hue - own).max(), np.abs(hue - label).max()) < 0.1


def test_depth_of_floor_and_table_lies_in_their_planes(
    world: World, renderer: CameraRenderer
) -> None:
    frame = renderer.render(world.snapshot(), "head")
    v, u = np.nonzero(frame.depth)
    z = frame.depth[v, u]
    points = np.stack([(u - frame.cx) / frame.fx * z, (v - frame.cy) / frame.fy * z, z], axis=1)
    pose = optical_to_world(world, frame)
    _, y, heights = (points @ pose[:3, :3].T + pose[:3, 3]).T
    on_plane = [np.abs(heights - plane) < 0.006 for plane in (0.0, TABLE_SIZE[2])]
    assert min(part.sum() for part in on_plane) > 500
    wall = world.model.geom("wall_north0")
    on_plane.append(np.abs(y - (wall.pos[1] - wall.size[1])) < 0.02)
    assert np.any(on_plane, axis=0).mean() > 0.9


def test_depth_outside_the_range_is_zero(world: World, renderer: CameraRenderer) -> None:
    for name, camera in R1.cameras.items():
        frame = renderer.render(world.snapshot(), name)
        assert frame.depth.dtype == np.float32
        assert frame.depth.shape == (camera.height, camera.width)
        assert frame.color.shape == (camera.height, camera.width, 3)
        seen = frame.depth[frame.depth > 0]
        assert camera.depth_range[0] <= seen.min() <= seen.max() <= camera.depth_range[1]
        assert (frame.depth == 0).any()


def test_picture_shows_the_snapshot_and_survives_a_reset(renderer: CameraRenderer) -> None:
    world = World(R1, "shelves", seed=1)
    before = world.snapshot()
    first = renderer.render(before, "head")
    world.reset(2)
    assert not np.array_equal(renderer.render(world.snapshot(), "head").color, first.color)
    assert np.array_equal(renderer.render(before, "head").color, first.color)


def test_what_is_left_out_would_not_have_been_seen(
    renderer: CameraRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture with geoms out of view left out is the picture with all of them."""
    dice, world = np.random.default_rng(0), World(R1, "party", seed=3)
    home = world.snapshot()
    joints = np.flatnonzero(home.model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE)
    places = home.model.jnt_qposadr[joints]
    fewest = home.model.ngeom
    for _ in range(12):
        qpos = home.qpos.copy()
        qpos[places] += dice.uniform(-1.0, 1.0, len(places))
        snapshot = Snapshot(0.0, home.model, qpos)
        for camera in R1.cameras:
            with monkeypatch.context() as patch:
                patch.setattr(cameras, "_in_view", lambda model, *_: np.ones(model.ngeom, bool))
                whole = renderer.render(snapshot, camera)
            culled = renderer.render(snapshot, camera)
            fewest = min(fewest, renderer._scene.ngeom)
            assert np.array_equal(culled.color, whole.color)
            assert np.array_equal(culled.depth, whole.depth)
    assert fewest < home.model.ngeom / 2


def test_third_person_sees_robot_and_scene(world: World, renderer: CameraRenderer) -> None:
    picture = renderer.render_third_person(world.snapshot(), 320, 180)
    assert picture.shape == (180, 320, 3)
    assert picture.std() > 25.0


def test_wrong_requests_are_told(world: World, renderer: CameraRenderer) -> None:
    with pytest.raises(BrsError, match="head"):
        renderer.render(world.snapshot(), "haed")
    with pytest.raises(BrsError, match="at most"):
        renderer.render_third_person(world.snapshot(), 9000, 10)
