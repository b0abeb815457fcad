"""The self-filter on what simulated cameras see, with the simulator's word for what is robot."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.kinematics import Kinematics
from brs_hardware.perception.config import load_cloud
from brs_hardware.perception.self_filter import SelfFilter
from brs_sim.cameras import CameraFrame, CameraRenderer
from brs_sim.tasks.shelves import Shelves
from brs_sim.world import Snapshot, World

pytest.importorskip("numba")

POSTURES = 40
EVERY = 3  # pixel of every so many rows and columns
DEEPEST_M = 0.005  # overlap of a posture with the furniture that is no overlap

Posture = dict[str, np.ndarray]  # joints by group, closing fraction by gripper
View = tuple[Posture, np.ndarray, np.ndarray]  # with points (n, 3) in base_link, (n,) robot or not


def place(world: World, posture: Posture) -> np.ndarray:
    """The state (nq,) of the world with the robot in another posture."""
    robot, model = world.embodiment, world.model
    qpos: np.ndarray = world.snapshot().qpos
    for name, values in posture.items():
        if name in robot.GROUPS:
            joints = robot.group(name).joints
        else:
            joints = robot.gripper(name).joints
            values = robot.gripper(name).to_stroke_mm(float(values)) / 1000.0 / len(joints)
        qpos[[model.joint(joint).qposadr[0] for joint in joints]] = values
    return qpos


def random_posture(robot: Embodiment, random: np.random.Generator) -> Posture:
    """Arms anywhere, or about the way they are held for work, so that hands are in view."""
    posture, wild = {}, random.random() < 0.5
    for name in robot.GROUPS:
        group = robot.group(name)
        if wild:
            posture[name] = random.uniform(group.lower, group.upper)
        else:
            near = robot.poses["ready"][name] + random.normal(0.0, 0.5, len(group.joints))
            posture[name] = np.clip(near, group.lower, group.upper)
    return posture | {name: np.array(random.random()) for name in robot.GRIPPERS}


def is_free(world: World, qpos: np.ndarray) -> bool:
    """Whether the robot stands in nothing; parts of it in each other do not matter here."""
    data = mujoco.MjData(world.model)
    data.qpos[:] = qpos
    mujoco.mj_forward(world.model, data)
    root = world.model.body_rootid
    own = world.model.body("base_link").id
    for contact in data.contact:
        first, second = (root[world.model.geom_bodyid[geom]] for geom in contact.geom)
        if (first == own) != (second == own) and contact.dist < -DEEPEST_M:
            return False
    return True


def bodies_seen(renderer: CameraRenderer, snapshot: Snapshot, camera: str) -> np.ndarray:
    """(height, width) body of each pixel: every shape is drawn in a colour that is its number."""
    scene, model = renderer._scene, snapshot.model
    flags = (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR)
    for flag in flags:
        scene.flags[flag] = 1
    color = renderer.render(snapshot, camera).color.astype(np.int64)
    for flag in flags:
        scene.flags[flag] = 0
    body = np.zeros(scene.ngeom + 2, int)
    for drawn in scene.geoms[: scene.ngeom]:
        # The dark patch on the floor under the robot is the floor.
        shade = model.geom_type[drawn.objid] == mujoco.mjtGeom.mjGEOM_ELLIPSOID
        if drawn.objtype == mujoco.mjtObj.mjOBJ_GEOM and not shade:
            body[drawn.segid + 1] = model.geom_bodyid[drawn.objid]
    result: np.ndarray = body[color @ [1, 1 << 8, 1 << 16]]
    return result


def points_of(frame: CameraFrame) -> np.ndarray:
    """(height, width, 3) in the optical frame."""
    v, u = np.indices(frame.depth.shape)
    across = [(u - frame.cx) / frame.fx, (v - frame.cy) / frame.fy, np.ones(u.shape)]
    points: np.ndarray = np.stack(across, axis=2) * frame.depth[:, :, None]
    return points


def look(
    world: World, renderer: CameraRenderer, qpos: np.ndarray, posture: Posture
) -> tuple[np.ndarray, np.ndarray]:
    """What all cameras see: points (n, 3) float32 in base_link, and the body (n,) of each."""
    robot, snapshot = world.embodiment, Snapshot(0.0, world.model, qpos)
    groups = {name: posture[name] for name in robot.GROUPS}
    points, bodies = [], []
    for camera in robot.cameras:
        body = bodies_seen(renderer, snapshot, camera)[::EVERY, ::EVERY]
        frame = renderer.render(snapshot, camera)
        seen = frame.depth[::EVERY, ::EVERY] > 0.0
        pose = Kinematics(robot).pose(frame.frame_id, groups)
        points.append(points_of(frame)[::EVERY, ::EVERY][seen] @ pose[:3, :3].T + pose[:3, 3])
        bodies.append(body[seen])
    return np.concatenate(points).astype(np.float32), np.concatenate(bodies)


def look_around(robot: Embodiment, seed: int, count: int) -> Iterator[View]:
    random, world = np.random.default_rng(seed), World(robot, "shelves", seed)
    base = world.model.body("base_link").id
    with CameraRenderer(world) as renderer:
        while count:
            posture = random_posture(robot, random)
            qpos = place(world, posture)
            if is_free(world, qpos):
                count -= 1
                points, bodies = look(world, renderer, qpos, posture)
                yield posture, points, world.model.body_rootid[bodies] == base


def shares(own: SelfFilter, views: list[View], with_grippers: bool) -> tuple[float, float]:
    """Of the robot's points, and of the others, those that the filter removes."""
    removed, labels = [], []
    for posture, points, is_own in views:
        known = posture if with_grippers else {n: posture[n] for n in Embodiment.GROUPS}
        removed.append(~own.keep(points, known))
        labels.append(is_own)
    gone, robot = np.concatenate(removed), np.concatenate(labels)
    assert robot.sum() > 2000 and (~robot).sum() > 20_000
    return float(gone[robot].mean()), float(gone[~robot].mean())


