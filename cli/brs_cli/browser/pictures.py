"""Pictures and clouds of an episode, read from where they stand in its bag when they are asked.

Nothing is unpacked before, nothing is written to disk. A request reads half a second of the bag
around what is wanted, of all cameras at once, so that playing on finds what it needs in memory.
"""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from brs_cli.browser.contents import Track
from brs_cli.view_pictures import cloud_of, color_picture
from brs_hardware.errors import BrsError
from brs_ml.dataset.messages import Decoder
from brs_ml.episode import EpisodeError, EpisodeReader

READ_AHEAD_NS = 500_000_000
KEPT_BYTES = 64 << 20
JPEG_QUALITY = 80


class Pictures:
    """Random access to an episode's pictures, or to its clouds. Threads may share it.

    Args:
        path: the episode's folder.
        tracks: where they stand, by camera.
        kept_bytes: of packed pictures that stay in memory.

    Raises:
        EpisodeError: there is no bag, or it is none.
    """

    def __init__(
        self, path: Path, tracks: Mapping[str, Track], kept_bytes: int = KEPT_BYTES
    ) -> None:
        self._reader = EpisodeReader(path)
        self._decode = Decoder(self._reader.topics)
        self._tracks = dict(tracks)
        self._names = {track.topic: name for name, track in tracks.items()}
        self._kept: OrderedDict[tuple[str, int], tuple[bytes, str]] = OrderedDict()
        self._kept_bytes, self._room = 0, kept_bytes
        self._lock = threading.Lock()

    def get(self, name: str, number: int) -> tuple[bytes, str]:
        """Bytes and media type of one picture, or cloud.

        Args:
            name: of the camera.
            number: in its track, from 0.

        Raises:
            EpisodeError: there is none of that number, or it is damaged.
        """
        track = self._tracks.get(name)
        if track is None or not 0 <= number < len(track.log_times_ns):
            raise EpisodeError(
                f"has no picture {number} of '{name}'", where=str(self._reader.path)
            )
        with self._lock:
            if (name, number) not in self._kept:
                self._read(track.log_times_ns[number])
            found = self._kept.get((name, number))
            if found is not None:
                self._kept.move_to_end((name, number))
            self._forget()
        if found is None:
            raise EpisodeError(f"picture {number} is damaged", where=track.topic)
        return found

    def _read(self, start_ns: int) -> None:
        for message in self._reader.messages(self._names, start_ns, start_ns + READ_AHEAD_NS):
            name = self._names[message.topic]
            number = bisect.bisect_left(self._tracks[name].log_times_ns, message.log_time_ns)
            if (name, number) in self._kept:
                continue
            try:
                packed = _pack(self._decode(message), name)
            except (BrsError, EpisodeError, ValueError):
                # Asked for, it is told of; others are not what was asked for.
                continue
            self._kept[name, number] = packed
            self._kept_bytes += len(packed[0])

    def _forget(self) -> None:
        """Let go of what was asked for least recently."""
        while self._kept_bytes > self._room and len(self._kept) > 1:
            _, (data, _) = self._kept.popitem(last=False)
            self._kept_bytes -= len(data)


def _pack(message: Any, name: str) -> tuple[bytes, str]:
    if hasattr(message, "point_step"):
        points, colors = cloud_of(message)
        if colors is None:
            colors = np.full(points.shape, 128, np.uint8)
        # Points (n, 3) float32, then colours (n, 3) uint8, little-endian.
        return points.astype("<f4").tobytes() + colors.tobytes(), "application/octet-stream"
    return color_picture(message, name, JPEG_QUALITY)
