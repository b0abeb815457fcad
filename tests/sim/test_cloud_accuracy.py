"""Clouds of a robot that moves at full speed against the surfaces that are really there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import mujoco
import numpy as np
import pytest

from brs_hardware.cameras import CameraFrame
from brs_hardware.embodiment import load_embodiment
from brs_hardware.odometry.motion import to_matrix
from brs_hardware.perception.cloud import FusedCloud
from brs_hardware.perception.config import CloudConfig, load_cloud
from brs_hardware.perception.fuser import CloudFuser
from brs_sim.emulators.camera_sweep import CameraSweep, pose_errors
from brs_sim.model import floor_to_base
from brs_sim.world import World

R1 = load_embodiment("r1")
FRAME_S = 1.0 / 15.0
JOINT_S = 1.0 / R1.vendor.feedback_hz
ODOMETRY_S = 0.02
ROUNDS = 20
CONFIG = dataclasses.replace(load_cloud("shelves"), wait_s=FRAME_S)


@pytest.fixture(scope="module")
def world() -> World:
    return World(R1, "shelves", seed=3)


@pytest.fixture(scope="module")
def sweep(world: World) -> Iterator[CameraSweep]:
    with CameraSweep(world) as sweep:
        yield sweep


class Surfaces:
    """The scene without the robot: boxes, and a floor."""

    def __init__(self, world: World) -> None:
        model, data = world.model, mujoco.MjData(world.model)
        data.qpos[:] = world.snapshot().qpos
        mujoco.mj_kinematics(model, data)
        robot = model.body("base_link").id
        self._boxes = [
            (data.geom_xpos[i], data.geom_xmat[i].reshape(3, 3), model.geom_size[i])
            for i in range(model.ngeom)
            if model.geom_type[i] == mujoco.mjtGeom.mjGEOM_BOX
            and model.body_rootid[model.geom_bodyid[i]] != robot
        ]
        assert len(self._boxes) > 15

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(n,) [m] of points (n, 3) in the world from the nearest surface."""
        nearest = np.abs(points[:, 2])
        for centre, axes, half in self._boxes:
            beyond = np.abs((points - centre) @ axes) - half
            outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
            inside = np.minimum(beyond.max(axis=1), 0.0)
            nearest = np.minimum(nearest, np.abs(outside + inside))
        return np.asarray(nearest)


def clouds(
    sweep: CameraSweep,
    config: CloudConfig,
    alter: Callable[[CameraFrame], CameraFrame] = lambda frame: frame,
    told: Callable[[float], float] = lambda stamp_s: stamp_s,
) -> list[FusedCloud]:
    """What the fuser makes of the sweep: the cameras take turns, as nothing triggers them.

    Args:
        sweep, config: of the frames and of the clouds.
        alter: what the sensor does to a frame.
        told: moment of the posture that joints and odometry tell of at a moment.
    """
    fuser, made = CloudFuser(R1, config), []
    events: list[tuple[float, Callable[[float], object]]] = []

    def joints(stamp_s: float) -> None:
        for group, positions in sweep.motion.posture(told(stamp_s)).joints.items():
            fuser.add_joints(group, stamp_s, positions)
        for gripper in R1.GRIPPERS:
            fuser.add_joints(gripper, stamp_s, np.zeros(1))

    def base(stamp_s: float) -> None:
        pose = sweep.motion.posture(told(stamp_s)).base_pose
        assert pose is not None
        fuser.add_base(stamp_s, pose)

    end_s = (ROUNDS + 1) * FRAME_S
    events += [(stamp_s, joints) for stamp_s in np.arange(0.0, end_s, JOINT_S)]
    events += [(stamp_s, base) for stamp_s in np.arange(0.0, end_s, ODOMETRY_S)]
    for i, camera in enumerate(R1.cameras):
        first_s = 0.0123 + i * FRAME_S / 3.0

        def show(stamp_s: float, camera: str = camera) -> None:
            assert fuser.add_frame(camera, alter(sweep.frame(camera, stamp_s)))

        events += [(first_s + k * FRAME_S, show) for k in range(ROUNDS)]
    for stamp_s, event in sorted(events, key=lambda pair: pair[0]):
        event(float(stamp_s))
        if (cloud := fuser.step(float(stamp_s))) is not None:
            made.append(cloud)
    assert len(made) >= ROUNDS - 1
    return made


def errors(world: World, sweep: CameraSweep, made: list[FusedCloud]) -> np.ndarray:
    """(points of all clouds,) distances [m] from what is really there."""
    surfaces, found = Surfaces(world), []
    for fused in made:
        base = sweep.motion.posture(fused.stamp_s).base_pose
        assert base is not None
        pose = to_matrix(base)
        pose[2, 3] = floor_to_base(R1)
        found.append(surfaces.distance(fused.cloud.points @ pose[:3, :3].T + pose[:3, 3]))
    return np.concatenate(found)


def smear(frame: CameraFrame) -> CameraFrame:
    """Where depth jumps, a reading between the two depths, as stereo cameras give it."""
    around = np.lib.stride_tricks.sliding_window_view(frame.depth, (3, 3)).reshape(
        frame.depth.shape[0] - 2, -1, 9
    )
    depth = frame.depth.copy()
    jumps = around.max(axis=2) - around.min(axis=2) > 0.05
    depth[1:-1, 1:-1][jumps] = around.mean(axis=2)[jumps]
    return dataclasses.replace(frame, depth=depth)


def test_cloud_lies_on_the_surfaces_while_the_robot_moves(
    world: World, sweep: CameraSweep
) -> None:
    made = clouds(sweep, CONFIG)
    assert all(cloud.cameras == tuple(R1.cameras) for cloud in made[:-1])
    assert np.mean([len(cloud.cloud) for cloud in made]) > 1000
    assert max(cloud.stamp_s - cloud.oldest_s for cloud in made) > 0.04
    found = errors(world, sweep, made)
    assert np.median(found) <= 0.003
    assert np.percentile(found, 99) <= 0.010


def test_smeared_edges_are_taken_off(world: World, sweep: CameraSweep) -> None:
    filtered = errors(world, sweep, clouds(sweep, CONFIG, smear))
    assert np.median(filtered) <= 0.003
    assert np.percentile(filtered, 99) <= 0.010
    # Else this test would be of no use.
    believed = dataclasses.replace(CONFIG, edge_step=10.0)
    assert np.percentile(errors(world, sweep, clouds(sweep, believed, smear)), 99) > 0.015


def test_joints_of_another_moment_would_be_noticed(world: World, sweep: CameraSweep) -> None:
    """The same with joints that are one frame old, as they are without stamps."""
    made = clouds(sweep, CONFIG, told=lambda stamp_s: stamp_s - FRAME_S)
    assert np.median(errors(world, sweep, made)) > 0.02


def test_interpolation_beats_the_newest_sample() -> None:
    """At 1 rad/s of every joint."""
    for camera in R1.cameras:
        interpolated_m, newest_m = pose_errors(R1, camera, joint_speed=1.0)
        assert newest_m > 0.001
        assert interpolated_m <= 0.1 * newest_m
