"""Pixels to rays and points to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.cameras.frame import Intrinsics
from brs_hardware.errors import ConfigError


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
    cv2 = _opencv()
    flat = pixels.reshape(-1, 1, 2)
    straight = cv2.undistortPoints(flat, intrinsics.matrix, np.array(intrinsics.distortion))
    return np.asarray(straight.reshape(pixels.shape).astype(np.float32))


def project(points: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """(n, 2) float column and row of points (n, 3) [m] in the optical frame; z must not be 0.

    Raises like `rays`.
    """
    flat = points[:, :2] / points[:, 2:]
    if any(intrinsics.distortion):
        unit = np.column_stack([flat, np.ones(len(flat))])
        bent, _ = _opencv().projectPoints(
            unit, np.zeros(3), np.zeros(3), np.eye(3), np.array(intrinsics.distortion)
        )
        flat = bent.reshape(-1, 2)
    return np.asarray(flat * [intrinsics.fx, intrinsics.fy] + [intrinsics.cx, intrinsics.cy])


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise ConfigError(
            "distorted pictures need OpenCV, which is not installed",
            remedy="pip install brs[perception]",
        ) from None
    return cv2
