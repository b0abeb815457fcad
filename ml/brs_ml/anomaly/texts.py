"""The texts that are watched for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    texts: Sequence[str],
    encoder: ImageTextEncoder,
    config: MonitorConfig,
    before: WatchedTexts | None = None,
) -> WatchedTexts:
    """Texts to watch for.

    Args:
        texts: in the user's words. Spaces are tidied up and repetitions dropped.
        encoder: whose embeddings are kept.
        config: how many and how long they may be.
        before: of the same encoder; its embeddings are not made again.

    Raises:
        AnomalyError: none, too many, an empty one, or one that is too long or no text.
    """
    keywords = tidy_texts(texts, config)
    kept = {} if before is None else {word: i for i, word in enumerate(before.keywords)}

    def row(keyword: str) -> tuple[bool, np.ndarray, np.ndarray]:
        if before is not None and keyword in kept:
            i = kept[keyword]
            return before.known[i], before.plain[i], before.templated[i]
        plain = encoder.encode_texts([keyword])[0]
        return encoder.knows(keyword), plain, encode_keyword(encoder, keyword)

    known, plain, templated = zip(*map(row, keywords), strict=True)
    return WatchedTexts(keywords, known, np.stack(plain), np.stack(templated))


def tidy_texts(texts: Sequence[str], config: MonitorConfig) -> tuple[str, ...]:
    """Texts as they are watched for; needs no encoder. Raises like `watch_texts`."""
    keywords = tuple(dict.fromkeys(_tidy(text, config) for text in texts))
    if not keywords:
        raise AnomalyError("nothing to watch for", remedy="give at least one text")
    if len(keywords) > config.most_texts:
        raise AnomalyError(
            f"{len(keywords)} texts are more than {config.most_texts}",
            remedy="give fewer, or raise most_texts",
        )
    return keywords


def save_texts(path: Path, texts: Sequence[str]) -> None:
    """Write texts; a crash leaves the old file or the new one.

    Raises:
        AnomalyError: no room or no permission.
    """
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(list(texts), ensure_ascii=False, indent=1) + "\n")
        partial.replace(path)
    except OSError as error:
        raise AnomalyError(
            f"the texts cannot be stored: {error.strerror}", where=str(path), remedy="make room"
        ) from None


def load_texts(path: Path, config: MonitorConfig) -> tuple[str, ...]:
    """Texts of `save_texts`; none where there is no such file.

    Raises:
        AnomalyError: the file is damaged, or its texts are none.
    """
    try:
        texts = json.loads(path.read_text())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _damaged(path, "no list of texts")
    return tidy_texts(texts, config)


def _damaged(path: Path, why: str) -> AnomalyError:
    return AnomalyError(f"is damaged: {why}", where=str(path), remedy="delete it")


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
