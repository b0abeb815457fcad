"""An encoder and judges whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from brs_ml.anomaly import MonitorConfig, SegmentScorer, watch_texts
from brs_ml.anomaly.judge import Question, Verdict

COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}


class ColourEncoder:
    """Pictures are their mean colours, texts the colours they name."""

    name = "colours"
    side_px = 16

    def encode_images(self, pictures: np.ndarray) -> np.ndarray:
        means = pictures.astype(np.float64).mean(axis=(1, 2))
        return _unit(means - means.mean(axis=1, keepdims=True) * 0.5 + 1e-3)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        named = [[np.array(COLOURS[c]) for c in COLOURS if c in text] for text in texts]
        return _unit(
            np.array([np.sum(found, axis=0) + 1e-3 if found else np.ones(3) for found in named])
        )

    def knows(self, text: str) -> bool:
        return any(colour in text for colour in COLOURS)


@dataclass
class RednessJudge:
    """Score: the share of the picture's light that the named colour has."""

    asked: list[Question] = field(default_factory=list)
    silent_about: str = ""  # a part
    name: str = "redness"

    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        self.asked += questions
        return [self._rate(question) for question in questions]

    def _rate(self, question: Question) -> Verdict:
        if question.part == self.silent_about:
            return Verdict(None, "no idea")
        light = question.picture.reshape(-1, 3).astype(float).mean(axis=0)
        colour = np.array(next(COLOURS[c] for c in COLOURS if c in question.keyword))
        return Verdict(float(light @ colour / (light.sum() + 1e-9)), question.part)


def scorer(texts: Sequence[str], config: MonitorConfig | None = None) -> SegmentScorer:
    """Of the toys."""
    config = config or MonitorConfig()
    encoder = ColourEncoder()
    return SegmentScorer(encoder, RednessJudge(), watch_texts(texts, encoder, config), config)


def noisy_frames(count: int, seed: int, side: int = 60) -> list[np.ndarray]:
    """Frames (side, side, 3) of coarse random patches."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return list(coarse.repeat(side // 6, axis=1).repeat(side // 6, axis=2))


def _unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
