"""The collision guard against plain geometry, and against its promise on whole motions."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import numpy as np
import pytest
from limiter import limit_motion
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from brs_hardware import collision_pairs
from brs_hardware.collision import (
    CollisionConfig,
    CollisionGuard,
    GuardEvent,
    KeepOut,
)
from brs_hardware.collision_config import Shape, load_collision_config
from brs_hardware.collision_model import CollisionModel, adjacent_links
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics

pytest.importorskip("mujoco")

STEP_S = 0.01
HERE = np.zeros(3)
# Both arms stretched forward, level, a few centimetres above the (tall) table.
FORWARD = {
    "torso": np.zeros(4),
    "left_arm": np.array([0.0, np.pi, -np.pi, 0.0, 0.0, 0.0]),
    "right_arm": np.array([0.0, np.pi, -np.pi, 0.0, 0.0, 0.0]),
}
TABLE = KeepOut("table", np.array([0.8, 0.0, 0.67]), np.array([0.3, 0.8, 0.67]))
Posture = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def config(robot: Embodiment) -> CollisionConfig:
    return load_collision_config(robot)


@pytest.fixture(scope="module")
def guard(robot: Embodiment) -> CollisionGuard:
    return CollisionGuard(robot)


def posture(robot: Embodiment, pose: str = "ready", **changes: Sequence[float]) -> Posture:
    start = {name: np.array(values) for name, values in robot.poses[pose].items()}
    return start | {name: np.array(values, dtype=float) for name, values in changes.items()}


def random_posture(robot: Embodiment, random: np.random.Generator) -> Posture:
    return {n: random.uniform(robot.group(n).lower, robot.group(n).upper) for n in robot.GROUPS}


def drive(
    robot: Embodiment,
    guard: CollisionGuard,
    start: Posture,
    targets: Sequence[Posture],
    seconds: float = 3.0,
) -> tuple[list[Posture], list[GuardEvent]]:
    """Goes from target to target, as the supervisor would; checks what every step must keep."""
    at, speed = start, {name: np.zeros_like(values) for name, values in start.items()}
    path, events = [start], []
    for i in range(round(seconds / STEP_S)):
        target = targets[int(i * STEP_S / seconds * len(targets))]
        wanted = {}
        for name, group in ((n, robot.group(n)) for n in robot.GROUPS):
            wanted[name], _ = limit_motion(
                at[name],
                speed[name],
                target[name],
                group.max_velocity,
                group.max_acceleration,
                STEP_S,
            )
        result = guard.limit(at, speed, wanted, STEP_S, HERE)
        for name in robot.GROUPS:
            change = robot.group(name).max_acceleration * STEP_S
            rest = np.sign(speed[name]) * np.maximum(np.abs(speed[name]) - change, 0) * STEP_S
            goal, step = wanted[name] - at[name], result.position[name] - at[name]
            assert np.all(step >= np.minimum(goal, rest) - 1e-9)  # between wanted and braking,
            assert np.all(step <= np.maximum(goal, rest) + 1e-9)
            new = result.velocity[name]
            assert np.all(np.abs(new - speed[name]) <= change * (1 + 1e-6))
            np.testing.assert_allclose(step, new * STEP_S, atol=1e-12)
        at, speed = result.position, result.velocity
        path.append(at)
        events += result.events
    return path, events


# -- distances ------------------------------------------------------------------------------


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


# -- pairs ----------------------------------------------------------------------------------


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


# -- motions --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_no_motion_comes_nearer_than_the_stop_distance(
    robot: Embodiment, config: CollisionConfig, seed: int
) -> None:
    random = np.random.default_rng(seed)
    guard, judge = (CollisionGuard(robot, keep_outs=[TABLE]) for _ in range(2))
    start = random_posture(robot, random)
    while judge.clearance(start).distance_m < config.stop_distance_m:
        start = random_posture(robot, random)
    targets = [random_posture(robot, random) for _ in range(3)]
    path, _ = drive(robot, guard, start, targets)
    least = min(judge.clearance(at).distance_m for at in path[::2])
    assert least >= config.stop_distance_m - 0.001


@pytest.mark.parametrize(
    ("start", "changes", "rule", "things"),
    [
        # Both forearms swing inwards in front of the chest.
        (
            FORWARD,
            {"left_arm": [0, np.pi, -2.2, 0, 0, 0], "right_arm": [0, np.pi, -2.2, 0, 0, 0]},
            "self_collision",
            ("left_", "right_"),
        ),
        # The left hand comes back to the chest and through it.
        (
            FORWARD | {"left_arm": np.array([0, 2.2, -1.2, 0, 0, 0])},
            {"left_arm": [0, 2.3, -0.2, 0, 0, 0]},
            "self_collision",
            ("left_", "torso_link4"),
        ),
        # Squatting and leaning forward, the left arm goes down.
        (
            FORWARD | {"torso": np.array([1.74, -2.7, -1.2, 0])},
            {"left_arm": [1.2, np.pi, -np.pi, 0, 0, 0]},
            "keep_out",
            ("left_", "floor"),
        ),
        # The stretched arm goes down onto the table.
        (
            FORWARD,
            {"right_arm": [-0.8, np.pi, -np.pi, 0, 0, 0]},
            "keep_out",
            ("right_", "table"),
        ),
    ],
    ids=["hands", "chest", "floor", "table"],
)
def test_stops_before(
    robot: Embodiment,
    config: CollisionConfig,
    start: Posture,
    changes: dict[str, list[float]],
    rule: str,
    things: tuple[str, str],
) -> None:
    keep_outs = [TABLE] if "table" in things else []
    guard, judge = (CollisionGuard(robot, keep_outs=keep_outs) for _ in range(2))
    target = start | {name: np.array(values, dtype=float) for name, values in changes.items()}
    assert judge.clearance(target).distance_m < 0.0  # without the guard they would meet
    path, events = drive(robot, guard, start, [target], seconds=4.0)
    distances = np.array([judge.clearance(at).distance_m for at in path])
    assert distances.min() >= config.stop_distance_m - 1e-5
    assert distances[-1] < config.stop_distance_m + 0.01  # as near as may be, not further off
    moved = max(np.abs(path[-1][name] - path[-20][name]).max() for name in start)
    assert moved < 0.01
    last = events[-1]
    assert last.rule == rule and f"{last.distance_m * 1000:.0f} mm" in last.message
    assert all(any(t in name for name in (last.first, last.second)) for t in things)
    # Slower and slower: within the slow distance as the configuration says.
    approach = -np.diff(distances) / STEP_S
    room = config.slow_distance_m - config.stop_distance_m
    near = distances[:-1] < config.stop_distance_m + room / 2
    assert np.all(approach[near] <= config.approach_speed_m_s * 0.5 + 0.05)


def test_slides_along_the_table_while_pressed_down(
    robot: Embodiment, config: CollisionConfig
) -> None:
    guard, judge = (CollisionGuard(robot, keep_outs=[TABLE]) for _ in range(2))
    down = FORWARD | {"right_arm": np.array([-0.8, np.pi, -np.pi, 0, 0, 0])}
    path, _ = drive(robot, guard, FORWARD, [down], seconds=2.0)
    aside = down | {"torso": np.array([0, 0, 0, 0.4])}
    slid, _ = drive(robot, guard, path[-1], [aside])
    assert slid[-1]["torso"][3] == pytest.approx(0.4, abs=0.01)
    assert min(judge.clearance(at).distance_m for at in slid) >= config.stop_distance_m - 1e-5


def test_what_starts_too_near_may_leave_but_not_go_nearer(robot: Embodiment) -> None:
    tool = Kinematics(robot).pose("left_tcp", FORWARD)[:3, 3]
    for depth_m in (0.02, 0.0, -0.006):  # tool overlapping, touching, just above
        top = tool[2] - 0.0175 + depth_m
        box = KeepOut("box", np.array([tool[0], tool[1], top - 0.1]), np.array([0.2, 0.2, 0.1]))
        guard, judge = (CollisionGuard(robot, keep_outs=[box]) for _ in range(2))
        before = judge.clearance(FORWARD).distance_m
        assert before < 0.01
        up = FORWARD | {"left_arm": np.array([-0.4, np.pi, -np.pi, 0, 0, 0])}
        path, _ = drive(robot, guard, FORWARD, [up], seconds=1.5)
        np.testing.assert_allclose(path[-1]["left_arm"], up["left_arm"], atol=1e-3)
        down = FORWARD | {"left_arm": np.array([0.4, np.pi, -np.pi, 0, 0, 0])}
        path, _ = drive(robot, guard, FORWARD, [down], seconds=0.5)
        assert min(judge.clearance(at).distance_m for at in path) >= before - 1e-4


def test_nothing_changes_far_from_everything(robot: Embodiment, guard: CollisionGuard) -> None:
    up = FORWARD | {"left_arm": np.array([-0.5, np.pi, -np.pi, 0.3, 0.2, 0.3])}
    path, events = drive(robot, guard, FORWARD, [up], seconds=1.5)
    np.testing.assert_allclose(path[-1]["left_arm"], up["left_arm"], atol=1e-3)
    assert not events


def test_named_poses_are_reached_without_a_stop(
    robot: Embodiment, config: CollisionConfig, guard: CollisionGuard
) -> None:
    poses = [posture(robot, pose) for pose in ("neutral", "ready", "neutral")]
    for pose in poses:
        assert guard.clearance(pose).distance_m > config.stop_distance_m
    path, events = drive(robot, guard, poses[0], poses[1:])
    for name in robot.GROUPS:
        np.testing.assert_allclose(path[-1][name], poses[-1][name], atol=1e-3)
    assert not any(event.braked for event in events)


def test_folded_links_that_want_apart_in_opposite_ways_come_free() -> None:
    """The R1 Lite at zero: several pairs too near at once, whose wishes contradict each other."""
    robot = load_embodiment("r1_lite")
    guard = CollisionGuard(robot)
    folded = {name: np.zeros_like(robot.group(name).lower) for name in robot.GROUPS}
    assert guard.clearance(folded).distance_m < guard.config.stop_distance_m
    ready = {name: np.array(values) for name, values in robot.poses["ready"].items()}
    path, _ = drive(robot, guard, folded, [ready], seconds=4.0)
    assert guard.clearance(path[-1]).distance_m >= guard.config.stop_distance_m
    moved = max(np.max(np.abs(path[-1][name] - folded[name])) for name in robot.GROUPS)
    assert moved > 0.3


# -- configuration --------------------------------------------------------------------------


def test_wrong_configuration_is_named(robot: Embodiment, config: CollisionConfig) -> None:
    shape = Shape("left_arm_lnk5", np.zeros(3), np.ones(3))
    with pytest.raises(ConfigError, match="left_arm_link5"):
        CollisionGuard(robot, dataclasses.replace(config, shapes=(shape,)))
    with pytest.raises(ValueError, match="slow_distance_m"):
        dataclasses.replace(config, slow_distance_m=0.005)
    with pytest.raises(ValueError, match="frame"):
        dataclasses.replace(TABLE, frame="map")
    for name in ("floor", "head_link"):
        with pytest.raises(ConfigError, match="rename"):
            CollisionGuard(robot, keep_outs=[dataclasses.replace(TABLE, name=name)])
    with pytest.raises(ConfigError, match="rename"):
        CollisionGuard(robot, keep_outs=[TABLE, TABLE])
    elsewhere = dataclasses.replace(robot, path=str(describe(robot).path.with_name("r9.yaml")))
    with pytest.raises(ConfigError, match=r"r9_collisions\.yaml"):
        load_collision_config(elsewhere)
    with pytest.raises(ConfigError, match="6 joints"):
        CollisionGuard(robot).clearance({"left_arm": np.zeros(5)})
