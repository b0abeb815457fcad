"""Windows of frames, and the pictures made of them (AnyAnomaly, section 3.3; WinCLIP)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from brs_ml.anomaly.config import FRAME_PX


def scaled(picture: np.ndarray, side_px: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 as a square of that side, bilinear."""
    if picture.shape[:2] == (side_px, side_px):
        return picture
    return cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_LINEAR)


def window_corners(size_px: int, half_steps: bool = False) -> np.ndarray:
    """(rows, columns, 2) top and left of the windows of a frame of 240 x 240, row by row."""
    step = max(size_px // 2, 1) if half_steps else size_px
    starts = np.arange(0, FRAME_PX - size_px + 1, step)
    return np.stack(np.meshgrid(starts, starts, indexing="ij"), axis=-1)


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
