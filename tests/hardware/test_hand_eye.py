"""Mounts found from views of which mount and noise are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from board_views import LENS, apart, make_views, pose, random_pose, shaken
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from brs_hardware.camera_calibration.board import project
from brs_hardware.camera_calibration.hand_eye import (
    HandEyeSettings,
    View,
    closed_form,
    solve,
)
from brs_hardware.camera_calibration.motion import describe_lack, turns_rad
from brs_hardware.errors import DeviceError

MOUNT = pose(np.array([0.1, -0.7, 1.2]), np.array([0.04, 0.02, 0.05]))


def turned(view: View, by: np.ndarray) -> View:
    """The view with a link pose that is not where the picture was taken."""
    return dataclasses.replace(view, reference_from_link=view.reference_from_link @ by)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(8, 15))
def test_any_mount_is_found_exactly_without_noise(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    mount = random_pose(random, 0.2)
    views = make_views(random, count, mount, pixel_noise=0.0, link_noise=(0.0, 0.0))
    # Even a present mount that is far off is no hindrance.
    outcome = solve(views, LENS, random_pose(random, 0.5))
    millimetres, degrees = apart(mount, outcome.link_from_optical)
    assert millimetres < 1e-3
    assert degrees < 1e-4
    assert outcome.outliers == ()
    assert outcome.hints == ()


def test_noise_of_an_arm_leaves_a_millimetre_and_a_fraction_of_a_degree() -> None:
    off = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        views = make_views(random, 25, MOUNT, link_noise=(0.0002, 0.0002))
        outcome = solve(views, LENS, MOUNT @ shaken(random, 0.03, 0.06))
        off.append(apart(MOUNT, outcome.link_from_optical))
    millimetres, degrees = np.array(off).T
    assert np.median(millimetres) < 0.6
    assert millimetres.max() < 1.0
    assert np.median(degrees) < 0.1


def test_the_error_is_as_large_as_it_is_said_to_be() -> None:
    surprises = []
    for seed in range(24):
        random = np.random.default_rng(seed)
        outcome = solve(make_views(random, 20, MOUNT), LENS, MOUNT)
        turn = outcome.link_from_optical[:3, :3] @ MOUNT[:3, :3].T
        rotation = Rotation.from_matrix(turn).as_rotvec() / outcome.rotation_std_rad
        position = outcome.link_from_optical[:3, 3] - MOUNT[:3, 3]
        surprises.append([*rotation, *(position / outcome.position_std_m)])
    assert 0.8 < np.sqrt(np.mean(np.square(surprises))) < 1.3


def test_the_fit_is_the_least_one_by_another_method() -> None:
    """Nelder and Mead, who know no derivatives, find no smaller error near by."""
    random = np.random.default_rng(5)
    views = make_views(random, 8, MOUNT)
    outcome = solve(views, LENS, MOUNT)

    def squares(change: np.ndarray) -> float:
        mount = outcome.link_from_optical @ pose(change[:3], change[3:6])
        board = outcome.reference_from_board @ pose(change[6:9], change[9:])
        total = 0.0
        for view in views:
            to_optical = np.linalg.inv(view.reference_from_link @ mount) @ board
            seen = project(view.points @ to_optical[:3, :3].T + to_optical[:3, 3], LENS)
            total += float(np.sum((seen - view.pixels) ** 2))
        return total

    start = squares(np.zeros(12))
    found = minimize(
        squares, np.full(12, 1e-5), method="Nelder-Mead", options={"maxiter": 3000, "xatol": 1e-8}
    )
    assert start <= found.fun * 1.0001
    assert np.sqrt(start / sum(len(v.points) for v in views)) == pytest.approx(outcome.rms_px)


@pytest.mark.parametrize("seed", range(6))
def test_bad_views_are_left_out_and_named(seed: int) -> None:
    random = np.random.default_rng(seed)
    views = make_views(random, 20, MOUNT)
    for i in (3, 11):
        views[i] = turned(views[i], shaken(random, 0.03, 0.08))
    outcome = solve(views, LENS, np.eye(4))  # knows nothing of the mount
    assert set(outcome.outliers) == {3, 11}
    millimetres, degrees = apart(MOUNT, outcome.link_from_optical)
    assert millimetres < 1.5
    assert degrees < 0.35
    assert outcome.max_px < outcome.view_rms_px[3]


def test_a_corner_in_the_wrong_place_is_left_out() -> None:
    random = np.random.default_rng(0)
    views = make_views(random, 15, MOUNT)
    clean = solve(views, LENS, MOUNT)
    views[4].pixels[7] += (15.0, -20.0)
    outcome = solve(views, LENS, MOUNT)
    assert outcome.outliers == ()
    assert apart(clean.link_from_optical, outcome.link_from_optical)[0] < 0.1


def test_too_few_views_are_refused() -> None:
    views = make_views(np.random.default_rng(0), 7, MOUNT)
    with pytest.raises(DeviceError, match="7 views of the board are too few"):
        solve(views, LENS, MOUNT)


def test_many_bad_views_are_refused() -> None:
    random = np.random.default_rng(0)
    views = [turned(view, shaken(random, 0.05, 0.1)) for view in make_views(random, 12, MOUNT)]
    with pytest.raises(DeviceError, match="the views contradict each other"):
        solve(views, LENS, MOUNT)


def test_views_turned_about_one_axis_are_refused_and_the_motion_that_is_missing_is_named() -> None:
    views = make_views(np.random.default_rng(1), 20, MOUNT, tilt=0.0)
    with pytest.raises(DeviceError, match=r"tell the mount.*(tilt|turn).*about one axis only"):
        solve(views, LENS, MOUNT)
    views = make_views(np.random.default_rng(1), 20, MOUNT, tilt=0.0, roll=0.0)
    with pytest.raises(DeviceError, match="the views differ by 0 degrees"):
        solve(views, LENS, MOUNT)


@pytest.mark.parametrize(
    ("axis", "not_named"), [(0, "tilt the camera"), (1, "turn it"), (2, "roll it")]
)
def test_the_axis_about_which_a_camera_was_turned_is_not_asked_for(
    axis: int, not_named: str
) -> None:
    poses = []
    for angle in np.linspace(-0.5, 0.5, 9):
        optical = pose(np.eye(3)[axis] * angle, np.zeros(3))
        poses.append(MOUNT @ optical @ np.linalg.inv(MOUNT))
    turns, axes = turns_rad(poses, MOUNT)
    assert abs(axes[axis, 0]) == pytest.approx(1.0)
    text = describe_lack(turns, axes, 0.1)
    assert text
    assert not_named not in text
    assert describe_lack(np.array([0.5, 0.2, 0.0]), axes, 0.1) == ""


def test_a_wrong_focal_length_is_noticed() -> None:
    random = np.random.default_rng(1)
    views = make_views(random, 25, MOUNT, link_noise=(0.0002, 0.0002))
    wrong = dataclasses.replace(LENS, fx=LENS.fx * 1.03, fy=LENS.fy * 1.03)
    (hint,) = solve(views, wrong, MOUNT).hints
    assert "the camera's intrinsics are wrong" in hint
    assert float(hint.split("fx ")[1].split(",")[0]) == pytest.approx(LENS.fx, rel=0.005)


def test_wrongly_measured_squares_are_noticed() -> None:
    random = np.random.default_rng(1)
    views = make_views(random, 25, MOUNT, link_noise=(0.0002, 0.0002))
    wrong = [
        dataclasses.replace(
            view,
            points=view.points * 1.03,
            optical_from_board=view.optical_from_board,
        )
        for view in views
    ]
    (hint,) = solve(wrong, LENS, MOUNT).hints
    assert hint.endswith("measure the printed squares")
    assert float(hint.split("squares ")[1].split()[0]) == pytest.approx(1 / 1.03, abs=0.004)


def test_uncertain_mounts_are_refused() -> None:
    views = make_views(np.random.default_rng(0), 10, MOUNT)
    strict = HandEyeSettings(most_position_std_m=1e-5)
    with pytest.raises(DeviceError, match="the mount is uncertain by"):
        solve(views, LENS, MOUNT, strict)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_closed_form_obeys_its_equation(seed: int) -> None:
    """A X = X B holds for each pair, found from three views turned any way."""
    random = np.random.default_rng(seed)
    mount, board = random_pose(random, 0.3), random_pose(random, 1.0)
    views = []
    for _ in range(3):
        optical_from_board = random_pose(random, 0.5)
        link = board @ np.linalg.inv(mount @ optical_from_board)
        views.append(View(link, np.zeros((0, 3)), np.zeros((0, 2)), optical_from_board))
    found, board_found = closed_form(views)
    for view in views:
        closed = view.reference_from_link @ found @ view.optical_from_board
        np.testing.assert_allclose(closed, board_found, atol=1e-6)
    np.testing.assert_allclose(found, mount, atol=1e-5)
