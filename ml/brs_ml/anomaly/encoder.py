"""What the monitor asks of an image-text encoder, and of texts for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

# Ways to say what a picture shows, as zero-shot classifiers ask for it (WinCLIP, CLIP).
TEMPLATES = (
    "a photo of {}.",
    "a photo of the {}.",
    "a cropped photo of {}.",
    "a cropped photo of the {}.",
    "a close-up photo of {}.",
    "a close-up photo of the {}.",
    "a bright photo of {}.",
    "a bright photo of the {}.",
    "a dark photo of {}.",
    "a dark photo of the {}.",
    "a blurry photo of {}.",
    "a blurry photo of the {}.",
    "a low resolution photo of {}.",
    "a low resolution photo of the {}.",
    "a photo of a small {}.",
    "a photo of a large {}.",
    "a photo of {} in a room.",
    "there is {} in the scene.",
    "this is {} in the scene.",
    "security camera footage of {}.",
)


class ImageTextEncoder(Protocol):
    """Maps pictures and texts to the same space, where like ones are near."""

    @property
    def name(self) -> str:
        """What runs, for people."""

    @property
    def side_px(self) -> int:
        """Width and height of the pictures it takes; even."""

    def encode_images(self, pictures: np.ndarray) -> np.ndarray:
        """(n, d) float32 of unit length from pictures (n, side_px, side_px, 3) uint8 RGB.

        A picture's result does not depend on the others by more than rounding.
        """

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 of unit length."""

    def knows(self, text: str) -> bool:
        """Whether it has any idea what the text means."""


def encode_keyword(encoder: ImageTextEncoder, keyword: str) -> np.ndarray:
    """(d,) unit length: the mean over the templates."""
    mean = encoder.encode_texts([template.format(keyword) for template in TEMPLATES]).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)
