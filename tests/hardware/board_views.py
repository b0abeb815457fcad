"""A board before a camera whose mount is known: exact pictures, and views with known noise."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware.camera_calibration.board import Board, project
from brs_hardware.camera_calibration.hand_eye import View
from brs_hardware.cameras.frame import Intrinsics

BOARD = Board()
LENS = Intrinsics(320, 240, 208.0, 207.0, 160.5, 118.5, (0.05, -0.02, 0.001, -0.001, 0.0))
DOTS_PER_SQUARE = 100
RAYS = 3  # a pixel, in each direction
GREY = 150  # of what is around the board


def pose(turn: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(4, 4) of a rotation vector [rad] and a position [m]."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), place
    return matrix


def random_pose(random: np.random.Generator, reach_m: float) -> np.ndarray:
    """(4, 4), turned anyhow."""
    return pose(Rotation.random(rng=random).as_rotvec(), random.uniform(-reach_m, reach_m, 3))


def shaken(random: np.random.Generator, metres: float, radians: float) -> np.ndarray:
    """(4, 4) near identity; standard deviations of each of three numbers."""
    return pose(random.normal(0.0, radians, 3), random.normal(0.0, metres, 3))


def before_camera(
    random: np.random.Generator, tilt: float = 0.55, roll: float = 1.0
) -> np.ndarray:
    """(4, 4) of the board in the optical frame: in the picture, turned by up to so much [rad]."""
    optical_from_board = np.eye(4)
    angles = random.uniform(-1.0, 1.0, 3) * (roll, tilt, tilt)
    optical_from_board[:3, :3] = Rotation.from_euler("zyx", angles).as_matrix()
    middle = np.array([BOARD.columns, BOARD.rows, 0]) * BOARD.square_m / 2
    aim = [*random.uniform(-0.03, 0.03, 2), random.uniform(0.32, 0.5)]
    optical_from_board[:3, 3] = aim - optical_from_board[:3, :3] @ middle
    return optical_from_board


@functools.cache
def _rays(lens: Intrinsics) -> np.ndarray:
    """(n, 3) directions of RAYS x RAYS points of each pixel, row by row."""
    across = (np.arange(lens.width * RAYS) + 0.5) / RAYS - 0.5
    down = (np.arange(lens.height * RAYS) + 0.5) / RAYS - 0.5
    pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 1, 2)
    rays = cv2.undistortPoints(pixels, lens.matrix, np.array(lens.distortion)).reshape(-1, 2)
    return np.column_stack([rays, np.ones(len(rays))])


def draw(
    optical_from_board: np.ndarray, lens: Intrinsics = LENS, board: Board = BOARD
) -> np.ndarray:
    """(H, W, 3) uint8: each pixel is the mean of rays traced through the lens to the board."""
    size = (board.columns * DOTS_PER_SQUARE, board.rows * DOTS_PER_SQUARE)
    print_ = board.make().generateImage(size)
    normal, origin = optical_from_board[:3, 2], optical_from_board[:3, 3]
    rays = _rays(lens)
    points = rays * ((normal @ origin) / (rays @ normal))[:, None]
    on_board = (points - origin) @ optical_from_board[:3, :2] / board.square_m
    dots = (on_board * DOTS_PER_SQUARE - 0.5).astype(np.float32)
    dots = dots.reshape(lens.height * RAYS, lens.width * RAYS, 2)
    large = cv2.remap(print_, dots, None, cv2.INTER_LINEAR, borderValue=(GREY,))
    small = cv2.resize(large, (lens.width, lens.height), interpolation=cv2.INTER_AREA)
    return np.dstack([small] * 3)


def noisy(random: np.random.Generator, picture: np.ndarray, grey: float = 3.0) -> np.ndarray:
    """The picture with sensor noise of this standard deviation."""
    return np.clip(picture + random.normal(0.0, grey, picture.shape), 0, 255).astype(np.uint8)


def make_views(
    random: np.random.Generator,
    count: int,
    mount: np.ndarray,
    *,
    pixel_noise: float = 0.15,
    link_noise: tuple[float, float] = (0.0003, 0.0003),
    lens: Intrinsics = LENS,
    tilt: float = 0.55,
    roll: float = 1.0,
) -> list[View]:
    """Views without pictures; noise of pixels [px] and of link poses [m, rad]."""
    reference_from_board = random_pose(random, 1.0)
    views = []
    for _ in range(count):
        optical_from_board = before_camera(random, tilt, roll)
        link = reference_from_board @ np.linalg.inv(optical_from_board) @ np.linalg.inv(mount)
        points = BOARD.corners
        seen = project(points @ optical_from_board[:3, :3].T + optical_from_board[:3, 3], lens)
        views.append(
            View(
                reference_from_link=link @ shaken(random, *link_noise),
                points=points,
                pixels=seen + random.normal(0.0, pixel_noise, seen.shape),
                optical_from_board=optical_from_board @ shaken(random, 0.001, 0.004),
            )
        )
    return views


def apart(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Between two poses (4, 4): [mm] and [degrees]."""
    change = np.linalg.inv(first) @ second
    turn = Rotation.from_matrix(change[:3, :3]).magnitude()
    return 1e3 * float(np.linalg.norm(change[:3, 3])), float(np.degrees(turn))