@pytest.mark.parametrize("name", ["r1", "r1_lite", "r1_pro"])
def test_robot_goes_and_the_rest_stays(name: str) -> None:
    robot = load_embodiment(name)
    padding_m = load_cloud("shelves").self_filter_padding_m
    assert padding_m is not None
    views = list(look_around(robot, 4, POSTURES))
    for with_grippers in (True, False):
        of_robot, of_others = shares(SelfFilter(robot, padding_m), views, with_grippers)
        assert of_robot >= 0.99
        assert of_others <= 0.005


def test_a_held_box_stays() -> None:
    """All but what of it lies within the padding of the fingers that hold it."""
    robot, random = load_embodiment("r1"), np.random.default_rng(6)
    world = World(robot, "shelves", 6)
    assert isinstance(world.task, Shelves)
    item = world.task.items[0]
    own, body = SelfFilter(robot, 0.01), world.model.body(item.name).id
    start = world.model.joint(item.name).qposadr[0]
    stroke_mm = 1000.0 * float(item.size[1])
    kept = []
    with CameraRenderer(world) as renderer:
        for _ in range(10):
            closed = np.array(robot.left_gripper.to_closed(stroke_mm))
            posture = random_posture(robot, random) | {"left_gripper": closed}
            data = mujoco.MjData(world.model)
            data.qpos[:] = qpos = place(world, posture)
            mujoco.mj_kinematics(world.model, data)
            hand = data.body("left_tcp")
            tips = hand.xpos + 0.02 * hand.xmat[::3]  # nearer the wrist camera measures no depth
            qpos[start : start + 7] = np.concatenate([tips, hand.xquat])
            points, bodies = look(world, renderer, qpos, posture)
            kept.append(own.keep(points, posture)[bodies == body])
    assert np.concatenate(kept).size > 500
    assert np.concatenate(kept).mean() > 0.8
