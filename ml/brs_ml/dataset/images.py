"""Pictures on disk: one JPEG a step, so that any of them is one read and one decoding away."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from brs_ml.dataset.errors import DatasetError

_SEGMENT = struct.Struct(">HHBHH")  # marker, length; of a frame's head also depth, height, width


def _cv2() -> Any:
    try:
        import cv2
    except ImportError:
        raise DatasetError(
            "pictures need OpenCV, which is not installed", remedy="pip install brs[perception]"
        ) from None
    return cv2


def pack_image(rgb: np.ndarray, quality: int) -> bytes:
    """(h, w, 3) uint8 RGB as JPEG.

    Args:
        rgb: the picture.
        quality: 1 to 100.
    """
    cv2 = _cv2()
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not done:
        raise ValueError(f"no JPEG can be made of {rgb.shape} {rgb.dtype}")
    return bytes(data)


def unpack_image(data: bytes, shape: Sequence[int] | None = None) -> np.ndarray:
    """(h, w, 3) uint8 RGB.

    Args:
        data: a picture; a JPEG if it must have a shape.
        shape: (h, w, 3) that it must have, looked at before anything is unpacked.

    Raises:
        DatasetError: the bytes are no picture, or not of that shape.
    """
    cv2, image = _cv2(), None
    if data and (shape is None or jpeg_size(data) == tuple(shape[:2])):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise DatasetError("a picture is damaged", remedy="copy or build the data set again")
    return np.asarray(image)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG picture by its head; None if it is none."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length, _, height, width = _SEGMENT.unpack_from(data, at)
        if 0xC0 <= marker & 0xFF <= 0xC2:  # the frame's head of what any decoder reads
            return height, width
        at += 2 + length
    return None
