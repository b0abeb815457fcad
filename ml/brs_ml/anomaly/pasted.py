"""Real video with things put into it: `ROOT/background.avi`, `ROOT/things/a_cat.png`, ...

For each thing two clips of the video: one in whose middle third it stands somewhere, one without.
What a thing is called is its file's name. Place, size and part of the video are drawn by seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from brs_ml.anomaly.datasets import timed_video
from brs_ml.anomaly.errors import AnomalyError

CLIP_S = 24.0
SIDES = (0.2, 0.32)  # of a thing, share of the frame's height
_EDGE = 0.06  # share of a thing's side over which it fades into the video


@dataclass(frozen=True)
class PastedClip:
    """A part of the video, with a thing or without."""

    name: str
    text: str  # what is shown; empty: nothing
    truth: np.ndarray  # (n,) bool, frames that show it
    frames: np.ndarray  # (n, h, w, 3) uint8 RGB


def texts_of(root: Path) -> list[str]:
    """Names of the things.

    Raises:
        AnomalyError: there are none.
    """
    texts = [path.stem.replace("_", " ") for path in _things(root)]
    if not texts:
        raise AnomalyError("no pictures", where=str(root / "things"), remedy="put a_cat.png there")
    return texts


def rate_of(root: Path) -> float:
    """Frames a second of the video. Raises AnomalyError like `pasted_clips`."""
    return _measured(_background(root))[1]


def pasted_clips(root: Path, seed: int = 0) -> Iterator[PastedClip]:
    """All clips, each the same for the same seed.

    Raises:
        AnomalyError: no video or things, a file is damaged, or the video is shorter than a clip.
    """
    texts, video = texts_of(root), _background(root)
    length, rate_hz = _measured(video)
    count = round(CLIP_S * rate_hz)
    if length < count:
        raise AnomalyError(
            f"lasts {length / rate_hz:.0f} s, a clip {CLIP_S:.0f} s",
            where=str(video),
            remedy="take a longer video",
        )
    for number, (text, path) in enumerate(zip(texts, _things(root), strict=True)):
        thing = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if thing is None:
            raise AnomalyError("is no picture", where=str(path), remedy="give a PNG or JPEG")
        random = np.random.default_rng([seed, number])
        for shown in (text, ""):
            begin = int(random.integers(0, length - count + 1))
            part = itertools.islice(timed_video(video), begin, begin + count)
            clip = np.stack([frame for frame, _ in part if frame is not None])
            truth = np.zeros(len(clip), bool)
            if shown:
                truth[count // 3 : 2 * count // 3] = True
                clip[truth] = _with(thing[..., ::-1], clip[truth], random)
            yield PastedClip(f"{text}/{'shown' if shown else 'not shown'}", shown, truth, clip)


def _background(root: Path) -> Path:
    videos = sorted(root.glob("background.*"))
    if len(videos) != 1:
        raise AnomalyError("needs one video", where=str(root / "background.*"), remedy="add it")
    return videos[0]


def _measured(video: Path) -> tuple[int, float]:
    """Frames of a video, and how many a second."""
    times_s = [time_s for _, time_s in timed_video(video)]
    return len(times_s), (len(times_s) - 1) / max(times_s[-1] - times_s[0], 1e-9)


def _with(thing: np.ndarray, frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Frames (n, h, w, 3) in which the middle of a picture stands at one place."""
    height, width = frames.shape[1:3]
    side = round(random.uniform(*SIDES) * height)
    top = int(random.integers(0, height - side + 1))
    left = int(random.integers(0, width - side + 1))
    whole = min(thing.shape[:2])
    y, x = ((length - whole) // 2 for length in thing.shape[:2])
    small = cv2.resize(
        thing[y : y + whole, x : x + whole], (side, side), interpolation=cv2.INTER_AREA
    )
    edge = np.minimum(np.arange(side), np.arange(side)[::-1]) + 1.0
    fade = np.minimum(edge / max(_EDGE * side, 1.0), 1.0)
    share = (fade[:, None] * fade[None, :])[..., None]
    out = frames.copy()
    place = out[:, top : top + side, left : left + side]
    place[:] = np.rint(place * (1.0 - share) + small * share).astype(np.uint8)
    return out


def _things(root: Path) -> list[Path]:
    return sorted(p for p in (root / "things").glob("*") if p.suffix in (".png", ".jpg", ".jpeg"))
