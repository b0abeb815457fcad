"""Position and temporal context: where to look, and what happens there (AnyAnomaly 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from brs_ml.anomaly.config import CELL_PX, FRAME_PX, PICTURE_PX, SegmentConfig
from brs_ml.anomaly.encoder import ImageTextEncoder
from brs_ml.anomaly.windows import cut, cut_all, scaled, two_by_two, window_corners


@dataclass(frozen=True)
class PositionContext:
    """Where in a frame a text may be."""

    heat: np.ndarray  # (224, 224) float32, 0 to 1
    picture: np.ndarray  # (224, 224, 3) uint8, the frame weighed by it


@dataclass(frozen=True)
class TemporalContext:
    """One window of the four key frames."""

    picture: np.ndarray  # (224, 224, 3) uint8, two by two
    corner: tuple[int, int]  # top, left of the window in a frame of 240 x 240 [px]
    size_px: int


@dataclass
class Contexts:
    """Contexts of one segment's frames, for any number of texts.

    Windows of a frame and grids of a choice of frames are encoded once, in one batch.

    Args:
        encoder: of windows and grids.
        config: how.
        frames: of the segment, (h, w, 3) uint8 each.
    """

    encoder: ImageTextEncoder
    config: SegmentConfig
    frames: Sequence[np.ndarray]
    _encoded: dict[object, np.ndarray] = field(default_factory=dict)
    _cells: dict[int, np.ndarray] = field(default_factory=dict)
    _frames: dict[int, np.ndarray] = field(default_factory=dict)  # scaled to 240 x 240

    def position(self, frame: int, texts: np.ndarray, which: int) -> PositionContext:
        """Position context of a frame.

        Args:
            frame: its number.
            texts: (k, d) unit embeddings of all keywords (means over templates).
            which: the keyword asked for.
        """
        likeness = self._windows(frame) @ texts.T  # (windows, k)
        if self.config.against_others and len(texts) > 1:
            # As AnyAnomaly has it, without a logit scale.
            raised = np.exp(likeness - likeness.max(axis=1, keepdims=True))
            likeness = raised / raised.sum(axis=1, keepdims=True)
        corners = [window_corners(px, self.config.half_steps) for px in self.config.windows_px]
        heat = _mean_of_maps(likeness[:, which], corners)
        weighed = scaled(self.frames[frame], PICTURE_PX) * heat[:, :, None]
        return PositionContext(heat, np.rint(weighed).astype(np.uint8))

    def temporal(self, key_frames: Sequence[int], text: np.ndarray) -> TemporalContext:
        """Temporal context of four frames.

        Args:
            key_frames: their numbers, in the order of time.
            text: (d,) unit embedding of the keyword.
        """
        if self.config.grid == "whole":  # the paper: the composed picture is compared
            fit = self._grids(tuple(key_frames)) @ text
        else:  # its code: the best of the four windows counts
            fit = np.max([self._windows(frame) @ text for frame in key_frames], axis=0)
        return self._grid(key_frames, int(np.argmax(fit)))

    def whole(self, key_frames: Sequence[int]) -> np.ndarray:
        """(d,) embedding of the grid of four whole frames."""
        key = ("whole", *key_frames)
        if key not in self._encoded:
            side = self.encoder.side_px // 2
            cells = [scaled(self.frames[i], side) for i in key_frames]
            self._encoded[key] = self.encoder.encode_images(two_by_two(cells)[None])
        return self._encoded[key][0]

    def _windows(self, frame: int) -> np.ndarray:
        if frame not in self._encoded:
            self._encoded[frame] = self.encoder.encode_images(
                self._cut(frame, self.encoder.side_px)
            )
        return self._encoded[frame]

    def _grids(self, key_frames: tuple[int, ...]) -> np.ndarray:
        if key_frames not in self._encoded:
            for i in key_frames:
                if i not in self._cells:
                    self._cells[i] = self._cut(i, self.encoder.side_px // 2)
            grids = two_by_two([self._cells[i] for i in key_frames])
            self._encoded[key_frames] = self.encoder.encode_images(grids)
        return self._encoded[key_frames]

    def _cut(self, frame: int, side_px: int) -> np.ndarray:
        """(windows, side_px, side_px, 3) uint8 of all sizes, the first size first."""
        config = self.config
        return cut_all(self._scaled(frame), config.windows_px, config.half_steps, side_px)

    def _scaled(self, frame: int) -> np.ndarray:
        if frame not in self._frames:
            self._frames[frame] = scaled(self.frames[frame], FRAME_PX)
        return self._frames[frame]

    def _grid(self, key_frames: Sequence[int], number: int) -> TemporalContext:
        for size_px in self.config.windows_px:
            corners = window_corners(size_px, self.config.half_steps)
            places = corners.reshape(-1, 2)
            if number < len(places):
                here = places[number][None, None]
                cells = [cut(self._scaled(i), here, size_px, CELL_PX)[0] for i in key_frames]
                top, left = (int(value) for value in places[number])
                return TemporalContext(two_by_two(cells), (top, left), size_px)
            number -= len(places)
        raise IndexError(number)


def _mean_of_maps(likeness: np.ndarray, corners: Sequence[np.ndarray]) -> np.ndarray:
    """(224, 224) float32 within 0 and 1 from the likeness (windows,) of windows of all sizes."""
    total, begin = np.zeros((PICTURE_PX, PICTURE_PX), np.float32), 0
    for grid in corners:
        rows, columns = grid.shape[:2]
        small = likeness[begin : begin + rows * columns].reshape(rows, columns)
        begin += rows * columns
        size = (PICTURE_PX, PICTURE_PX)
        total += cv2.resize(small.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    total /= len(corners)
    low, high = float(total.min()), float(total.max())
    if high - low < 1e-9:  # nowhere more than elsewhere: look everywhere
        return np.ones_like(total)
    return (total - low) / (high - low)
