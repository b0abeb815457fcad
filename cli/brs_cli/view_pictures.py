"""Pictures and clouds of ROS messages as arrays and as compressed bytes, without ROS or rerun.

A message is anything with the fields of its ROS type: one of rclpy's, or one read from a bag.
What is malformed raises ValueError with a line that says what is wrong with it.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

# Encoding -> channels, and which of them are red, green and blue.
COLORS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "8UC3": (3, (2, 1, 0)),  # OpenCV's order
    "mono8": (1, (0, 0, 0)),
    "8UC1": (1, (0, 0, 0)),
}
# Encoding -> type of a pixel, and how many of its units are a millimetre.
DEPTHS = {"32FC1": ("f4", 1e-3), "16UC1": ("u2", 1.0), "mono16": ("u2", 1.0)}
MILLIMETRES = 1000.0  # units a metre of our depth pictures
FARTHEST_MM = 65_535.0
PNG = b"\x89PNG\r\n\x1a\n"
# Kinds of sensor_msgs/PointField.
FIELD_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def color_of(message: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a sensor_msgs/Image.

    Raises:
        ValueError: an encoding that is no colour picture, or too little data.
    """
    if message.encoding not in COLORS:
        raise ValueError(f"'{message.encoding}' is no colour encoding; known: {', '.join(COLORS)}")
    channels, order = COLORS[message.encoding]
    return _pixels(message, np.dtype("u1"), channels)[..., list(order)]


def depth_of(message: Any) -> np.ndarray:
    """(H, W) uint16 [mm], 0 where unknown, of a sensor_msgs/Image in metres or millimetres.

    Raises:
        ValueError: an encoding that is no depth, or too little data.
    """
    if message.encoding not in DEPTHS:
        raise ValueError(f"'{message.encoding}' is no depth encoding; known: {', '.join(DEPTHS)}")
    kind, millimetres = DEPTHS[message.encoding]
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    depth = _pixels(message, dtype, 1)[..., 0]
    if kind == "u2":
        return depth.astype(np.uint16)
    depth = np.nan_to_num(depth / np.float32(millimetres), nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(np.rint(depth), 0.0, FARTHEST_MM).astype(np.uint16)


def jpeg(color: np.ndarray, quality: int) -> bytes:
    """JPEG of (H, W, 3) uint8 RGB; quality is 1 to 95."""
    return _encoded(color, "JPEG", quality=quality)


def png(depth: np.ndarray) -> bytes:
    """PNG of (H, W) uint16, at the fastest compression."""
    return _encoded(depth, "PNG", compress_level=1)


def compressed_color(message: Any) -> tuple[bytes, str]:
    """Bytes and media type of a sensor_msgs/CompressedImage in colour.

    Raises:
        ValueError: neither JPEG nor PNG.
    """
    data = bytes(message.data)
    if data.startswith(b"\xff\xd8"):
        return data, "image/jpeg"
    if data.startswith(PNG):
        return data, "image/png"
    raise ValueError(f"'{message.format}' is neither JPEG nor PNG")


def compressed_depth(message: Any) -> tuple[bytes, str]:
    """Bytes and media type of a sensor_msgs/CompressedImage of 16-bit depth [mm].

    ROS's compressed_depth_image_transport puts a short header before the PNG; RVL keeps it.

    Raises:
        ValueError: neither PNG nor RVL.
    """
    data = bytes(message.data)
    if "rvl" in message.format.lower():
        return data, "application/rvl"
    start = data.find(PNG, 0, 64)
    if start < 0:
        raise ValueError(f"'{message.format}' is neither PNG nor RVL")
    return data[start:], "image/png"


def cloud_of(message: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (n, 3) float32 [m] and colours (n, 3) uint8 RGB, or None, of a PointCloud2.

    Points that are not finite are left out. Colours are the field `rgb` or `rgba`, packed in 32
    bits as 0xAARRGGBB whether it is called a float or an integer.

    Raises:
        ValueError: x, y or z is missing, or too little data.
    """
    order = ">" if message.is_bigendian else "<"
    fields = {field.name: field for field in message.fields if field.datatype in FIELD_TYPES}
    if missing := [name for name in "xyz" if name not in fields]:
        raise ValueError(f"the cloud has no field {', '.join(missing)}")
    color = next((name for name in ("rgb", "rgba") if name in fields), None)
    names = [*"xyz", *([color] if color else [])]
    record = np.dtype(
        {
            "names": names,
            "formats": [
                f"{order}u4" if n == color else order + FIELD_TYPES[fields[n].datatype]
                for n in names
            ],
            "offsets": [fields[n].offset for n in names],
            "itemsize": message.point_step,
        }
    )
    cells = _rows(message, message.point_step * message.width)
    cloud = np.ascontiguousarray(cells).view(record).ravel()
    points = np.stack([cloud[name].astype(np.float32) for name in "xyz"], axis=1)
    finite = np.isfinite(points).all(axis=1)
    if color is None:
        return points[finite], None
    packed = cloud[color][finite]
    colors = np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8)
    return points[finite], colors


def _pixels(message: Any, dtype: np.dtype, channels: int) -> np.ndarray:
    """(H, W, channels) of an image, without the padding at the end of each row."""
    used = message.width * channels * dtype.itemsize
    rows = np.ascontiguousarray(_rows(message, used))
    return rows.view(dtype).reshape(message.height, message.width, channels)


def _rows(message: Any, used: int) -> np.ndarray:
    """(H, used) uint8, the first `used` bytes of each row of an image or a cloud."""
    step = message.step if hasattr(message, "step") else message.row_step
    data = np.frombuffer(message.data, np.uint8)
    if not used or not message.height:
        raise ValueError(f"{message.width} x {message.height} is empty")
    if step < used or len(data) < step * message.height:
        raise ValueError(
            f"{len(data)} bytes in rows of {step} are too few for "
            f"{message.width} x {message.height}"
        )
    return data[: step * message.height].reshape(message.height, step)[:, :used]


def _encoded(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    from PIL import Image  # rerun depends on it

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=kind, **options)
    return stream.getvalue()
