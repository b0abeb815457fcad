"""The same as the library, one window and one question at a time, written from the paper."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

SIZES = (48, 80, 120)


def key_frames(similarities: list[float]) -> list[int]:
    best = 0
    for i, value in enumerate(similarities):
        if value > similarities[best]:
            best = i
    quarter = len(similarities) // 4
    return [i for i in range(len(similarities)) if i % quarter == best % quarter]


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)


def windows(frame: np.ndarray, size: int) -> list[np.ndarray]:
    frame = resized(frame, 240)
    found = []
    for row in range(240 // size):
        for column in range(240 // size):
            top, left = row * size, column * size
            found.append(frame[top : top + size, left : left + size])
    return found


def heat(encoder: Any, frame: np.ndarray, texts: np.ndarray, which: int) -> np.ndarray:
    total = np.zeros((224, 224))
    for size in SIZES:
        values = []
        for window in windows(frame, size):
            found = encoder.encode_images(resized(window, encoder.side_px)[None])[0]
            odds = [np.exp(float(found @ text)) for text in texts]
            values.append(odds[which] / sum(odds) if len(texts) > 1 else float(found @ texts[0]))
        side = 240 // size
        small = np.array(values, np.float32).reshape(side, side)
        total += cv2.resize(small, (224, 224), interpolation=cv2.INTER_LINEAR) / len(SIZES)
    return (total - total.min()) / (total.max() - total.min())


def position(encoder: Any, frame: np.ndarray, texts: np.ndarray, which: int) -> np.ndarray:
    weighed = resized(frame, 224) * heat(encoder, frame, texts, which)[:, :, None]
    return np.rint(weighed)


def grid(cells: list[np.ndarray]) -> np.ndarray:
    return np.vstack([np.hstack(cells[:2]), np.hstack(cells[2:])])


def temporal(encoder: Any, frames: list[np.ndarray], text: np.ndarray, rule: str) -> np.ndarray:
    best, chosen = -np.inf, None
    for size in SIZES:
        for cells in zip(*(windows(frame, size) for frame in frames), strict=True):
            if rule == "whole":
                small = [resized(cell, encoder.side_px // 2) for cell in cells]
                fit = float(encoder.encode_images(grid(small)[None])[0] @ text)
            else:
                small = [resized(cell, encoder.side_px) for cell in cells]
                fit = max(float(encoder.encode_images(cell[None])[0] @ text) for cell in small)
            if fit > best:
                best, chosen = fit, grid([resized(cell, 112) for cell in cells])
    assert chosen is not None
    return chosen


def smoothed(scores: list[float | None], sigma: float, causal: bool) -> list[float | None]:
    found: list[float | None] = []
    for t in range(len(scores)):
        total = weight = 0.0
        for i, score in enumerate(scores):
            if score is None or (causal and i > t) or abs(t - i) > np.ceil(4 * sigma):
                continue
            share = float(np.exp(-((t - i) ** 2) / (2 * sigma**2)))
            total, weight = total + share * score, weight + share
        found.append(total / weight if weight > 1e-12 else None)
    return found


def auroc(scores: list[float], truth: list[bool]) -> float:
    wins, pairs = 0.0, 0
    for high, positive in zip(scores, truth, strict=True):
        for low, other in zip(scores, truth, strict=True):
            if positive and not other:
                pairs += 1
                wins += 1.0 if high > low else 0.5 if high == low else 0.0
    return wins / pairs
