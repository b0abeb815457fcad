"""The ChArUco board: what it is, how it is found in a picture, how it is printed."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brs_hardware.cameras.frame import Intrinsics
from brs_hardware.config import did_you_mean
from brs_hardware.errors import ConfigError

# Marker cells of 2 px are lost and of 4 px found; smaller pictures are enlarged first, which also
# makes their corners twice as exact.
_LEAST_HEIGHT_PX = 480
_LEAST_CORNERS = 6
_DOTS_PER_MM = 10  # whole dots a millimetre, so that no square is rounded
_MM_PER_INCH = 25.4


def opencv() -> Any:
    """The module cv2. Raises ConfigError where it is not installed."""
    try:
        return importlib.import_module("cv2")
    except ImportError:
        raise ConfigError(
            "cameras are calibrated with OpenCV, which is not installed",
            remedy="pip install brs[perception]",
        ) from None


@dataclass(frozen=True)
class Board:
    """A chessboard with a marker in each white square; lies in its x-y plane, x along columns.

    The default fills an A4 page. `square_m` is what a ruler says of the print.
    """

    columns: int = 5  # squares
    rows: int = 7
    square_m: float = 0.038
    marker_m: float = 0.028
    dictionary: str = "DICT_4X4_50"

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3:
            raise ValueError("'columns' and 'rows' must be at least 3")
        if not 0.0 < self.marker_m < self.square_m < math.inf:
            raise ValueError("'marker_m' must be positive and below 'square_m'")

    @property
    def corners(self) -> np.ndarray:
        """(n, 3) inner corners [m], row by row; the row is a corner's number."""
        columns, rows = np.meshgrid(np.arange(1, self.columns), np.arange(1, self.rows))
        flat = np.stack([columns.ravel(), rows.ravel(), np.zeros(columns.size)], axis=1)
        return flat * self.square_m

    def make(self) -> Any:
        """OpenCV's object for it. Raises ConfigError: no such dictionary, or too small a one."""
        aruco = opencv().aruco
        known = [name for name in dir(aruco) if name.startswith("DICT_")]
        if self.dictionary not in known:
            raise ConfigError(
                f"no dictionary of markers '{self.dictionary}'",
                remedy=did_you_mean(self.dictionary, known),
            )
        dictionary = aruco.getPredefinedDictionary(getattr(aruco, self.dictionary))
        needed, there = self.columns * self.rows // 2, len(dictionary.bytesList)
        if needed > there:
            raise ConfigError(
                f"{self.dictionary} has {there} markers, the board {needed}",
                remedy="take a larger dictionary",
            )
        size = (self.columns, self.rows)
        return aruco.CharucoBoard(size, self.square_m, self.marker_m, dictionary)


@dataclass(frozen=True)
class Detection:
    """The board as one picture shows it."""

    corners: np.ndarray  # (n,) int, numbers of the corners seen
    pixels: np.ndarray  # (n, 2) where [px], the middle of the first pixel is 0
    blur_px: float  # width of an edge; 2 is sharp
    board_pose: np.ndarray  # (4, 4) of the board in the optical frame
    rms_px: float  # of the corners against that pose


class BoardDetector:
    """Finds one board in pictures. Raises ConfigError like `Board.make`."""

    def __init__(self, board: Board) -> None:
        self.board, self._cv = board, opencv()
        self._detector = self._cv.aruco.CharucoDetector(board.make())

    def detect(self, color: np.ndarray, intrinsics: Intrinsics) -> Detection | None:
        """The board in a picture (H, W, 3) uint8 RGB; None if too little of it is seen."""
        cv = self._cv
        gray = cv.cvtColor(color, cv.COLOR_RGB2GRAY)
        scale = math.ceil(_LEAST_HEIGHT_PX / gray.shape[0])
        large = cv.resize(gray, None, fx=scale, fy=scale, interpolation=cv.INTER_CUBIC)
        found, numbers, _, _ = self._detector.detectBoard(large)
        if numbers is None or len(numbers) < _LEAST_CORNERS:
            return None
        pixels = (np.asarray(found, dtype=float).reshape(-1, 2) + 0.5) / scale - 0.5
        corners = np.asarray(numbers).ravel()
        points = self.board.corners[corners]
        if np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-6) < 2:
            return None  # one line of corners has no pose
        pose = self._pose(points, pixels, intrinsics)
        if pose is None:
            return None
        seen = project(points @ pose[:3, :3].T + pose[:3, 3], intrinsics)
        rms_px = float(np.sqrt(np.mean(np.sum((seen - pixels) ** 2, axis=1))))
        return Detection(corners, pixels, self._edge_width_px(gray, pixels), pose, rms_px)

    def _pose(
        self, points: np.ndarray, pixels: np.ndarray, intrinsics: Intrinsics
    ) -> np.ndarray | None:
        cv = self._cv
        lens = intrinsics.matrix, np.array(intrinsics.distortion)
        # A plane has two poses that look alike; the solver for planes gives the better one.
        found, turn, place = cv.solvePnP(points, pixels, *lens, flags=cv.SOLVEPNP_IPPE)
        if not found or not np.all(np.isfinite(place)):
            return None
        turn, place = cv.solvePnPRefineLM(points, pixels, *lens, turn, place)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = cv.Rodrigues(turn)[0], np.ravel(place)
        return pose if place[2] > 0.0 else None

    def _edge_width_px(self, gray: np.ndarray, pixels: np.ndarray) -> float:
        """How many pixels it takes from black to white on the board, in the worse direction."""
        limit = np.array(gray.shape[::-1]) - 1
        left, top = np.clip(np.floor(pixels.min(axis=0)).astype(int), 0, limit)
        right, bottom = np.clip(np.ceil(pixels.max(axis=0)).astype(int), 0, limit)
        patch = gray[top : bottom + 1, left : right + 1].astype(np.float32)
        contrast = float(np.percentile(patch, 95.0) - np.percentile(patch, 5.0))
        slopes = (self._cv.Sobel(patch, self._cv.CV_32F, *way) / 8.0 for way in ((1, 0), (0, 1)))
        return max(contrast / max(np.percentile(np.abs(slope), 98.0), 1e-3) for slope in slopes)


