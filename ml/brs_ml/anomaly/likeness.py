"""A judge without a vision-language model: does the text fit better than other things would?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from brs_ml.anomaly.encoder import ImageTextEncoder, encode_keyword
from brs_ml.anomaly.judge import Question, Verdict
from brs_ml.anomaly.windows import scaled

# Things of every day, which a text is measured against.
COMMON = (
    "a person",
    "a bicycle",
    "a car",
    "a bus",
    "a train",
    "a truck",
    "a boat",
    "a traffic light",
    "a bench",
    "a bird",
    "a cat",
    "a dog",
    "a horse",
    "a sheep",
    "a cow",
    "a backpack",
    "an umbrella",
    "a handbag",
    "a suitcase",
    "a ball",
    "a bottle",
    "a cup",
    "a fork",
    "a knife",
    "a spoon",
    "a bowl",
    "a banana",
    "an apple",
    "a sandwich",
    "a pizza",
    "a cake",
    "a chair",
    "a couch",
    "a plant",
    "a bed",
    "a table",
    "a toilet",
    "a television",
    "a laptop",
    "a phone",
    "a microwave",
    "an oven",
    "a sink",
    "a refrigerator",
    "a book",
    "a clock",
    "a vase",
    "scissors",
    "a toy",
    "a lamp",
    "a street",
    "a lawn",
    "a wall",
    "a floor",
    "a door",
    "a window",
    "a shelf",
    "a curtain",
    "the sky",
    "an empty room",
)
DOUBTFUL = 2.0  # deviations above the common things at which it is as likely as not
STEEPNESS = 2.0  # of the score there, a deviation


class LikenessJudge:
    """See `Judge`: the score tells how far a text's likeness is above that of common things.

    Args:
        encoder: of pictures and texts.
    """

    def __init__(self, encoder: ImageTextEncoder) -> None:
        self.name = f"likeness by {encoder.name}"
        self._encoder = encoder
        self._common = np.stack([encode_keyword(encoder, text) for text in COMMON])
        self._texts: dict[str, np.ndarray] = {}

    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        """See `Judge`."""
        if not questions:
            return []
        side = self._encoder.side_px
        pictures = np.stack([scaled(question.picture, side) for question in questions])
        seen = self._encoder.encode_images(pictures)
        return [self._rate(q.keyword, vector) for q, vector in zip(questions, seen, strict=True)]

    def _rate(self, keyword: str, seen: np.ndarray) -> Verdict:
        if keyword not in self._texts:
            if len(self._texts) > 1000:  # texts come and go for as long as a node runs
                self._texts.clear()
            self._texts[keyword] = encode_keyword(self._encoder, keyword)
        common = self._common @ seen
        above = float(self._texts[keyword] @ seen - common.mean()) / max(float(common.std()), 1e-6)
        share = 1.0 / (1.0 + math.exp(-STEEPNESS * max(min(above - DOUBTFUL, 50.0), -50.0)))
        return Verdict(share, f"{above:.1f} deviations more like it than common things")
