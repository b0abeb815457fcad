"""What the monitor found, as messages."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

import numpy as np
from brs_interfaces.msg import AnomalyScores
from sensor_msgs.msg import CompressedImage

from brs_hardware.cameras.pictures import JPEG_FORMAT, to_jpeg
from brs_ml.anomaly.live import CameraScores
from brs_nodes import conversions


def scores_message(found: CameraScores, now_s: float) -> AnomalyScores:
    """brs_interfaces/AnomalyScores of what one camera's newest segment says."""
    rows = found.texts
    message = AnomalyScores(
        camera=found.camera,
        begin=conversions.to_time(found.begin_s),
        texts=[row.text for row in rows],
        scores=_floats(row.score for row in rows),
        key_frame=_floats(row.parts.key_frame for row in rows),
        position=_floats(row.parts.position for row in rows),
        temporal=_floats(row.parts.temporal for row in rows),
        reasons=[row.reason for row in rows],
        alarms=[row.alarm for row in rows],
        judged=[row.judged for row in rows],
        dropped=found.dropped,
        latency_s=now_s - found.end_s,
    )
    message.header.stamp = conversions.to_time(found.end_s)
    message.header.frame_id = found.camera
    return message


def picture_message(found: CameraScores, picture: np.ndarray, quality: int) -> CompressedImage:
    """JPEG of (h, w, 3) uint8 RGB with the stamp of the scores that it belongs to."""
    jpeg = to_jpeg(picture, quality)
    return conversions.compressed_image(found.end_s, found.camera, JPEG_FORMAT, jpeg)


def _floats(values: Iterable[float | None]) -> array[float]:
    """float32[], nan for unknown."""
    return array("f", [math.nan if value is None else value for value in values])