def project(points: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """(n, 2) pixels of points (n, 3) [m] in the optical frame, distortion included."""
    pixels, _ = opencv().projectPoints(
        np.ascontiguousarray(points, dtype=float)[:, None],
        np.zeros(3),
        np.zeros(3),
        intrinsics.matrix,
        np.array(intrinsics.distortion),
    )
    return np.asarray(pixels, dtype=float).reshape(-1, 2)


def draw_page(board: Board, path: Path, page_m: tuple[float, float] = (0.210, 0.297)) -> None:
    """Draw the board for printing at true size, with a ruler of 100 mm.

    Args:
        board: what to draw.
        path: .png or .pdf.
        page_m: width and height of the paper.

    Raises:
        ConfigError: it does not fit the page, another kind of file, or it cannot be written.
    """
    if path.suffix.lower() not in (".png", ".pdf"):
        raise ConfigError(
            "a board is drawn as .png or .pdf", where=str(path), remedy="name it board.pdf"
        )
    page = _page(board, page_m)
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError(
            "a page is written with Pillow, which is not installed", remedy="pip install brs[sim]"
        ) from None
    dots_per_inch = _DOTS_PER_MM * _MM_PER_INCH
    image = Image.fromarray(page)
    try:
        if path.suffix.lower() == ".pdf":
            image.save(path, resolution=dots_per_inch)
        else:
            image.save(path, dpi=(dots_per_inch, dots_per_inch))
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="choose another place",
        ) from None


def _page(board: Board, page_m: tuple[float, float]) -> np.ndarray:
    """(H, W) uint8 at `_DOTS_PER_MM`."""
    cv, dots_per_m = opencv(), 1000 * _DOTS_PER_MM
    width, height = (round(side * dots_per_m) for side in page_m)
    wide = round(board.columns * board.square_m * dots_per_m)
    high = round(board.rows * board.square_m * dots_per_m)
    edge = 5 * _DOTS_PER_MM  # what printers leave white
    if wide + 2 * edge > width or high + 5 * edge > height:
        raise ConfigError(
            f"a board of {wide / _DOTS_PER_MM:.0f} x {high / _DOTS_PER_MM:.0f} mm does not fit"
            f" a page of {1e3 * page_m[0]:.0f} x {1e3 * page_m[1]:.0f} mm",
            remedy="make 'square_m' smaller, or the page larger",
        )
    page = np.full((height, width), 255, np.uint8)
    left = (width - wide) // 2
    page[edge : edge + high, left : left + wide] = board.make().generateImage((wide, high))
    ruler_y, ruler = edge + high + edge, 100 * _DOTS_PER_MM
    page[ruler_y : ruler_y + 3, left : left + ruler] = 0
    for end in (left, left + ruler - 3):
        page[ruler_y - edge // 3 : ruler_y + edge // 3, end : end + 3] = 0
    text = (
        f"100 mm. {board.columns} x {board.rows} squares of {1e3 * board.square_m:g} mm,"
        f" markers {1e3 * board.marker_m:g} mm, {board.dictionary}. Print at 100 %."
    )
    font = cv.FONT_HERSHEY_SIMPLEX
    cv.putText(page, text, (left, ruler_y + 2 * edge), font, 1.0, 0, 2, cv.LINE_AA)
    return page
