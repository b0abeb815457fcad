"""Clouds as messages and back; the rest of the messages is in `conversions`."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np
from brs_interfaces.msg import CloudState
from sensor_msgs.msg import PointCloud2, PointField

from brs_hardware.errors import DeviceError
from brs_hardware.perception.cloud import FusedCloud, PointCloud
from brs_nodes.conversions import to_time

CLOUD_FRAME = "base_link"
# As PCL has it and RViz, Foxglove and rerun show it: colour packed into the bits of a float.
_POINT = np.dtype([("xyz", "<f4", 3), ("bgr", "u1", 3), ("spare", "u1")])
_FIELDS = {name: 4 * i for i, name in enumerate(("x", "y", "z", "rgb"))}


def cloud_to_message(stamp_s: float, cloud: PointCloud) -> PointCloud2:
    """sensor_msgs/PointCloud2 in base_link of x, y, z [m] and packed rgb."""
    points = np.zeros(len(cloud), _POINT)
    points["xyz"], points["bgr"] = cloud.points, cloud.colors[:, ::-1]
    message = PointCloud2(
        height=1,
        width=len(cloud),
        fields=[
            PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
            for name, offset in _FIELDS.items()
        ],
        is_bigendian=False,
        point_step=_POINT.itemsize,
        row_step=_POINT.itemsize * len(cloud),
        is_dense=True,
    )
    message.data = array("B", points.tobytes())
    message.header.stamp, message.header.frame_id = to_time(stamp_s), CLOUD_FRAME
    return message


def cloud_from_message(message: PointCloud2) -> PointCloud:
    """The points of a message that has x, y, z and rgb as float32 fields, wherever they stand.

    Raises:
        DeviceError: it has no such fields.
    """
    offsets = {
        field.name: field.offset
        for field in message.fields
        if field.datatype == PointField.FLOAT32 and field.count == 1
    }
    if not offsets.keys() >= _FIELDS.keys():
        raise DeviceError(
            f"a cloud of {', '.join(sorted(offsets)) or 'no fields'} instead of x, y, z and rgb",
            where=message.header.frame_id,
            remedy="send what the perception node sends",
        )
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(
        {
            "names": list(_FIELDS),
            "formats": [f"{order}f4", f"{order}f4", f"{order}f4", f"{order}u4"],
            "offsets": [offsets[name] for name in _FIELDS],
            "itemsize": message.point_step,
        }
    )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.row_step)
    used = np.ascontiguousarray(rows[:, : message.width * message.point_step])
    values = used.reshape(-1).view(kind)
    points = np.stack([values[name] for name in "xyz"], axis=1).astype(np.float32)
    colors = np.stack([values["rgb"] >> shift & 0xFF for shift in (16, 8, 0)], axis=1)
    return PointCloud(points, colors.astype(np.uint8))


def cloud_state(
    fused: FusedCloud, problems: Mapping[str, str], fusion_s: float, now_s: float
) -> CloudState:
    """What a cloud was made of.

    Args:
        fused: the cloud.
        problems: camera -> what was wrong with its newest message, told rather than silence.
        fusion_s: how long fusing took.
        now_s: when it is published.
    """
    left_out = {name: problems.get(name, reason) for name, reason in fused.left_out.items()}
    message = CloudState(
        oldest=to_time(fused.oldest_s),
        cameras=list(fused.cameras),
        left_out=list(left_out),
        reasons=list(left_out.values()),
        dropped=fused.dropped,
        points=len(fused.cloud),
        held=fused.held,
        fusion_s=fusion_s,
        age_s=now_s - fused.stamp_s,
    )
    message.header.stamp, message.header.frame_id = to_time(fused.stamp_s), CLOUD_FRAME
    return message


def no_cloud_state(left_out: Mapping[str, str], dropped: int, now_s: float) -> CloudState:
    """That there is no cloud, and what is wrong with each camera."""
    message = CloudState(left_out=list(left_out), reasons=list(left_out.values()), dropped=dropped)
    message.header.stamp, message.header.frame_id = to_time(now_s), CLOUD_FRAME
    return message
