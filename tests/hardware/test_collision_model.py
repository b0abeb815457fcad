"""Distances, gradients, levers and pairs of the collision guard, against plain geometry."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from collision_samples import FORWARD, TABLE, Posture, posture, random_posture
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from brs_hardware import collision_pairs
from brs_hardware.collision import CollisionConfig, CollisionGuard, KeepOut
from brs_hardware.collision_config import load_collision_config
from brs_hardware.collision_model import CollisionModel, adjacent_links
from brs_hardware.embodiment import Embodiment
from brs_hardware.kinematics import Kinematics

pytest.importorskip("mujoco")


@pytest.fixture(scope="module")
def config(robot: Embodiment) -> CollisionConfig:
    return load_collision_config(robot)


def urdf_boxes(robot: Embodiment, kind: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(link, pose (4, 4) in it, half size) of `collision` or `visual` boxes and cylinders."""
    found = []
    for link in ElementTree.parse(robot.urdf_path).getroot().findall("link"):
        for element in link.findall(kind):
            origin, geometry = element.find("origin"), element.find("geometry")
            assert origin is not None and geometry is not None
            pose = np.eye(4)
            pose[:3, 3] = [float(x) for x in origin.attrib["xyz"].split()]
            turn = [float(x) for x in origin.attrib.get("rpy", "0 0 0").split()]
            pose[:3, :3] = Rotation.from_euler("xyz", turn).as_matrix()
            box, cylinder = geometry.find("box"), geometry.find("cylinder")
            if box is not None:
                half = np.array([float(x) for x in box.attrib["size"].split()]) / 2
            else:
                assert cylinder is not None
                radius = float(cylinder.attrib["radius"])
                half = np.array([radius, radius, float(cylinder.attrib["length"]) / 2])
            found.append((link.attrib["name"], pose, half))
    return found


