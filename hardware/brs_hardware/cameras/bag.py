"""Cameras in a recorded episode or any MCAP bag of ROS 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from brs_hardware.cameras.driver import register
from brs_hardware.cameras.frame import CameraFrame
from brs_hardware.cameras.matching import FrameMatcher
from brs_hardware.cameras.recorded import RecordedCamera
from brs_hardware.errors import DeviceError


@register
class BagCamera(RecordedCamera):
    """Plays `<topic>/color/image_raw`, `/depth/image_raw` and `/camera_info` of a bag.

    Colour (rgb8, bgr8) and depth (32FC1 in metres, 16UC1 in millimetres) of equal stamps make a
    frame. `topic` is `camera/<name>` unless configured; `source` an .mcap file or its folder.
    """

    kind = "bag"

    def _recorded(self) -> Iterator[CameraFrame]:
        prefix = "/" + (self.config.topic or f"camera/{self.name}").strip("/")
        parts = {
            f"{prefix}/color/image_raw": "color",
            f"{prefix}/depth/image_raw": "depth",
            f"{prefix}/camera_info": "info",
        }
        matcher = FrameMatcher(self.name)
        for topic, message in self._messages(list(parts)):
            yield from matcher.add(parts[topic], message)

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
