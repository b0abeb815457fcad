"""Pictures on disk: one JPEG a step, so that any of them is one read and one decoding away."""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_ml.dataset.errors import DatasetError


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


def unpack_image(data: bytes) -> np.ndarray:
    """(h, w, 3) uint8 RGB. Raises DatasetError if the bytes are no picture."""
    cv2 = _cv2()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if image is None:
        raise DatasetError("a picture is damaged", remedy="copy or build the data set again")
    return image
