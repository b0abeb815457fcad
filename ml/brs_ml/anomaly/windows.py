"""Windows of frames, and the pictures made of them (AnyAnomaly, section 3.3; WinCLIP)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from brs_ml.anomaly.config import FRAME_PX


def scaled(picture: np.ndarray, side_px: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 as a square of that side, bilinear."""
    if picture.shape[:2] == (side_px, side_px):
        return picture
    return cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_LINEAR)


def shrunk(picture: np.ndarray, largest_px: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 whose width and height are at most that, in its proportions."""
    scale = largest_px / max(picture.shape[:2])
    if scale >= 1.0:
        return picture
    size = tuple(max(round(side * scale), 1) for side in picture.shape[1::-1])
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


@lru_cache(maxsize=64)
def window_corners(size_px: int, half_steps: bool = False) -> np.ndarray:
    """(rows, columns, 2) top and left of the windows of a frame of 240 x 240, row by row.

    Read-only, since everyone gets the same.
    """
    step = max(size_px // 2, 1) if half_steps else size_px
    starts = np.arange(0, FRAME_PX - size_px + 1, step)
    corners = np.stack(np.meshgrid(starts, starts, indexing="ij"), axis=-1)
    corners.flags.writeable = False
    return corners


def cut_all(
    frame: np.ndarray, sizes_px: Sequence[int], half_steps: bool, side_px: int
) -> np.ndarray:
    """Windows of all sizes, scaled, the first size first.

    Args:
        frame: (240, 240, 3) uint8.
        sizes_px: of windows in the frame.
        half_steps: windows overlap by half.
        side_px: that they are scaled to.

    Returns:
        (windows, side_px, side_px, 3) uint8, those of `cut` up to rounding.
    """
    return np.concatenate(
        [
            _tiles(frame, size_px, side_px)
            if not half_steps and side_px <= size_px and FRAME_PX % size_px == 0
            else cut(frame, window_corners(size_px, half_steps), size_px, side_px)
            for size_px in sizes_px
        ]
    )


def _tiles(frame: np.ndarray, size_px: int, side_px: int) -> np.ndarray:
    """Windows side by side that are not enlarged: scaled as one.

    No pixel of a window is then mixed with those of the next one.
    """
    count = FRAME_PX // size_px
    whole = scaled(frame, count * side_px).reshape(count, side_px, count, side_px, 3)
    return whole.swapaxes(1, 2).reshape(-1, side_px, side_px, 3)


def cut(frame: np.ndarray, corners: np.ndarray, size_px: int, side_px: int) -> np.ndarray:
    """Windows of a frame, scaled.

    Args:
        frame: (240, 240, 3) uint8.
        corners: (rows, columns, 2).
        size_px: of a window in the frame.
        side_px: that it is scaled to.

    Returns:
        (rows * columns, side_px, side_px, 3) uint8.
    """
    return np.stack(
        [
            scaled(frame[top : top + size_px, left : left + size_px], side_px)
            for top, left in corners.reshape(-1, 2)
        ]
    )


def two_by_two(cells: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Four pictures (..., s, s, 3) as one (..., 2 s, 2 s, 3): read row by row, first first."""
    first, second, third, fourth = cells
    upper = np.concatenate([first, second], axis=-2)
    lower = np.concatenate([third, fourth], axis=-2)
    return np.concatenate([upper, lower], axis=-3)
