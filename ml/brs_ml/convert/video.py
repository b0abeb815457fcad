"""Videos of equal steps: frame n is shown at n / rate. Written and read with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.dataset.errors import DatasetError


@dataclass(frozen=True)
class Codec:
    """How pictures are encoded."""

    encoder: str  # FFmpeg's name
    pixels: str  # FFmpeg's pixel format
    crf: int  # quality: 0 the best
    worst: int  # largest crf, 0 where it has no choice
    options: tuple[tuple[str, str], ...] = ()


# A key frame every other frame, as LeRobot has them: any frame is two decodings away at most.
_ALL = (("g", "2"),)
CODECS = {
    "h264": Codec("libx264", "yuv420p", 18, 51, (*_ALL, ("bf", "0"))),
    "av1": Codec("libsvtav1", "yuv420p", 30, 63, (*_ALL, ("preset", "10"))),
    # Red, green and blue as they are, all 8 bits of each: no picture changes.
    "lossless": Codec("libx264rgb", "rgb24", 0, 0, (*_ALL, ("bf", "0"), ("preset", "veryfast"))),
}


def av() -> Any:
    """PyAV. Raises DatasetError if it is not installed."""
    try:
        import av
    except ImportError:
        raise DatasetError(
            "videos need PyAV, which is not installed", remedy="pip install brs[sim]"
        ) from None
    return av


class VideoWriter:
    """Writes one MP4; use as a context.

    Args:
        path: the file; its folder is made.
        shape: height, width [px] and 3.
        rate_hz: frames a second.
        codec: how.
        crf: quality, if not the codec's own.

    Raises:
        DatasetError: PyAV has not this encoder, or it does not take pictures of this size.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        rate_hz: float,
        codec: Codec,
        crf: int | None = None,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self.frames = path, 0
        height, width = shape[:2]
        rate = Fraction(rate_hz).limit_denominator(1000)
        # Half as many colours as pixels need even sides.
        halved = codec.pixels == "yuv420p" and (height % 2 or width % 2)
        if halved and codec.encoder != "libx264":
            raise DatasetError(
                f"pictures of {width} x {height} have odd sides",
                where=path.name,
                remedy="--pictures h264 or jpeg",
            )
        options = {**dict(codec.options), "crf": str(codec.crf if crf is None else crf)}
        self._container = av().open(str(path), "w")
        try:
            self._stream = self._container.add_stream(codec.encoder, rate=rate, options=options)
        except ValueError as error:
            self._container.close()
            raise DatasetError(
                f"this PyAV cannot encode with {codec.encoder} ({error})",
                where=path.name,
                remedy="--pictures jpeg",
            ) from None
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv444p" if halved else codec.pixels
        self._stream.codec_context.time_base = 1 / rate
        self._stream.codec_context.thread_count = 1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bytes(self) -> int:
        """Size of the file up to now; some encoders begin it late."""
        return self._path.stat().st_size if self._path.exists() else 0

    def add(self, rgb: np.ndarray) -> None:
        """Append (h, w, 3) uint8."""
        frame = av().VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts = self.frames
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        if self._container is not None:
            container, self._container = self._container, None
            container.mux(self._stream.encode())
            container.close()


def read_frames(path: Path, start_s: float, count: int, rate_hz: float) -> Iterator[np.ndarray]:
    """`count` frames of a video from a time on, (h, w, 3) uint8 each.

    Raises:
        DatasetError: it is no video, or a frame is not where it should be by a tenth of a step.
    """
    half_s, tolerance_s, found = 0.5 / rate_hz, 0.1 / rate_hz, 0
    try:
        with av().open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            container.seek(int(max(start_s - half_s, 0.0) / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                late_s = frame.time - (start_s + found / rate_hz)
                if not found and late_s < -half_s:
                    continue
                if abs(late_s) > tolerance_s:
                    break
                yield frame.to_ndarray(format="rgb24")
                found += 1
                if found == count:
                    return
    except (av().FFmpegError, IndexError) as error:
        raise _broken(path, str(error)) from None
    raise _broken(path, f"has no frame at {start_s + found / rate_hz:.3f} s")


def _broken(path: Path, what: str) -> DatasetError:
    return DatasetError(what, where=str(path), remedy="copy or make the data set again")
