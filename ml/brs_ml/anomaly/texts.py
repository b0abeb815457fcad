"""The texts that are watched for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brs_ml.anomaly.config import MonitorConfig
from brs_ml.anomaly.encoder import ImageTextEncoder, encode_keyword
from brs_ml.anomaly.errors import AnomalyError


@dataclass(frozen=True)
class WatchedTexts:
    """Texts with their embeddings, which are made once."""

    keywords: tuple[str, ...]
    known: tuple[bool, ...]  # (k,) whether the encoder can tell what they mean
    plain: np.ndarray  # (k, d) unit; of the texts as they are, for key frames
    templated: np.ndarray  # (k, d) unit; means over templates, for contexts


def watch_texts(
    texts: Sequence[str], encoder: ImageTextEncoder, config: MonitorConfig
) -> WatchedTexts:
    """Texts to watch for.

    Args:
        texts: in the user's words. Spaces are tidied up and repetitions dropped.
        encoder: whose embeddings are kept.
        config: how many and how long they may be.

    Raises:
        AnomalyError: none, too many, an empty one, or one that is too long or no text.
    """
    keywords = tuple(dict.fromkeys(_tidy(text, config) for text in texts))
    if not keywords:
        raise AnomalyError("nothing to watch for", remedy="give at least one text")
    if len(keywords) > config.most_texts:
        raise AnomalyError(
            f"{len(keywords)} texts are more than {config.most_texts}",
            remedy="give fewer, or raise most_texts",
        )
    return WatchedTexts(
        keywords,
        tuple(encoder.knows(keyword) for keyword in keywords),
        encoder.encode_texts(keywords),
        np.stack([encode_keyword(encoder, keyword) for keyword in keywords]),
    )


def _tidy(text: str, config: MonitorConfig) -> str:
    words = " ".join(text.split())
    if not any(letter.isalnum() for letter in words):
        raise AnomalyError(f"'{words}' is no text", remedy="say what should not happen")
    if len(words) > config.most_letters or not words.isprintable():
        raise AnomalyError(
            f"a text of {len(words)} letters: '{words[:20]!r}'",
            remedy=f"at most {config.most_letters}, none of them control characters",
        )
    return words
