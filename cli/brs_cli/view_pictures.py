"""Pictures as rerun takes them, and clouds as arrays; without ROS.

A message is anything with the fields of its ROS type: one of rclpy's, or one read from a bag.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.cameras.pictures import color_of, depth_of, to_compressed_depth, to_jpeg

MILLIMETRES = 1000.0  # units a metre of depth pictures
PNG = b"\x89PNG\r\n\x1a\n"
# Kinds of sensor_msgs/PointField.
FIELD_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def color_picture(message: Any, where: str, quality: int) -> tuple[bytes, str]:
    """Bytes and media type of a colour picture.

    Args:
        message: sensor_msgs/Image, or CompressedImage, which is handed on as it is.
        where: names the source in errors.
        quality: of JPEG, 1 to 100.

    Raises:
        DeviceError: another encoding, or pixels are missing.
        ValueError: compressed, but neither JPEG nor PNG.
    """
    if not hasattr(message, "format"):
        return to_jpeg(color_of(message, where), quality), "image/jpeg"
    data = bytes(message.data)
    if data.startswith(b"\xff\xd8"):
        return data, "image/jpeg"
    if data.startswith(PNG):
        return data, "image/png"
    raise ValueError(f"'{message.format}' is neither JPEG nor PNG")


def depth_picture(message: Any, where: str) -> tuple[bytes, str]:
    """Bytes and media type of a depth picture of whole millimetres, 0 where unknown.

    Args:
        message: sensor_msgs/Image, or CompressedImage of image_transport's `compressedDepth`.
        where: names the source in errors.

    Raises:
        DeviceError: another encoding, or pixels are missing.
        ValueError: compressed, but neither PNG nor RVL.
    """
    if not hasattr(message, "format"):
        data = to_compressed_depth(depth_of(message, where))
    elif "rvl" in message.format.lower():
        return bytes(message.data), "application/rvl"
    else:
        data = bytes(message.data)
    # Behind image_transport's header.
    start = data.find(PNG, 0, 64)
    if start < 0:
        raise ValueError(f"'{message.format}' is neither PNG nor RVL")
    return data[start:], "image/png"


def cloud_of(message: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (n, 3) float32 [m] and colours (n, 3) uint8 RGB, or None, of a PointCloud2.

    Points that are not finite are left out. Colours are the field `rgb` or `rgba`, packed in 32
    bits as 0xAARRGGBB whether it is called a float or an integer.

    Raises:
        ValueError: x, y or z is missing, or too few or too many bytes.
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
    used, data = message.point_step * message.width, np.frombuffer(message.data, np.uint8)
    if message.row_step < used or data.size != message.row_step * message.height:
        raise ValueError(f"{data.size} bytes for {message.height} rows of {message.width} points")
    cells = data.reshape(message.height, message.row_step)[:, :used]
    cloud = np.ascontiguousarray(cells).reshape(-1).view(record)
    points = np.stack([cloud[name].astype(np.float32) for name in "xyz"], axis=1)
    finite = np.isfinite(points).all(axis=1)
    if color is None:
        return points[finite], None
    packed = cloud[color][finite]
    colors = np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8)
    return points[finite], colors
