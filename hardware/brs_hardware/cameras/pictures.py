"""Pictures as ROS messages carry them: raw, JPEG and PNG; without ROS.

Reads anything with the fields of sensor_msgs/Image or CompressedImage, from the bus or a bag.
Compressed depth is what image_transport's `compressedDepth` gives: 12 bytes of header, then a PNG.
"""

from __future__ import annotations

import importlib
import struct
from typing import Any

import numpy as np

from brs_hardware.errors import ConfigError, DeviceError

JPEG_FORMAT = "rgb8; jpeg compressed bgr8"
DEPTH_FORMAT = "16UC1; compressedDepth png"
# Of 32FC1 pictures only: what maps their stored inverse depths to metres.
_DEPTH_HEADER = struct.Struct("<iff")
_MILLIMETRE_M = np.float32(1e-3)
_FARTHEST_MM = 65535.0
_FAST = 1  # of zlib's nine levels: more cost 2x the time for 10 % fewer bytes


def to_jpeg(color: np.ndarray, quality: int) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG; `quality` 1..100."""
    cv2 = opencv()
    swapped = cv2.cvtColor(color, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def to_compressed_depth(depth: np.ndarray) -> bytes:
    """(H, W) float [m] as image_transport's PNG of whole millimetres.

    What is no reading, or beyond 65.535 m, is 0.
    """
    cv2 = opencv()
    with np.errstate(invalid="ignore"):
        millimetres = np.rint(depth / _MILLIMETRE_M)
        known = (millimetres > 0.0) & (millimetres <= _FARTHEST_MM)
    stored = np.where(known, millimetres, 0.0).astype(np.uint16)
    picture = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, _FAST])[1]
    return _DEPTH_HEADER.pack(0, 0.0, 0.0) + bytes(picture)


def color_of(message: Any, where: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a message.

    Args:
        message: Image of rgb8 or bgr8, or CompressedImage of JPEG or PNG.
        where: names the source in errors.

    Raises:
        DeviceError: another encoding, or pixels are missing.
    """
    if hasattr(message, "format"):
        cv2 = opencv()
        pixels = _decoded(message.data, cv2.IMREAD_COLOR, where)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    if message.encoding not in ("rgb8", "bgr8"):
        raise _unreadable(f"has colour as {message.encoding}", where, "send rgb8 or bgr8")
    pixels = _pixels(message, "u1", 3, where)
    return pixels if message.encoding == "rgb8" else np.ascontiguousarray(pixels[:, :, ::-1])


def depth_of(message: Any, where: str) -> np.ndarray:
    """(H, W) float32 [m] of a message, NaN where there is no reading.

    Args:
        message: Image of 32FC1 (metres) or 16UC1 (millimetres), or CompressedImage of
            `compressedDepth` as PNG.
        where: names the source in errors.

    Raises:
        DeviceError: another encoding, or pixels are missing.
    """
    if hasattr(message, "format"):
        metres = _compressed_depth_of(message, where)
    elif message.encoding == "32FC1":
        metres = _pixels(message, "f4", 1, where)[:, :, 0]
    elif message.encoding == "16UC1":
        metres = _pixels(message, "u2", 1, where)[:, :, 0] * _MILLIMETRE_M
    else:
        raise _unreadable(f"has depth as {message.encoding}", where, "send 32FC1 or 16UC1")
    with np.errstate(invalid="ignore"):
        known = (metres > 0.0) & (metres < np.inf)
    return np.where(known, metres, np.float32(np.nan)).astype(np.float32, copy=False)


def _compressed_depth_of(message: Any, where: str) -> np.ndarray:
    encoding, _, kind = (part.strip() for part in message.format.partition(";"))
    if kind not in ("compressedDepth", "compressedDepth png"):
        raise _unreadable(f"has depth as '{message.format}'", where, f"send '{DEPTH_FORMAT}'")
    data = np.frombuffer(message.data, np.uint8)
    if data.size <= _DEPTH_HEADER.size:
        raise _unreadable("has depth without pixels", where, "look at who sends it")
    stored = _decoded(data[_DEPTH_HEADER.size :], opencv().IMREAD_UNCHANGED, where)
    if stored.ndim != 2 or stored.dtype != np.uint16:
        raise _unreadable("has depth that is not of 16 bits", where, f"send '{DEPTH_FORMAT}'")
    if encoding == "16UC1":
        return stored * _MILLIMETRE_M
    _, scale, offset = _DEPTH_HEADER.unpack(data[: _DEPTH_HEADER.size].tobytes())
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(stored > 0, np.float32(scale) / (stored - np.float32(offset)), np.nan)


def _decoded(data: Any, how: int, where: str) -> np.ndarray:
    cv2 = opencv()
    data = np.frombuffer(data, np.uint8)
    pixels = cv2.imdecode(data, how) if data.size else None
    if pixels is None:
        raise _unreadable("has a picture that cannot be decoded", where, "look at who sends it")
    return np.asarray(pixels)


def _pixels(message: Any, kind: str, channels: int, where: str) -> np.ndarray:
    """(H, W, channels) of an Image; rows may be padded."""
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    size = dtype.itemsize * channels * message.width
    data = np.frombuffer(message.data, np.uint8)
    if message.step < size or data.size != message.height * message.step or not data.size:
        raise _unreadable(
            f"has {data.size} bytes for {message.width}x{message.height} {message.encoding}",
            where,
            "look at who sends it",
        )
    rows = data.reshape(message.height, message.step)[:, :size]
    shape = (message.height, message.width, channels)
    return np.ascontiguousarray(rows).view(dtype).reshape(shape)


def _unreadable(what: str, where: str, remedy: str) -> DeviceError:
    return DeviceError(what, where=where, remedy=remedy)


def opencv() -> Any:
    """The module cv2. Raises ConfigError: it is not installed."""
    try:
        return importlib.import_module("cv2")
    except ModuleNotFoundError:
        raise ConfigError(
            "compressed pictures need OpenCV, which is not installed",
            remedy="pip install brs[perception]",
        ) from None
