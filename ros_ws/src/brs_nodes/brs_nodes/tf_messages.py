"""Messages of /tf and /tf_static to library types and back, live and from bags."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TransformStamped
from tf2_msgs.msg import TFMessage

from brs_hardware.robot_frames import Transforms
from brs_hardware.transforms import TransformBuffer, to_matrix
from brs_nodes.conversions import to_seconds, to_time


class TransformWriter:
    """Makes messages of transforms; valid until the next, as their entries are used again.

    Making two dozen entries anew costs more than sending them.

    Args:
        prefix: comes before the name of every frame.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._entries: dict[tuple[str, str], TransformStamped] = {}  # by parent and child

    def message(self, told: Transforms) -> TFMessage:
        """tf2_msgs/TFMessage; fixed transforms have the stamp zero."""
        stamps_s = np.nan_to_num(told.stamps_s).tolist()
        times = {stamp_s: to_time(stamp_s) for stamp_s in set(stamps_s)}
        rows = zip(
            told.parents,
            told.children,
            stamps_s,
            told.positions.tolist(),
            told.quaternions.tolist(),
            strict=True,
        )
        entries = []
        for parent, child, stamp_s, position, quaternion in rows:
            entry = self._entries.get((parent, child)) or self._new(parent, child)
            entry.header.stamp = times[stamp_s]
            point, turn = entry.transform.translation, entry.transform.rotation
            point.x, point.y, point.z = position
            turn.x, turn.y, turn.z, turn.w = quaternion
            entries.append(entry)
        return TFMessage(transforms=entries)

    def _new(self, parent: str, child: str) -> TransformStamped:
        entry = TransformStamped(child_frame_id=self._prefix + child)
        entry.header.frame_id = self._prefix + parent
        self._entries[parent, child] = entry
        return entry


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
