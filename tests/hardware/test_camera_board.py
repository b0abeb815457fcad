"""Finding the board in pictures whose every corner is known, and printing it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from board_views import BOARD, LENS, apart, before_camera, draw, noisy
from PIL import Image

from brs_hardware.camera_calibration.board import Board, BoardDetector, draw_page, project
from brs_hardware.cameras.frame import Intrinsics
from brs_hardware.errors import ConfigError

DETECTOR = BoardDetector(BOARD)
LARGER = dataclasses.replace(LENS, width=640, height=480, fx=416.0, fy=414.0, cx=321.5, cy=237.5)


def true_pixels(
    optical_from_board: np.ndarray, corners: np.ndarray, lens: Intrinsics
) -> np.ndarray:
    """(n, 2) by hand: pose, perspective, radial and tangential distortion."""
    points = BOARD.corners[corners] @ optical_from_board[:3, :3].T + optical_from_board[:3, 3]
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    k1, k2, p1, p2, k3 = lens.distortion
    square = x * x + y * y
    radial = 1.0 + k1 * square + k2 * square**2 + k3 * square**3
    across = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    down = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return np.stack([across * lens.fx + lens.cx, down * lens.fy + lens.cy], axis=1)


@pytest.mark.parametrize(("lens", "most_px"), [(LENS, 0.15), (LARGER, 0.10)])
def test_corners_are_found_to_a_fraction_of_a_pixel(lens: Intrinsics, most_px: float) -> None:
    random = np.random.default_rng(0)
    errors, found_corners = [], 0
    for _ in range(4):
        optical_from_board = before_camera(random)
        found = DETECTOR.detect(noisy(random, draw(optical_from_board, lens)), lens)
        assert found is not None
        errors.append(found.pixels - true_pixels(optical_from_board, found.corners, lens))
        found_corners += len(found.corners)
        millimetres, degrees = apart(optical_from_board, found.board_pose)
        assert millimetres < 5.0
        assert degrees < 1.5
        assert found.rms_px < 2 * most_px
    errors = np.concatenate(errors)
    assert found_corners > 0.85 * 4 * len(BOARD.corners)
    assert np.sqrt(np.mean(np.sum(errors**2, axis=1))) < most_px
    # A shift of all corners would be half a pixel if the middle of the first pixel were not 0.
    assert np.abs(errors.mean(axis=0)).max() < 0.03


def test_projection_is_that_of_the_lens() -> None:
    random = np.random.default_rng(1)
    corners = np.arange(len(BOARD.corners))
    for _ in range(5):
        at = before_camera(random)
        points = BOARD.corners @ at[:3, :3].T + at[:3, 3]
        np.testing.assert_allclose(
            project(points, LENS), true_pixels(at, corners, LENS), atol=1e-9
        )


def test_a_part_of_the_board_is_enough() -> None:
    picture = draw(before_camera(np.random.default_rng(2), tilt=0.1, roll=0.1))
    picture[:, 160:] = 100
    found = DETECTOR.detect(picture, LENS)
    assert found is not None
    assert 6 <= len(found.corners) < len(BOARD.corners)


def test_nothing_is_found_where_nothing_is() -> None:
    random = np.random.default_rng(3)
    for picture in (np.zeros((240, 320, 3)), random.integers(0, 256, (240, 320, 3))):
        assert DETECTOR.detect(picture.astype(np.uint8), LENS) is None


@pytest.mark.parametrize(
    "other",
    [
        Board(dictionary="DICT_5X5_50"),
        Board(columns=7, rows=5),
        Board(columns=8, rows=6, square_m=0.03, marker_m=0.022),
    ],
)
def test_another_board_is_not_taken_for_this_one(other: Board) -> None:
    random = np.random.default_rng(4)
    for _ in range(4):
        at = before_camera(random, tilt=0.3, roll=0.2)
        found = DETECTOR.detect(draw(at, LENS, other), LENS)
        assert found is None or found.rms_px > 1.5


def test_blur_shows_in_the_width_of_edges() -> None:
    at = before_camera(np.random.default_rng(5), tilt=0.2, roll=0.2)
    sharp = draw(at, LARGER)
    shaken = cv2.blur(sharp, (7, 1))
    widths = [DETECTOR.detect(picture, LARGER) for picture in (sharp, shaken)]
    assert widths[0] is not None
    assert widths[1] is not None
    assert widths[0].blur_px < 3.0
    assert widths[1].blur_px > 5.0


def test_boards_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="'marker_m' must be positive and below 'square_m'"):
        Board(marker_m=0.04)
    with pytest.raises(ValueError, match="at least 3"):
        Board(columns=2)
    with pytest.raises(ConfigError, match="did you mean DICT_4X4_50"):
        BoardDetector(Board(dictionary="DICT_4X4_5"))
    with pytest.raises(ConfigError, match="has 50 markers, the board 60"):
        BoardDetector(Board(columns=12, rows=10))


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_the_printed_page_has_the_true_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"board.{suffix}"
    draw_page(BOARD, path)
    if suffix == "pdf":
        box = path.read_bytes().split(b"/MediaBox [ 0 0 ")[1].split(b" ]")[0]
        points = np.array([float(number) for number in box.split()])
        np.testing.assert_allclose(points * 25.4 / 72.0, (210.0, 297.0), atol=0.1)
        return
    with Image.open(path) as page:
        dots_per_mm = page.info["dpi"][0] / 25.4
        picture = np.asarray(page.convert("RGB"))
    assert picture.shape[1] / dots_per_mm == pytest.approx(210.0, abs=0.1)
    # As seen straight on by a camera with 10 px a millimetre, one metre away.
    lens = Intrinsics(2100, 2970, 10_000.0, 10_000.0, 1049.5, 1484.5)
    found = DETECTOR.detect(picture, lens)
    assert found is not None
    assert len(found.corners) == len(BOARD.corners)
    rows = found.pixels.reshape(BOARD.rows - 1, BOARD.columns - 1, 2)
    squares = np.diff(rows[:, :, 0], axis=1) / dots_per_mm
    np.testing.assert_allclose(squares, 38.0, atol=0.05)


def test_a_page_that_is_too_small_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a board of 190 x 266 mm does not fit"):
        draw_page(BOARD, tmp_path / "board.pdf", (0.148, 0.210))
    with pytest.raises(ConfigError, match=r"drawn as \.png or \.pdf"):
        draw_page(BOARD, tmp_path / "board.svg")
    with pytest.raises(ConfigError, match="cannot be written"):
        draw_page(BOARD, tmp_path / "nowhere" / "board.png")
