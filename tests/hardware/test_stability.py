"""Balance against a plain sum over the URDF's links, and against its own promises."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics
from brs_hardware.stability import Stability, load_stability_config

pytest.importorskip("mujoco")

STRETCHED = {
    "left_arm": np.array([0, np.pi, -np.pi, 0, 0, 0]),
    "right_arm": np.array([0, np.pi, -np.pi, 0, 0, 0]),
}
SQUAT = {"torso": np.array([1.74, -2.70, -0.96, 0])}


@pytest.fixture(scope="module")
def balance(robot: Embodiment) -> Stability:
    return Stability(robot)


def naive_centre_of_mass(robot: Embodiment, joints: dict[str, np.ndarray]) -> np.ndarray:
    """Sum over the <inertial> of every link, placed by forward kinematics."""
    kinematics = Kinematics(robot)
    total, moment = 0.0, np.zeros(3)
    for link in ElementTree.parse(robot.urdf_path).getroot().findall("link"):
        inertial = link.find("inertial")
        if inertial is None:
            continue
        mass = float(inertial.find("mass").attrib["value"])  # type: ignore[union-attr]
        place = inertial.find("origin").attrib["xyz"]  # type: ignore[union-attr]
        local = np.array([*map(float, place.split()), 1.0])
        moment += mass * (kinematics.pose(link.attrib["name"], joints) @ local)[:3]
        total += mass
    return moment / total


def random_posture(robot: Embodiment, random: np.random.Generator) -> dict[str, np.ndarray]:
    return {n: random.uniform(robot.group(n).lower, robot.group(n).upper) for n in robot.GROUPS}


def test_centre_of_mass_is_the_sum_over_links(robot: Embodiment, balance: Stability) -> None:
    random = np.random.default_rng(0)
    for joints in [dict(robot.poses["ready"]), *(random_posture(robot, random) for _ in range(5))]:
        np.testing.assert_allclose(
            balance.centre_of_mass(joints), naive_centre_of_mass(robot, joints), atol=1e-9
        )


def test_payload_counts_at_its_link(robot: Embodiment, balance: Stability) -> None:
    joints = {**robot.poses["ready"], **STRETCHED}
    tool = Kinematics(robot).pose("left_tcp", joints)[:3, 3]
    mass = 102.138  # the vendor's URDF, all links
    expected = (naive_centre_of_mass(robot, joints) * mass + 5.0 * tool) / (mass + 5.0)
    loaded = balance.centre_of_mass(joints, {"left_tcp": 5.0})
    np.testing.assert_allclose(loaded, expected, atol=1e-4)
    assert balance.margin(joints, (-2.0, 0.0), {"left_tcp": 5.0}).margin_m < (
        balance.margin(joints, (-2.0, 0.0)).margin_m
    )


@pytest.mark.parametrize("pose", ["neutral", "ready"])
def test_named_poses_stand_with_room(robot: Embodiment, balance: Stability, pose: str) -> None:
    assert balance.margin(robot.poses[pose]).margin_m > 0.1
    assert balance.base_speed_scale(robot.poses[pose]) > 0.95


def test_margin_is_the_distance_to_the_nearest_edge(robot: Embodiment, balance: Stability) -> None:
    """Tipping is where the moment of gravity about an edge equals that of inertia."""
    random = np.random.default_rng(1)
    wheels = np.asarray(robot.base.wheel_positions)
    for _ in range(30):
        joints, push = random_posture(robot, random), random.uniform(-3, 3, 2)
        centre = naive_centre_of_mass(robot, joints)
        pressed = centre[:2] - push * (centre[2] + 0.0415) / 9.81
        distances = []
        for i, j, opposite in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            edge = wheels[j] - wheels[i]
            normal = np.array([-edge[1], edge[0]]) / np.linalg.norm(edge)
            normal *= np.sign(normal @ (wheels[opposite] - wheels[i]))
            distances.append(normal @ (pressed - wheels[i]))
        assert balance.margin(joints, tuple(push)).margin_m == pytest.approx(min(distances))


def test_edges_have_names(balance: Stability) -> None:
    # Braking from driving forward accelerates backward, and the robot pitches over its front.
    assert balance.margin({}, (-5.0, 0.0)).edge == "front"
    assert balance.margin({}, (0.0, 6.0)).edge == "rear-right"
    assert balance.margin({}, (0.0, -6.0)).edge == "rear-left"


def test_max_acceleration_just_keeps_the_margin(robot: Embodiment, balance: Stability) -> None:
    random = np.random.default_rng(2)
    for joints in (robot.poses["ready"], STRETCHED, SQUAT):
        for angle in random.uniform(-np.pi, np.pi, 8):
            direction = np.array([np.cos(angle), np.sin(angle)])
            most = balance.max_acceleration(joints, tuple(3.0 * direction))
            left = balance.margin(joints, tuple(most * direction)).margin_m
            assert left == pytest.approx(balance.config.min_margin_m)


def test_no_acceleration_is_allowed_without_room(robot: Embodiment) -> None:
    config = dataclasses.replace(load_stability_config(robot), min_margin_m=0.5)
    balance = Stability(robot, config)
    assert balance.max_acceleration(robot.poses["ready"], (1.0, 0.0)) == 0.0
    assert balance.base_speed_scale(robot.poses["ready"]) == 0.0


def test_low_is_steadier_than_tall_and_reach_is_slower(
    robot: Embodiment, balance: Stability
) -> None:
    tall = {**robot.poses["ready"], "torso": np.zeros(4)}
    low = {**robot.poses["ready"], **SQUAT}
    assert balance.max_acceleration(low, (-1, 0)) > balance.max_acceleration(tall, (-1, 0))
    assert balance.base_speed_scale(STRETCHED) < balance.base_speed_scale(robot.poses["ready"])
    reach = np.hypot(*Kinematics(robot).pose("left_tcp", STRETCHED)[:2, 3])
    swing = balance.base_speed_scale(STRETCHED) * robot.base.max_velocity[2] * reach
    assert swing == pytest.approx(balance.config.max_turning_speed_m_s, rel=0.02)


def test_a_stop_at_the_scaled_speed_keeps_the_margin(
    robot: Embodiment, balance: Stability
) -> None:
    """To rest within the way that the full stop from full speed takes, from the scaled speed."""
    random = np.random.default_rng(3)
    for _ in range(50):
        joints = random_posture(robot, random)
        gentle = balance.base_speed_scale(joints) ** 2 * balance.config.stop_deceleration
        if not gentle.any():
            assert balance.margin(joints).margin_m <= balance.config.min_margin_m + 1e-9
            continue
        for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            left = balance.margin(joints, tuple(gentle * signs)).margin_m
            assert left >= balance.config.min_margin_m - 1e-9


def test_wrong_wheels_and_links_are_named(robot: Embodiment, balance: Stability) -> None:
    base = dataclasses.replace(robot.base, wheel_positions=np.array([[0.2, 0.2], [-0.2, 0.0]]))
    with pytest.raises(ConfigError, match="polygon"):
        Stability(dataclasses.replace(robot, base=base))
    with pytest.raises(ConfigError, match="left_tcp"):
        balance.centre_of_mass({}, {"left_tpc": 1.0})


def test_limits_of_the_base_are_those_of_each_way_it_may_drive(
    robot: Embodiment, balance: Stability
) -> None:
    for joints in (robot.poses["ready"], STRETCHED):
        scale, most = balance.base_limits(joints)
        assert scale == balance.base_speed_scale(joints)
        for axis in range(2):
            ways = [sign * np.eye(2)[axis] for sign in (1.0, -1.0)]
            expected = min(balance.max_acceleration(joints, tuple(way)) for way in ways)
            assert most[axis] == pytest.approx(expected)
