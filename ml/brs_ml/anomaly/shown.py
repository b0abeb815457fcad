"""What people are shown of a segment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from brs_ml.anomaly.frames import Segment
from brs_ml.anomaly.segment import SegmentScore

_STRONGEST = 0.6  # share of colour where a picture is hottest


@dataclass(frozen=True)
class Shown:
    """Pictures (h, w, 3) uint8 RGB of the text with the highest score."""

    key_frame: np.ndarray
    heat_map: np.ndarray | None  # the same with where the text may be; none: nobody was asked


def show(
    segment: Segment, scores: SegmentScore, hide: Callable[[np.ndarray], np.ndarray]
) -> Shown:
    """Key frame and heat map of a segment; its last frame where no text has a score.

    Args:
        segment: that was scored.
        scores: of it.
        hide: what nobody shall see, such as faces.
    """
    worst = scores.worst()
    number = -1 if worst is None or worst.key_frame is None else worst.key_frame
    key_frame = hide(segment.frames[number])
    if worst is None or worst.position is None:
        return Shown(key_frame, None)
    return Shown(key_frame, heated(key_frame, worst.position.heat))


def heated(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture with colours over it.

    Args:
        picture: (h, w, 3) uint8 RGB.
        heat: (any height, any width) float32, 0 to 1; 0 leaves the picture as it is.
    """
    size = picture.shape[1::-1]
    heat = np.clip(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    colours = cv2.applyColorMap(np.rint(heat * 255.0).astype(np.uint8), cv2.COLORMAP_TURBO)
    share = (_STRONGEST * heat)[:, :, None]
    mixed = picture * (1.0 - share) + colours[:, :, ::-1] * share
    return np.rint(mixed).astype(np.uint8)
