"""The collision guard against its promise on whole motions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from collision_samples import FORWARD, TABLE, Posture, posture, random_posture
from limiter import limit_motion

from brs_hardware.collision import CollisionConfig, CollisionGuard, GuardEvent, KeepOut
from brs_hardware.collision_config import Shape, load_collision_config
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics

pytest.importorskip("mujoco")

STEP_S = 0.01
HERE = np.zeros(3)


@pytest.fixture(scope="module")
def config(robot: Embodiment) -> CollisionConfig:
    return load_collision_config(robot)


@pytest.fixture(scope="module")
def guard(robot: Embodiment) -> CollisionGuard:
    return CollisionGuard(robot)


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


def test_wrong_configuration_is_named(robot: Embodiment, config: CollisionConfig) -> None:
    shape = Shape("left_arm_lnk5", np.zeros(3), np.ones(3))
    with pytest.raises(ConfigError, match="left_arm_link5"):
        CollisionGuard(robot, dataclasses.replace(config, shapes=(shape,)))
    for half_size in (np.zeros(3), np.ones(2), np.full(3, np.nan)):
        with pytest.raises(ValueError, match="half_size"):
            Shape("left_arm_link5", np.zeros(3), half_size)
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