def guarded_boxes(
    robot: Embodiment, config: CollisionConfig
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """All shapes of the robot that the guard should know."""
    boxes = [box for box in urdf_boxes(robot, "collision") if box[0] not in config.left_out]
    for shape in config.shapes:
        pose = np.eye(4)
        pose[:3, 3] = shape.position
        boxes.append((shape.link, pose, shape.half_size))
    return boxes


def naive_distance(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> float:
    """Of two boxes, as the least squares of the gap over the points in each; 0 for overlap."""
    (a, half_a), (b, half_b) = first, second
    limits = np.concatenate([half_a, half_b])
    gap = np.hstack([a[:3, :3], -b[:3, :3]])
    best = lsq_linear(gap, b[:3, 3] - a[:3, 3], (-limits, limits), tol=1e-14)
    return float(np.sqrt(2.0 * best.cost))


def naive_clearance(
    robot: Embodiment, config: CollisionConfig, joints: Posture, table: KeepOut
) -> float:
    kinematics = Kinematics(robot)
    ignored = config.disabled_pairs() | adjacent_links(robot)
    boxes = [
        (link, kinematics.pose(link, joints) @ pose, half)
        for link, pose, half in guarded_boxes(robot, config)
    ]
    place = np.eye(4)
    place[:3, 3] = table.centre
    place[:3, :3] = Rotation.from_euler("z", table.yaw_rad).as_matrix()
    nearest = np.inf
    for i, (link, pose, half) in enumerate(boxes):
        if link not in config.floor_exempt:
            lowest = pose[2, 3] - np.abs(pose[2, :3]) @ half
            nearest = min(nearest, lowest - config.floor_height_m)
        others = [
            (pose, half)
            for name, pose, half in boxes[:i]
            if name != link and {name, link} not in ignored
        ]
        if link not in config.keep_out_exempt:
            others.append((place, table.half_size))
        for other in others:
            apart = np.linalg.norm(other[0][:3, 3] - pose[:3, 3])
            if apart - np.linalg.norm(half) - np.linalg.norm(other[1]) < nearest:
                nearest = min(nearest, naive_distance((pose, half), other))
    return float(nearest)


def test_clearance_is_that_of_plain_geometry(robot: Embodiment, config: CollisionConfig) -> None:
    random = np.random.default_rng(4)
    table = dataclasses.replace(TABLE, yaw_rad=0.4)
    guard = CollisionGuard(robot, keep_outs=[table])
    apart = 0
    postures = [posture(robot), posture(robot, "neutral"), FORWARD]
    postures += [random_posture(robot, random) for _ in range(4)]
    for _ in range(6):
        postures.append({n: v + random.uniform(-0.3, 0.3, len(v)) for n, v in FORWARD.items()})
    for joints in postures:
        expected = naive_clearance(robot, config, joints, table)
        found = guard.clearance(joints)
        assert max(found.distance_m, 0.0) == pytest.approx(max(expected, 0.0), abs=1e-5)
        if expected > 1e-6:
            gap = np.linalg.norm(found.point_first - found.point_second)
            assert gap == pytest.approx(expected, abs=1e-5)
            apart += 1
    assert apart >= 5


def test_shapes_cover_what_is_drawn(robot: Embodiment, config: CollisionConfig) -> None:
    """No drawn part stands out of the guarded shapes by more than 25 mm."""
    kinematics = Kinematics(robot)
    boxes = [
        (np.linalg.inv(kinematics.pose(link, {}) @ pose), half)
        for link, pose, half in guarded_boxes(robot, config)
    ]
    for link, pose, half in urdf_boxes(robot, "visual"):
        if link in config.left_out:
            continue
        corners = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T * half
        for corner in corners:
            point = kinematics.pose(link, {}) @ pose @ np.append(corner, 1.0)
            outside = [
                np.linalg.norm(np.maximum(np.abs((inverse @ point)[:3]) - size, 0.0))
                for inverse, size in boxes
            ]
            assert min(outside) < 0.025, link


def test_distance_gradients_are_those_of_small_steps(
    robot: Embodiment, config: CollisionConfig
) -> None:
    model = CollisionModel(robot, config, [TABLE])
    random = np.random.default_rng(5)
    everything = np.full(len(model.pair_names), np.inf)
    checked = 0
    for _ in range(6):
        joints = model.joints.stack(random_posture(robot, random))
        model.place(joints)
        distance = model.distances(everything)
        pairs = np.flatnonzero((distance > 0.01) & (distance < 0.3))
        gradients = model.gradients(pairs)
        step = random.normal(size=len(joints))
        ahead, behind = [], []
        for sign, found in ((1.0, ahead), (-1.0, behind)):
            model.place(joints + sign * 1e-5 * step)
            found.extend(model.distances(everything)[pairs])
        slope = (np.array(ahead) - np.array(behind)) / 2e-5
        # Where the nearest points jump from edge to edge there is no gradient: few of many.
        checked += np.sum(np.isclose(gradients @ step, slope, atol=2e-3))
        assert np.mean(np.isclose(gradients @ step, slope, atol=2e-3)) > 0.9
    assert checked > 50


def test_no_pair_comes_nearer_than_its_levers_allow(
    robot: Embodiment, config: CollisionConfig
) -> None:
    model = CollisionModel(robot, config, [TABLE])
    random = np.random.default_rng(6)
    everything = np.full(len(model.pair_names), np.inf)
    for size_rad in (0.01, 0.1, 0.5) * 4:
        joints = model.joints.stack(random_posture(robot, random))
        travel = random.uniform(0.0, size_rad, len(joints))
        model.place(joints)
        before = model.distances(everything)
        allowed = model.levers(travel) @ travel
        model.place(joints + travel * random.choice([-1.0, 1.0], len(joints)))
        nearer = before - model.distances(everything)
        apart = before > 0.0
        assert np.all(nearer[apart] <= allowed[apart] + 1e-5)


def test_a_keep_out_in_odom_stays_behind_when_the_base_drives(robot: Embodiment) -> None:
    table = dataclasses.replace(TABLE, frame="odom", yaw_rad=0.3)
    base_pose = np.array([0.2, -0.1, 0.5])
    turn = Rotation.from_euler("z", -0.5).as_matrix()
    seen = KeepOut("table", turn @ (table.centre - [0.2, -0.1, 0]), table.half_size, 0.3 - 0.5)
    expected = CollisionGuard(robot, keep_outs=[seen]).clearance(FORWARD)
    found = CollisionGuard(robot, keep_outs=[table]).clearance(FORWARD, base_pose)
    assert found.second == "table"
    assert found.distance_m == pytest.approx(expected.distance_m, abs=1e-6)


def test_no_pair_that_can_meet_is_left_out(robot: Embodiment, config: CollisionConfig) -> None:
    """Fresh postures, none of those by which the pairs were chosen."""
    model = CollisionModel(robot, dataclasses.replace(config, disabled={}))
    never = {frozenset((a, b)) for a, others in config.disabled["never"].items() for b in others}
    chosen = np.array([frozenset(names) in never for names in model.pair_names])
    assert chosen.sum() > 40
    random = np.random.default_rng(7)
    for _ in range(1500):
        model.place(model.joints.stack(random_posture(robot, random)))
        found = model.distances(np.where(chosen, 0.001, -np.inf))
        assert np.all(found[chosen] > 0.0)


def test_pairs_are_found_again(
    robot: Embodiment, config: CollisionConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer postures leave out more pairs, and never one less than are stored."""
    monkeypatch.setattr(collision_pairs, "_REFINING_STEPS", 5)
    found = collision_pairs.find_disabled(robot, config, count=60)
    stored = {reason: config.disabled[reason] for reason in ("always", "never")}
    stored_pairs = dataclasses.replace(config, disabled=stored).disabled_pairs()
    again = dataclasses.replace(config, disabled=found).disabled_pairs()
    assert again >= stored_pairs
    assert frozenset(("base_link", "torso_link4")) not in again  # meet in many postures
