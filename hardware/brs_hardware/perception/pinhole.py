"""Directions in which the pixels of a camera look."""

from __future__ import annotations

import numpy as np

from brs_hardware.camera_calibration.board import opencv
from brs_hardware.cameras.frame import Intrinsics


def rays(intrinsics: Intrinsics) -> np.ndarray:
    """(height, width, 2) float32: x / z and y / z of each pixel in the optical frame.

    Raises:
        ConfigError: the lens distorts, and OpenCV is not installed.
    """
    columns, rows = np.meshgrid(np.arange(intrinsics.width), np.arange(intrinsics.height))
    pixels = np.stack([columns, rows], axis=-1).astype(float)
    if not any(intrinsics.distortion):
        focal = np.array([intrinsics.fx, intrinsics.fy])
        plain = (pixels - [intrinsics.cx, intrinsics.cy]) / focal
        return np.asarray(plain.astype(np.float32))
    flat = pixels.reshape(-1, 1, 2)
    straight = opencv().undistortPoints(flat, intrinsics.matrix, np.array(intrinsics.distortion))
    return np.asarray(straight.reshape(pixels.shape).astype(np.float32))
