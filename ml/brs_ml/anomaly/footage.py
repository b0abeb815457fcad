"""Footage as a camera would bring it: frames with stamps, at the monitor's rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from brs_ml.anomaly.datasets import frames_of, timed_video
from brs_ml.anomaly.errors import AnomalyError

# (h, w, 3) uint8 RGB, None where it could not be decoded; when it was taken [s].
Stamped = tuple[np.ndarray | None, float]
_EARLY_S = 1e-6  # by which a frame may come before it is due: stamps are rounded


def footage_of(source: Path, camera: str, pictures_hz: float) -> Iterator[Stamped]:
    """Frames of an episode, a folder of pictures or a video.

    Args:
        source: an episode's folder or .mcap file, a folder of pictures, or a video file.
        camera: whose pictures of an episode are wanted.
        pictures_hz: at which a folder's pictures were taken.

    Raises:
        EpisodeError: it is none of these, is damaged, or has no such camera.
    """
    if source.suffix == ".mcap" or (source.is_dir() and any(source.glob("*.mcap"))):
        yield from _episode(source, camera)
    elif source.is_file():
        yield from timed_video(source)
    elif source.is_dir():
        yield from ((frame, i / pictures_hz) for i, frame in enumerate(frames_of(source)))
    else:
        raise AnomalyError(
            "no such footage",
            where=str(source),
            remedy="give an episode, a folder of pictures or a video",
        )


def at_rate(frames: Iterable[Stamped], frame_hz: float) -> Iterator[Stamped]:
    """Those of the frames that a node sees which looks `frame_hz` times a second."""
    period_s, due_s, last_s = 1.0 / frame_hz, -np.inf, -np.inf
    for frame, stamp_s in frames:
        if stamp_s < last_s or stamp_s - due_s > period_s:
            due_s = stamp_s  # a new video, or a gap: what was due in it is past
        last_s = stamp_s
        if stamp_s >= due_s - _EARLY_S:
            due_s += period_s
            yield frame, stamp_s


def _episode(source: Path, camera: str) -> Iterator[Stamped]:
    from brs_ml.dataset.bag import Bag
    from brs_ml.dataset.errors import DatasetError
    from brs_ml.dataset.images import unpack_image
    from brs_ml.dataset.messages import Decoder, color_of, stamp_ns

    bag = Bag(source)
    raw = f"camera/{camera}/color/image_raw"
    packed = any(name.endswith(f"{raw}/compressed") for name in bag.topics)
    topic = bag.topic_named(f"{raw}/compressed" if packed else raw).name
    decode = Decoder(bag.topics)
    for message in bag.messages([topic]):
        stamp_s = stamp_ns(message) * 1e-9
        frame: np.ndarray | None
        try:
            found = decode(message)
            frame = unpack_image(bytes(found.data)) if packed else color_of(found, topic)
        except DatasetError:
            frame = None  # a camera may send rubbish; the monitor counts it
        yield frame, stamp_s
