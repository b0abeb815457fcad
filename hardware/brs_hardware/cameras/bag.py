"""Cameras in a recorded episode or any MCAP bag of ROS 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from brs_hardware.cameras.driver import register
from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.cameras.recorded import RecordedCamera, pinhole
from brs_hardware.errors import DeviceError

_MEMORY = 8  # pictures of one kind that wait for their partner


@register
class BagCamera(RecordedCamera):
    """Plays `<topic>/color/image_raw`, `/depth/image_raw` and `/camera_info` of a bag.

    Colour (rgb8, bgr8) and depth (32FC1 in metres, 16UC1 in millimetres) of equal stamps make a
    frame. `topic` is `camera/<name>` unless configured; `source` an .mcap file or its folder.
    """

    kind = "bag"

    def _recorded(self) -> Iterator[CameraFrame]:
        prefix = "/" + (self.config.topic or f"camera/{self.name}").strip("/")
        color_topic, depth_topic = f"{prefix}/color/image_raw", f"{prefix}/depth/image_raw"
        info_topic = f"{prefix}/camera_info"
        waiting: dict[str, dict[int, Any]] = {color_topic: {}, depth_topic: {}}
        info = None
        count = 0
        for topic, message in self._messages([color_topic, depth_topic, info_topic]):
            if topic == info_topic:
                info = message
            else:
                held, stamp_ns = waiting[topic], _nanoseconds(message)
                held[stamp_ns] = message
                if len(held) > _MEMORY:
                    del held[next(iter(held))]
            if info is None:
                continue
            for stamp_ns in sorted(waiting[color_topic].keys() & waiting[depth_topic].keys()):
                color = _color(waiting[color_topic].pop(stamp_ns), color_topic)
                depth = _depth(waiting[depth_topic].pop(stamp_ns), depth_topic)
                intrinsics = pinhole(_intrinsics(info), color.shape, info_topic)
                yield CameraFrame(stamp_ns * 1e-9, color, depth, intrinsics, count)
                count += 1

    def _messages(self, topics: list[str]) -> Iterator[tuple[str, Any]]:
        for path in _files(Path(self.config.source)):
            try:
                with path.open("rb") as file:
                    reader = make_reader(file, decoder_factories=[DecoderFactory()])
                    for _, channel, _, decoded in reader.iter_decoded_messages(topics):
                        yield channel.topic, decoded
            except (OSError, McapError) as error:
                raise DeviceError(
                    f"cannot be read: {error or type(error).__name__}",
                    where=str(path),
                    remedy="if it was cut off, `mcap recover` saves what is whole",
                ) from None


def _files(source: Path) -> list[Path]:
    paths = [source] if source.is_file() else sorted(source.glob("*.mcap"))
    if not paths:
        raise DeviceError("no bag there", where=str(source), remedy="give an .mcap file")
    return paths


def _nanoseconds(message: Any) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def _pixels(message: Any, kind: str, channels: int) -> np.ndarray:
    """(H, W, channels) of an image message; rows may be padded."""
    order = ">" if message.is_bigendian else "<"
    size = np.dtype(kind).itemsize * channels * message.width
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :size]
    pixels = np.ascontiguousarray(rows).view(np.dtype(order + kind))
    return pixels.reshape(message.height, message.width, channels)


def _color(message: Any, topic: str) -> np.ndarray:
    pixels = _pixels(message, "u1", 3) if message.encoding in ("rgb8", "bgr8") else None
    if pixels is None:
        raise DeviceError(
            f"has colour as {message.encoding}", where=topic, remedy="record rgb8 or bgr8"
        )
    return pixels if message.encoding == "rgb8" else np.ascontiguousarray(pixels[:, :, ::-1])


def _depth(message: Any, topic: str) -> np.ndarray:
    """(H, W) float32 [m]."""
    if message.encoding == "32FC1":
        return _pixels(message, "f4", 1)[:, :, 0].astype(np.float32)
    if message.encoding == "16UC1":
        return _pixels(message, "u2", 1)[:, :, 0] * np.float32(1e-3)
    raise DeviceError(
        f"has depth as {message.encoding}", where=topic, remedy="record 32FC1 or 16UC1"
    )


def _intrinsics(info: Any) -> Intrinsics:
    return Intrinsics(
        info.width,
        info.height,
        float(info.k[0]),
        float(info.k[4]),
        float(info.k[2]),
        float(info.k[5]),
        tuple(float(value) for value in info.d),
    )
