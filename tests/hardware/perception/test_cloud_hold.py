"""What cameras turned away from stays where it is, for a while, until one looks through it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from cloud_samples import LENS, frame, match, plain_config, posture

from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.perception.cloud import FusedCloud
from brs_hardware.perception.config import CropBox
from brs_hardware.perception.fusion import CloudFusion, RobotFilter, View

R1 = load_embodiment("r1")
HEAD = Kinematics(R1).pose(optical_frame("head"), posture(R1).joints)
WALL = np.full((LENS.height, LENS.width), 1.0)
HOLD_S = 1.0


class Look:
    """Looks at a flat wall again and again with the head camera."""

    def __init__(self, robot_filter: RobotFilter | None = None, **changes: object) -> None:
        config = plain_config(hold_s=HOLD_S, **changes)
        self.fusion = CloudFusion(R1, config, robot_filter)

    def at(
        self,
        stamp_s: float,
        base: tuple[float, float, float] | None,
        depth: np.ndarray = WALL,
    ) -> FusedCloud:
        view = View("head", frame(depth, stamp_s), posture(R1, stamp_s, base))
        return self.fusion.fuse([view])


def held(cloud: FusedCloud) -> np.ndarray:
    return cloud.cloud.points[len(cloud.cloud) - cloud.held :]


AWAY = (0.3, -0.1, math.pi)  # drives on and turns round
HERE = (0.0, 0.0, 0.0)


def test_points_out_of_view_stay_in_the_room() -> None:
    look = Look()
    first = look.at(1.0, HERE)
    assert first.held == 0
    second = look.at(1.5, AWAY)
    assert second.held == len(first.cloud)
    x, y, yaw = AWAY
    from_there = first.cloud.points - [x, y, 0.0]
    turn = np.array(
        [[math.cos(yaw), math.sin(yaw), 0], [-math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    )
    rows = match(held(second), from_there @ turn.T)
    colors = second.cloud.colors[len(second.cloud) - second.held :]
    assert np.array_equal(colors, first.cloud.colors[rows])


def test_held_points_go_when_their_time_is_over() -> None:
    look = Look()
    look.at(1.0, HERE)
    assert look.at(1.0 + HOLD_S, AWAY).held
    assert not look.at(1.01 + HOLD_S, AWAY).held


def test_what_is_seen_again_is_not_held_twice() -> None:
    look = Look()
    first = look.at(1.0, HERE)
    second = look.at(1.1, HERE)
    assert second.held == 0 and len(second.cloud) == len(first.cloud)


def test_points_that_a_camera_sees_through_go_and_those_behind_something_stay() -> None:
    nearer, farther = WALL - 0.3, WALL + 0.3
    for depth, share in ((nearer, 1.0), (farther, 0.0), (WALL * np.nan, 1.0)):
        look = Look()
        first = look.at(1.0, HERE)
        assert look.at(1.1, HERE, depth).held == share * len(first.cloud)
    half = farther.copy()
    half[:, :12] -= 0.6
    look = Look()
    first = look.at(1.0, HERE)
    assert look.at(1.1, HERE, half).held == len(first.cloud) / 2


def test_without_odometry_nothing_is_held() -> None:
    look = Look()
    look.at(1.0, HERE)
    assert look.at(1.1, None).held == 0
    assert look.at(1.2, AWAY).held == 0  # nor does it come back


def test_a_clock_set_back_forgets_what_is_still_to_come() -> None:
    look = Look()
    look.at(5.0, HERE)
    assert look.at(1.0, AWAY).held == 0


def test_hold_is_off_unless_asked_for() -> None:
    look = Look()
    look.fusion = CloudFusion(R1, plain_config())
    look.at(1.0, HERE)
    assert look.at(1.1, AWAY).held == 0


class Curtain:
    """Takes all that is behind the robot for the robot."""

    def keep(self, points: np.ndarray, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(points[:, 0] > 0.0)


def test_held_points_leave_the_robot_and_the_crop_too() -> None:
    look = Look(Curtain())
    assert look.at(1.0, HERE).held == 0
    assert look.at(1.1, AWAY).held == 0
    look = Look(crop=CropBox(np.zeros(3), np.full(3, 3.0)))
    first = look.at(1.0, HERE)
    assert look.at(1.1, AWAY).held == 0
    # Only not shown: they are there again once the base has turned back.
    assert look.at(1.2, HERE, WALL * np.nan).held == len(first.cloud)


def test_held_points_count_among_those_that_are_sampled() -> None:
    look = Look(sampling="farthest", points=100)
    look.at(1.0, HERE)
    cloud = look.at(1.1, AWAY)
    assert len(cloud.cloud) == 100 and 30 < cloud.held < 70
    assert np.all(held(cloud)[:, 0] < 0.0) and np.all(cloud.cloud.points[: -cloud.held, 0] > 0.0)
