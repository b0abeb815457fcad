"""Messages of /tf and /tf_static to library types and back, live and from bags."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TransformStamped
from tf2_msgs.msg import TFMessage

from brs_hardware.robot_frames import Transforms
from brs_hardware.transforms import TransformBuffer, to_matrix
from brs_nodes.conversions import to_seconds, to_time


def transforms_to_message(told: Transforms, prefix: str = "") -> TFMessage:
    """tf2_msgs/TFMessage; `prefix` comes before every frame. Fixed transforms have no stamp."""
    messages = []
    rows = zip(
        told.parents,
        told.children,
        np.nan_to_num(told.stamps_s).tolist(),
        told.positions.tolist(),
        told.quaternions.tolist(),
        strict=True,
    )
    for parent, child, stamp_s, position, quaternion in rows:
        message = TransformStamped(child_frame_id=prefix + child)
        message.header.stamp, message.header.frame_id = to_time(stamp_s), prefix + parent
        point, turn = message.transform.translation, message.transform.rotation
        point.x, point.y, point.z = position
        turn.x, turn.y, turn.z, turn.w = quaternion
        messages.append(message)
    return TFMessage(transforms=messages)


def put_transforms(buffer: TransformBuffer, message: TFMessage, *, static: bool) -> None:
    """Put what came on /tf or /tf_static into a buffer. Raises TransformError: malformed."""
    for entry in message.transforms:
        parent, child = entry.header.frame_id, entry.child_frame_id
        point, turn = entry.transform.translation, entry.transform.rotation
        pose = to_matrix(
            np.array([point.x, point.y, point.z]), np.array([turn.x, turn.y, turn.z, turn.w])
        )
        if static:
            buffer.set_static(parent, child, pose)
        else:
            buffer.add(parent, child, to_seconds(entry.header.stamp), pose)
